//! The gated recurrent unit (equation 3 of the paper; Cho et al. 2014).

use tch::Tensor;

/// One step of a GRU with the paper's gates, the next state h_t `[n, hidden]`:
///
/// ```text
/// r_t = σ(W_r a_t + b_r + U_r h_{t−1} + c_r)
/// z_t = σ(W_z a_t + b_z + U_z h_{t−1} + c_z)
/// ĥ_t = tanh(W_h a_t + b_h + r_t ∘ (U_h h_{t−1} + c_h))
/// h_t = (1 − z_t) ∘ h_{t−1} + z_t ∘ ĥ_t
/// ```
///
/// `input` is W a_t + b and `recurrent` U h_{t−1} + c, each as the part of the gates r and z
/// `[n, 2·hidden]` and that of the candidate ĥ `[n, hidden]`; `state` is h_{t−1} `[n, hidden]`. The
/// products are the caller's, who can join them with others.
///
/// z_t weighs the new state, as the paper has it; PyTorch's z weighs the old one, so this cell is
/// PyTorch's with the signs of W_z, b_z, U_z and c_z turned. The paper defines r_t and then leaves it
/// out of ĥ_t, where it prints `U_h ◦ h_{t−1}` with nothing for ◦ to multiply by elements: here r_t
/// multiplies U_h h_{t−1} + c_h, as in PyTorch. The biases, which the paper does not print, are
/// PyTorch's. Rows of the weights lie in PyTorch's order r, z, h.
pub fn step(input: [&Tensor; 2], recurrent: [&Tensor; 2], state: &Tensor) -> Tensor {
    let gates = (input[0] + recurrent[0]).sigmoid().split(state.size()[1], -1);
    // Sums and products rather than addcmul and lerp: their gradients are fewer operations.
    let candidate = (input[1] + &gates[0] * recurrent[1]).tanh();
    state + &gates[1] * (candidate - state)
}

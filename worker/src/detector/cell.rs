//! The gated recurrent unit (equation 3 of the paper; Cho et al. 2014).

use tch::Tensor;

/// A GRU cell with the paper's gates:
///
/// ```text
/// r_t = σ(W_r a_t + b_r + U_r h_{t−1} + c_r)
/// z_t = σ(W_z a_t + b_z + U_z h_{t−1} + c_z)
/// ĥ_t = tanh(W_h a_t + b_h + r_t ∘ (U_h h_{t−1} + c_h))
/// h_t = (1 − z_t) ∘ h_{t−1} + z_t ∘ ĥ_t
/// ```
///
/// z_t weighs the new state, as the paper has it; PyTorch's z weighs the old one, so this cell is
/// PyTorch's with the signs of W_z, b_z, U_z and c_z turned. The paper defines r_t and then leaves it
/// out of ĥ_t, where it prints `U_h ◦ h_{t−1}` with nothing for ◦ to multiply by elements: here r_t
/// multiplies U_h h_{t−1} + c_h, as in PyTorch. The biases, which the paper does not print, are
/// PyTorch's. Rows of the weights lie in PyTorch's order r, z, h.
#[derive(Debug)]
pub struct Cell {
    /// U transposed, `[hidden, 3·hidden]`.
    recurrent: Tensor,
    /// c, `[3·hidden]`.
    bias: Tensor,
}

impl Cell {
    /// From U `[3·hidden, hidden]` and c `[3·hidden]`.
    pub fn new(recurrent: &Tensor, bias: &Tensor) -> Self {
        Self { recurrent: recurrent.tr(), bias: bias.shallow_clone() }
    }

    /// The next state `[n, hidden]`, given W a_t + b `[n, 3·hidden]` and the last state `[n, hidden]`.
    pub fn step(&self, input: &Tensor, state: &Tensor) -> Tensor {
        let hidden = state.size()[1];
        let sizes = [2 * hidden, hidden];
        let recurrent = self.bias.addmm(state, &self.recurrent).split_with_sizes(sizes, -1);
        let input = input.split_with_sizes(sizes, -1);
        let gates = (&input[0] + &recurrent[0]).sigmoid().split(hidden, -1);
        let candidate = input[1].addcmul(&gates[0], &recurrent[1]).tanh();
        state.lerp_tensor(&candidate, &gates[1])
    }
}

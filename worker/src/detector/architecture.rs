//! The networks over action sequences: the paper's encoder and decoder with attention (equation 4), and
//! a GRU alone.

use super::Draw;
use super::cell;
use advrec::detect::{DetectorParams, Method};
use advrec::random::{Purpose, generator};
use rand::Rng;
use tch::{Device, Kind, Tensor};

/// Names and shapes of a network's weights; the weights themselves are one flat tensor, so that an
/// optimizer step is a few operations whatever the network.
///
/// `gru` is a GRU over the actions a_t, and at each step p_t = σ(W_out dropout(h_t) + b_out).
///
/// `gru_attention` runs such a GRU as encoder, enc_1 … enc_T with the last state enc_T. Its decoder is a
/// GRU with weights of its own whose state starts at enc_T. At each step t, for every position j,
///
/// ```text
/// e_j = ReLU(W_c [a_j; hid; enc_j] + b_c)
/// α   = softmax over j of W_e e_j
/// out, hid = GRU(α_t a_t, hid)
/// p_t = σ(W_out dropout(out) + b_out)
/// ```
///
/// The paper leaves open what the softmax runs over and which weight goes with a_t; this reading takes
/// it over the time steps and gives a_t the weight of its own position. It also prints a bias b_e, which
/// is left out: a softmax does not change when all that it takes is shifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Whether there is a decoder with attention.
    pub attention: bool,
    /// Numbers of an action's embedding.
    pub width: i64,
    /// Units of each GRU, and of e.
    pub hidden: i64,
}

/// What a network says of n paths.
#[derive(Debug)]
pub struct Forward {
    /// Log-odds of p_t, `[T, n]`.
    pub logits: Tensor,
    /// α_t, the weight that step t's own action gets, `[T, n]`; `None` without attention.
    pub attention: Option<Tensor>,
}

impl Architecture {
    /// The network of a method, `None` for methods that are none, for actions of this width.
    pub fn new(params: &DetectorParams, width: i64) -> Option<Self> {
        let attention = match params.method {
            Method::GruAttention => true,
            Method::Gru => false,
            _ => return None,
        };
        Some(Self { attention, width, hidden: params.hidden as i64 })
    }

    /// Names and shapes in the order of the flat tensor.
    pub fn shapes(&self) -> Vec<(&'static str, Vec<i64>)> {
        let (d, h) = (self.width, self.hidden);
        let mut shapes = vec![
            ("encoder.weight_ih", vec![3 * h, d]),
            ("encoder.weight_hh", vec![3 * h, h]),
            ("encoder.bias_ih", vec![3 * h]),
            ("encoder.bias_hh", vec![3 * h]),
            ("output.weight", vec![1, h]),
            ("output.bias", vec![1]),
        ];
        if self.attention {
            shapes.extend([
                ("decoder.weight_ih", vec![3 * h, d]),
                ("decoder.weight_hh", vec![3 * h, h]),
                ("decoder.bias_ih", vec![3 * h]),
                ("decoder.bias_hh", vec![3 * h]),
                ("attention.combine.weight", vec![h, d + 2 * h]),
                ("attention.combine.bias", vec![h]),
                ("attention.score.weight", vec![h]),
            ]);
        }
        shapes
    }

    /// Fresh weights, flat: uniform in ±1/√hidden for the GRUs and the linear units on their states, in
    /// ±1/√inputs for the unit that combines; PyTorch's defaults.
    pub fn initial(&self, seed: u64, device: Device) -> Tensor {
        let mut values = Vec::new();
        for (place, (name, shape)) in self.shapes().into_iter().enumerate() {
            let inputs = match name.starts_with("attention.combine") {
                true => self.width + 2 * self.hidden,
                false => self.hidden,
            };
            let bound = 1.0 / (inputs as f32).sqrt();
            let at = [Draw::Initial as u64, place as u64, 0];
            let mut rng = generator(seed, Purpose::Detection, at);
            let count = shape.iter().product::<i64>();
            values.extend((0..count).map(|_| rng.random_range(-bound..bound)));
        }
        Tensor::from_slice(&values).to_device(device)
    }

    /// The weights by name order of [`shapes`](Self::shapes), views of the flat tensor.
    ///
    /// # Panics
    /// If the flat tensor has another length.
    pub fn parts(&self, flat: &Tensor) -> Vec<Tensor> {
        let shapes = self.shapes();
        let counts: Vec<i64> = shapes.iter().map(|(_, shape)| shape.iter().product()).collect();
        let parts = flat.split_with_sizes(counts, 0);
        parts.into_iter().zip(shapes).map(|(part, (_, shape))| part.view(&shape[..])).collect()
    }

    /// Runs the network on actions `[T, n, width]`, T from 1. `mask` `[T, n, hidden]` multiplies what
    /// goes into the last linear unit: dropout's, scaled by 1/(1 − p); `None` in evaluation mode.
    pub fn forward(&self, flat: &Tensor, actions: &Tensor, mask: Option<&Tensor>) -> Forward {
        let weights = self.parts(flat);
        let encoded = self.encode(&weights, actions);
        let (outputs, attention) = match self.attention {
            true => self.decode(&weights, actions, encoded),
            false => (encoded, None),
        };
        let outputs = Tensor::stack(&outputs, 0);
        let outputs = mask.map_or_else(|| outputs.shallow_clone(), |mask| &outputs * mask);
        let logits = outputs.linear(&weights[4], Some(&weights[5])).squeeze_dim(-1);
        Forward { logits, attention }
    }

    /// States of the encoder after each step, from a state of zeros.
    fn encode(&self, weights: &[Tensor], actions: &Tensor) -> Vec<Tensor> {
        let sizes = [2 * self.hidden, self.hidden];
        let inputs = actions.linear(&weights[0], Some(&weights[2])).split_with_sizes(sizes, -1);
        let recurrent = weights[1].tr();
        let options = (Kind::Float, actions.device());
        let mut state = Tensor::zeros([actions.size()[1], self.hidden], options);
        let mut states = Vec::new();
        for (gates, candidate) in inputs[0].unbind(0).iter().zip(&inputs[1].unbind(0)) {
            let by_state = weights[3].addmm(&state, &recurrent).split_with_sizes(sizes, -1);
            state = cell::step([gates, candidate], [&by_state[0], &by_state[1]], &state);
            states.push(state.shallow_clone());
        }
        states
    }

    /// States of the decoder after each step, and α_t, given the encoder's states.
    fn decode(
        &self,
        weights: &[Tensor],
        actions: &Tensor,
        encoded: Vec<Tensor>,
    ) -> (Vec<Tensor>, Option<Tensor>) {
        let Some(last) = encoded.last() else { return (Vec::new(), None) };
        let mut state = last.shallow_clone();
        let h = self.hidden;
        // W_c [a; hid; enc] is a sum over its three blocks of columns, of which hid's alone changes from
        // step to step; and W (α a) = α (W a). So the actions are taken in once for all steps, and
        // one product a step takes in hid, for the gates and for e.
        let combine = weights[10].split_with_sizes([self.width, h, h], 1);
        let fixed = actions.linear(&combine[0], Some(&weights[11]))
            + Tensor::stack(&encoded, 0).linear(&combine[2], None::<Tensor>);
        let inputs = actions.linear(&weights[6], None::<Tensor>).unbind(0);
        let recurrent = Tensor::cat(&[&weights[7], &combine[1]], 0).tr();
        let bias = weights[9].constant_pad_nd([0, h]);
        let mut outputs = Vec::new();
        let mut attention = Vec::new();
        for (step, input) in inputs.iter().enumerate() {
            let by_state = bias.addmm(&state, &recurrent).split_with_sizes([2 * h, h, h], -1);
            let combined = (&fixed + &by_state[2]).relu();
            let scores = combined.matmul(&weights[12]).softmax(0, Kind::Float);
            let own = scores.select(0, step as i64);
            let input = (own.unsqueeze(1) * input + &weights[8]).split_with_sizes([2 * h, h], -1);
            state = cell::step([&input[0], &input[1]], [&by_state[0], &by_state[1]], &state);
            outputs.push(state.shallow_clone());
            attention.push(own);
        }
        (outputs, Some(Tensor::stack(&attention, 0)))
    }
}

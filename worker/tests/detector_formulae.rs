//! The networks of the detectors against the paper's formulae, written out in float64, and the cell
//! against PyTorch's GRU.

use advrec::random::{Purpose, generator};
use advrec_worker::detector::architecture::Architecture;
use advrec_worker::detector::cell;
use rand::Rng;
use tch::{Device, Kind, Tensor};

/// A network's weights by name, in float64.
mod reference {
    use std::collections::HashMap;

    pub type Weights = HashMap<&'static str, Vec<f64>>;

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    /// One row of a matrix with so many columns times a vector.
    fn row(matrix: &[f64], columns: usize, i: usize, x: &[f64]) -> f64 {
        matrix[i * columns..][..columns].iter().zip(x).map(|(w, x)| w * x).sum()
    }

    /// Equation 3, unit by unit: gates r, z and the candidate lie one after the other.
    pub fn cell(w: &Weights, part: &str, a: &[f64], h: &[f64]) -> Vec<f64> {
        let get = |name: &str| &w[&format!("{part}.{name}")[..]];
        let (wi, wh, bi, bh) = (get("weight_ih"), get("weight_hh"), get("bias_ih"), get("bias_hh"));
        let n = h.len();
        (0..n)
            .map(|i| {
                let input = |gate: usize| row(wi, a.len(), gate * n + i, a) + bi[gate * n + i];
                let state = |gate: usize| row(wh, n, gate * n + i, h) + bh[gate * n + i];
                let r = sigmoid(input(0) + state(0));
                let z = sigmoid(input(1) + state(1));
                let candidate = (input(2) + r * state(2)).tanh();
                (1.0 - z) * h[i] + z * candidate
            })
            .collect()
    }

    /// Log-odds and α_t of one path, given `[T][width]` actions and `[T][hidden]` dropout factors.
    pub fn forward(
        w: &Weights,
        attention: bool,
        actions: &[Vec<f64>],
        mask: &[Vec<f64>],
    ) -> (Vec<f64>, Vec<f64>) {
        let hidden = w["output.weight"].len();
        let mut h = vec![0.0; hidden];
        let mut encoded = Vec::new();
        for a in actions {
            h = cell(w, "encoder", a, &h);
            encoded.push(h.clone());
        }
        let (mut states, mut weights) = (encoded.clone(), Vec::new());
        if attention {
            for (t, a) in actions.iter().enumerate() {
                let scores: Vec<f64> = actions
                    .iter()
                    .zip(&encoded)
                    .map(|(a, enc)| {
                        let joined = [&a[..], &h, enc].concat();
                        let matrix = &w["attention.combine.weight"];
                        let e: Vec<f64> = (0..hidden)
                            .map(|i| {
                                let bias = w["attention.combine.bias"][i];
                                (row(matrix, joined.len(), i, &joined) + bias).max(0.0)
                            })
                            .collect();
                        row(&w["attention.score.weight"], hidden, 0, &e)
                    })
                    .collect();
                let sum: f64 = scores.iter().map(|s| s.exp()).sum();
                let alpha = scores[t].exp() / sum;
                let weighed: Vec<f64> = a.iter().map(|a| alpha * a).collect();
                h = cell(w, "decoder", &weighed, &h);
                states[t] = h.clone();
                weights.push(alpha);
            }
        }
        let logits = states
            .iter()
            .zip(mask)
            .map(|(h, mask)| {
                let out: Vec<f64> = h.iter().zip(mask).map(|(h, m)| h * m).collect();
                row(&w["output.weight"], hidden, 0, &out) + w["output.bias"][0]
            })
            .collect();
        (logits, weights)
    }
}

/// The networks on some actions, beside the reference.
struct Bench {
    architecture: Architecture,
    flat: Tensor,
    /// `[T, n, width]`
    actions: Tensor,
    /// `[T, n, hidden]`
    mask: Tensor,
    steps: usize,
}

const PATHS: usize = 3;
const WIDTH: usize = 5;
const HIDDEN: usize = 4;
const LABELS: [bool; PATHS] = [true, false, true];

fn numbers(n: usize, range: std::ops::Range<f32>, place: u64) -> Vec<f32> {
    let mut rng = generator(8, Purpose::Synthesis, [2, place, 0]);
    (0..n).map(|_| rng.random_range(range.clone())).collect()
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).contiguous().view(-1)).unwrap()
}

impl Bench {
    fn new(attention: bool, steps: usize) -> Self {
        tch::set_num_threads(1);
        let architecture = Architecture { attention, width: WIDTH as i64, hidden: HIDDEN as i64 };
        // Larger than fresh weights, so that gates and attention are far from even.
        let flat = architecture.initial(4, Device::Cpu) * 2.0;
        let shape = |last: usize| [steps as i64, PATHS as i64, last as i64];
        let actions = Tensor::from_slice(&numbers(steps * PATHS * WIDTH, -1.5..1.5, 0));
        let mask: Vec<f32> = numbers(steps * PATHS * HIDDEN, 0.0..1.0, 1)
            .into_iter()
            .map(|x| if x < 0.5 { 0.0 } else { 2.0 })
            .collect();
        Self {
            architecture,
            flat,
            actions: actions.view(shape(WIDTH)),
            mask: Tensor::from_slice(&mask).view(shape(HIDDEN)),
            steps,
        }
    }

    fn weights(&self, flat: &[f64]) -> reference::Weights {
        let mut rest = flat;
        let mut weights = reference::Weights::new();
        for (name, shape) in self.architecture.shapes() {
            let (own, others) = rest.split_at(shape.iter().product::<i64>() as usize);
            weights.insert(name, own.to_vec());
            rest = others;
        }
        assert!(rest.is_empty());
        weights
    }

    /// Log-odds and α_t by path, given all numbers in float64.
    fn slow(&self, flat: &[f64], actions: &[f64], mask: &[f64]) -> Vec<(Vec<f64>, Vec<f64>)> {
        let weights = self.weights(flat);
        let of = |values: &[f64], path: usize, width: usize| -> Vec<Vec<f64>> {
            (0..self.steps)
                .map(|t| values[(t * PATHS + path) * width..][..width].to_vec())
                .collect()
        };
        (0..PATHS)
            .map(|path| {
                let attention = self.architecture.attention;
                reference::forward(
                    &weights,
                    attention,
                    &of(actions, path, WIDTH),
                    &of(mask, path, HIDDEN),
                )
            })
            .collect()
    }

    /// Summed cross-entropy over steps and paths.
    fn slow_loss(&self, flat: &[f64], actions: &[f64]) -> f64 {
        let mut loss = 0.0;
        for ((logits, _), label) in self.slow(flat, actions, &wide(&self.mask)).iter().zip(LABELS) {
            for x in logits {
                let p = 1.0 / (1.0 + (-x).exp());
                loss -= if label { p } else { 1.0 - p }.ln();
            }
        }
        loss
    }
}

#[test]
fn networks_are_the_formulae() {
    for (attention, steps) in [(false, 4), (true, 4), (true, 2), (true, 1)] {
        let bench = Bench::new(attention, steps);
        for mask in [Some(&bench.mask), None] {
            let forward = bench.architecture.forward(&bench.flat, &bench.actions, mask);
            let (logits, alphas) = (wide(&forward.logits), forward.attention.map(|a| wide(&a)));
            assert_eq!(alphas.is_some(), attention);
            let factors = mask.map_or_else(|| vec![1.0; steps * PATHS * HIDDEN], wide);
            let slow = bench.slow(&wide(&bench.flat), &wide(&bench.actions), &factors);
            for (path, (expected, expected_alphas)) in slow.iter().enumerate() {
                for t in 0..steps {
                    let found = logits[t * PATHS + path];
                    assert!((found - expected[t]).abs() < 2e-6, "{found} {}", expected[t]);
                    if let Some(alphas) = &alphas {
                        let found = alphas[t * PATHS + path];
                        assert!((found - expected_alphas[t]).abs() < 1e-6);
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_those_of_the_formulae() {
    const STEP: f64 = 1e-6;
    for attention in [false, true] {
        let bench = Bench::new(attention, 4);
        let flat = bench.flat.detach().set_requires_grad(true);
        let actions = bench.actions.detach().set_requires_grad(true);
        let forward = bench.architecture.forward(&flat, &actions, Some(&bench.mask));
        let labels = Tensor::from_slice(&LABELS.map(|l| f32::from(u8::from(l))));
        let labels = labels.expand_as(&forward.logits);
        let loss = forward.logits.binary_cross_entropy_with_logits(
            &labels,
            None::<Tensor>,
            None::<Tensor>,
            tch::Reduction::Sum,
        );
        let (weights, inputs) = (wide(&bench.flat), wide(&bench.actions));
        assert!((wide(&loss)[0] - bench.slow_loss(&weights, &inputs)).abs() < 1e-5);
        let gradients = Tensor::run_backward(&[&loss], &[&flat, &actions], false, false);
        let difference = |values: &[f64], i: usize, loss: &dyn Fn(&[f64]) -> f64| {
            let mut moved = values.to_vec();
            moved[i] = values[i] + STEP;
            let up = loss(&moved);
            moved[i] = values[i] - STEP;
            (up - loss(&moved)) / (2.0 * STEP)
        };
        let mut largest: f64 = 0.0;
        for (i, found) in wide(&gradients[0]).into_iter().enumerate() {
            let expected = difference(&weights, i, &|w| bench.slow_loss(w, &inputs));
            assert!((found - expected).abs() < 1e-5, "weight {i}: {found} {expected}");
            largest = largest.max(expected.abs());
        }
        for (i, found) in wide(&gradients[1]).into_iter().enumerate() {
            let expected = difference(&inputs, i, &|a| bench.slow_loss(&weights, a));
            assert!((found - expected).abs() < 1e-5, "input {i}: {found} {expected}");
            assert!(expected.abs() > 1e-8, "input {i} has no influence");
        }
        assert!(largest > 0.1);
    }
}

#[test]
fn the_cell_is_torchs_with_the_update_gate_turned() {
    tch::set_num_threads(1);
    let (d, h) = (WIDTH as i64, HIDDEN as i64);
    let draw = |shape: &[i64], place| {
        let n = shape.iter().product::<i64>() as usize;
        Tensor::from_slice(&numbers(n, -1.0..1.0, place)).view(shape)
    };
    let (w, u) = (draw(&[3 * h, d], 10), draw(&[3 * h, h], 11));
    let (b, c) = (draw(&[3 * h], 12), draw(&[3 * h], 13));
    let (a, state) = (draw(&[7, d], 14), draw(&[7, h], 15));
    let turned = |t: &Tensor| {
        let t = t.copy();
        let _ = t.narrow(0, h, h).neg_();
        t
    };
    let halves = |t: Tensor| t.split_with_sizes([2 * h, h], 1);
    let (input, recurrent) = (halves(a.linear(&w, Some(&b))), halves(state.linear(&u, Some(&c))));
    let own = cell::step([&input[0], &input[1]], [&recurrent[0], &recurrent[1]], &state);
    let torch = a.gru_cell(&state, &turned(&w), &turned(&u), Some(turned(&b)), Some(turned(&c)));
    assert!((&own - torch).abs().max().double_value(&[]) < 1e-6);
    let plain = a.gru_cell(&state, &w, &u, Some(&b), Some(&c));
    assert!((&own - plain).abs().max().double_value(&[]) > 1e-2);
}

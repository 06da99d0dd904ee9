//! Gradients of what attacks raise, against central differences of the same network written out in
//! float64.

use advrec::agent::weights::Weights;
use advrec::attack::{ObjectiveKind, Place, States, Victim};
use advrec::random::{Purpose, generator};
use advrec_worker::policy::Policy;
use advrec_worker::victim::{Evasion, NetworkVictim};
use rand::Rng;
use tch::Device;

/// Step of the differences: their error is about 1e-10 of the numbers here, far below that of the
/// network's float32.
const STEP: f64 = 1e-5;
/// States a network.
const STATES: usize = 12;
/// Where dropout of the attacker's queries is drawn, in the test as in the program.
const DROPOUT: f64 = 0.5;
const PURPOSE: Purpose = Purpose::AgentEvaluation;

/// Weight of a detector's scores in the loss, where there are any.
const LAMBDA: f64 = 3.0;

/// What a state's loss depends on beside the state.
struct RowOf<'a> {
    mask: &'a [bool],
    keep: &'a [Vec<f64>; 2],
    /// A detector's score of each action.
    scores: Option<&'a [f32]>,
}

/// The network in float64: weight `[out, in]` and bias of each layer, l1, l2, actor, critic and the
/// baseline's hidden layers, if any.
struct Reference {
    layers: Vec<(Vec<f64>, Vec<f64>)>,
}

impl Reference {
    fn new(weights: &Weights) -> Self {
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect();
        let tensors: Vec<Vec<f64>> = weights.tensors().map(|(_, _, values)| wide(values)).collect();
        Self { layers: tensors.chunks(2).map(|t| (t[0].clone(), t[1].clone())).collect() }
    }

    fn linear(&self, layer: usize, input: &[f64]) -> Vec<f64> {
        let (weight, bias) = &self.layers[layer];
        let dot = |row: &[f64]| row.iter().zip(input).map(|(w, x)| w * x).sum::<f64>();
        weight.chunks(input.len()).zip(bias).map(|(row, b)| dot(row) + b).collect()
    }

    /// The second hidden layer of the two that begin at `first`; `keep` scales the units of both.
    fn hidden(&self, first: usize, state: &[f64], keep: &[Vec<f64>; 2]) -> Vec<f64> {
        let mut x = state.to_vec();
        for (layer, keep) in (first..first + 2).zip(keep) {
            let elu = |x: f64| if x > 0.0 { x } else { x.exp() - 1.0 };
            let out = self.linear(layer, &x);
            x = out.into_iter().zip(keep).map(|(x, k)| elu(x) * k).collect();
        }
        x
    }

    /// Loss at one state: −V, or −log π of the best valid action; less λ·Σ π(a)·D(a) of a detector's
    /// scores.
    fn loss(&self, state: &[f64], row: &RowOf<'_>, objective: ObjectiveKind) -> f64 {
        let logits = self.linear(2, &self.hidden(0, state, row.keep));
        let valid = || row.mask.iter().enumerate().filter(|(_, m)| **m).map(|(i, _)| i);
        let best = valid().map(|i| logits[i]).fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = valid().map(|i| (logits[i] - best).exp()).sum();
        let loss = match objective {
            ObjectiveKind::Value => {
                let first = if self.layers.len() > 4 { 4 } else { 0 };
                -self.linear(3, &self.hidden(first, state, row.keep))[0]
            }
            ObjectiveKind::Policy => total.ln(),
        };
        let expected: f64 = match row.scores {
            Some(scores) => {
                valid().map(|i| (logits[i] - best).exp() / total * f64::from(scores[i])).sum()
            }
            None => 0.0,
        };
        loss - LAMBDA * expected
    }

    fn gradient(&self, state: &[f32], row: &RowOf<'_>, objective: ObjectiveKind) -> Vec<f64> {
        let mut state: Vec<f64> = state.iter().map(|&x| x.into()).collect();
        (0..state.len())
            .map(|i| {
                let middle = state[i];
                let mut at = |x: f64| {
                    state[i] = x;
                    self.loss(&state, row, objective)
                };
                let slope = (at(middle + STEP) - at(middle - STEP)) / (2.0 * STEP);
                state[i] = middle;
                slope
            })
            .collect()
    }
}

/// Variants of a check.
#[derive(Clone, Copy, Default)]
struct With {
    dropout: bool,
    baseline: bool,
    evasion: bool,
}

/// Weights with wide spread, so that units lie on both sides of zero and logits apart.
fn network(dim: usize, hidden: [usize; 2], actions: usize, seed: u64, baseline: bool) -> Weights {
    let mut drawn = Weights::random(dim, hidden, actions, seed);
    if baseline {
        drawn = drawn.with_baseline(seed);
    }
    let parts = drawn.tensors().map(|(_, shape, values)| {
        (shape.to_vec(), values.iter().map(|x| 2.0 * x).collect::<Vec<f32>>())
    });
    Weights::from_parts(parts.collect()).unwrap()
}

/// The units that dropout keeps in the attacker's queries at a place, drawn again from the generator.
fn kept(place: Place, hidden: [usize; 2], seed: u64) -> [Vec<f64>; 2] {
    // A bit of the hop keeps them apart from the agent's own.
    let [user, hop, path] = place.key();
    let mut rng = generator(seed, PURPOSE, [user, hop | 1 << 32, path]);
    hidden.map(|width| {
        let drawn = (0..width).map(|_| f64::from(rng.random::<u32>()) / 2f64.powi(32));
        drawn.map(|x| if x < DROPOUT { 0.0 } else { 1.0 / (1.0 - DROPOUT) }).collect()
    })
}

fn check(dim: usize, hidden: [usize; 2], actions: usize, seed: u64, with: With) {
    let With { dropout, baseline, evasion } = with;
    tch::set_num_threads(1);
    let weights = network(dim, hidden, actions, seed, baseline);
    let policy = Policy::new(&weights, DROPOUT, Device::Cpu);
    let mut rng = generator(seed, Purpose::Synthesis, [0; 3]);
    let values: Vec<f32> = (0..STATES * dim).map(|_| rng.random_range(-2.0..2.0)).collect();
    let mask: Vec<bool> = (0..STATES * actions).map(|i| i % actions == 0 || rng.random()).collect();
    let places: Vec<Place> =
        (0..STATES as u32).map(|i| Place { user: i, hop: i % 3, path: i / 2 }).collect();
    // Asked about other states than the agent's own, as iterated attacks ask.
    let own = vec![0f32; values.len()];
    let states = States { dim, values: &own, mask: &mask, places: &places };
    let scores: Vec<f32> = (0..STATES * actions).map(|_| rng.random()).collect();
    let evasion = evasion.then(|| Evasion {
        lambda: LAMBDA,
        scores: scores.clone(),
        width: actions,
        rows: places.iter().copied().enumerate().map(|(row, place)| (place, row)).collect(),
    });
    let evades = evasion.is_some();
    let victim = NetworkVictim { policy: &policy, dropout: dropout.then_some(seed), evasion };
    let reference = Reference::new(&weights);
    for objective in [ObjectiveKind::Value, ObjectiveKind::Policy] {
        let found = victim.gradient(&states, &values, objective);
        for row in 0..STATES {
            let state = &values[row * dim..(row + 1) * dim];
            let mask = &mask[row * actions..(row + 1) * actions];
            let keep = match dropout {
                true => kept(places[row], hidden, seed),
                false => hidden.map(|width| vec![1.0; width]),
            };
            let scores = evades.then(|| &scores[row * actions..(row + 1) * actions]);
            let of = RowOf { mask, keep: &keep, scores };
            let expected = reference.gradient(state, &of, objective);
            let largest = expected.iter().fold(0f64, |m, g| m.max(g.abs()));
            let found = &found[row * dim..(row + 1) * dim];
            for (i, (&g, e)) in found.iter().zip(&expected).enumerate() {
                assert!(
                    (f64::from(g) - e).abs() <= 1e-4 * largest + 1e-7,
                    "{objective:?}, d {dim}, hidden {hidden:?}, state {row}, entry {i}: {g}, \
                     by differences {e}"
                );
            }
            let one_action = mask.iter().filter(|m| **m).count() == 1;
            if objective == ObjectiveKind::Policy && one_action {
                assert!(found.iter().all(|&g| g == 0.0), "nothing to choose, nothing to raise");
            }
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let shapes = [(8, [16, 8], 2), (40, [32, 16], 5), (24, [7, 13], 21), (80, [64, 32], 51)];
    for (i, (dim, hidden, actions)) in shapes.into_iter().enumerate() {
        for seed in 0..3 {
            for baseline in [false, true] {
                let with = With { baseline, ..With::default() };
                check(dim, hidden, actions, 10 * i as u64 + seed, with);
            }
        }
    }
}

#[test]
fn values_of_a_baseline_know_nothing_of_the_policys_hidden_layers() {
    let (dim, hidden, actions) = (24, [7, 13], 5);
    let weights = network(dim, hidden, actions, 3, true);
    let other = network(dim, hidden, actions, 4, true);
    // The policy of another network, l1 to actor, before the same critic and baseline.
    let parts = weights.tensors().zip(other.tensors()).enumerate().map(|(i, (own, other))| {
        let (_, shape, values) = if i < Policy::VALUES { other } else { own };
        (shape.to_vec(), values.to_vec())
    });
    let swapped = Weights::from_parts(parts.collect()).unwrap();
    let (values, mask) = (vec![0.5; dim], vec![true; actions]);
    let places = [Place { user: 0, hop: 0, path: 0 }];
    let states = States { dim, values: &values, mask: &mask, places: &places };
    let gradient = |weights: &Weights, objective| {
        let policy = Policy::new(weights, 0.0, Device::Cpu);
        NetworkVictim { policy: &policy, dropout: None, evasion: None }
            .gradient(&states, &values, objective)
    };
    let of_both = |objective| (gradient(&weights, objective), gradient(&swapped, objective));
    let (own, same) = of_both(ObjectiveKind::Value);
    assert_eq!(own, same);
    let (own, different) = of_both(ObjectiveKind::Policy);
    assert_ne!(own, different);
}

#[test]
fn gradients_go_through_the_attackers_own_dropout() {
    for baseline in [false, true] {
        let with = With { dropout: true, baseline, evasion: false };
        check(40, [32, 16], 5, 1, with);
        check(24, [13, 7], 21, 2, with);
    }
}

#[test]
fn an_adaptive_attackers_gradients_weigh_the_detectors_scores() {
    for (baseline, dropout) in [(false, false), (true, false), (false, true)] {
        let with = With { dropout, baseline, evasion: true };
        check(40, [32, 16], 5, 1, with);
        check(24, [13, 7], 21, 2, with);
    }
}

//! Random directions of the norms of FGSM: the control without which no attack row is meaningful.

use super::{Attack, AttackParams, AttackSpec, Norm, Perturbation, Scale, States, Victim};
use crate::random::{Purpose, generator};
use rand::{Rng, RngCore};
use rand_distr::StandardNormal;

const PARAMETERS: &[&str] = &["epsilon"];

pub static LINF: AttackSpec = AttackSpec {
    id: "noise_linf",
    summary: "ε times a random sign in every dimension",
    parameters: PARAMETERS,
    norm: Some(Norm::Linf),
    scale: Scale::One,
    random: true,
};

pub static L2: AttackSpec = AttackSpec {
    id: "noise_l2",
    summary: "ε times a uniformly random direction",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    scale: Scale::One,
    random: true,
};

pub static L1: AttackSpec = AttackSpec {
    id: "noise_l1",
    summary: "budget ε·d on one random dimension with a random sign",
    parameters: PARAMETERS,
    norm: Some(Norm::L1),
    scale: Scale::Dimension,
    random: true,
};

struct Noise {
    norm: Norm,
    epsilon: f32,
    seed: u64,
}

/// The attack of one of this file's specifications.
pub fn build(spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    Box::new(Noise {
        norm: spec.norm.unwrap_or(Norm::L2),
        epsilon: params.epsilon() as f32,
        seed: params.seed,
    })
}

impl Attack for Noise {
    fn perturb(&self, _victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        let dim = states.dim;
        let mut delta = vec![0f32; states.len() * dim];
        for (row, place) in delta.chunks_exact_mut(dim).zip(states.places) {
            let mut rng = generator(self.seed, Purpose::AttackDirection, place.key());
            match self.norm {
                Norm::Linf => {
                    for signs in row.chunks_mut(32) {
                        let mut bits = rng.next_u32();
                        for x in signs {
                            *x = if bits & 1 == 1 { self.epsilon } else { -self.epsilon };
                            bits >>= 1;
                        }
                    }
                }
                Norm::L2 => {
                    row.fill_with(|| rng.sample(StandardNormal));
                    let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
                    let scale = self.epsilon / norm as f32;
                    row.iter_mut().for_each(|x| *x *= scale);
                }
                Norm::L1 => {
                    let budget = self.epsilon * dim as f32;
                    let sign = if rng.random() { 1.0 } else { -1.0 };
                    row[rng.random_range(0..dim)] = sign * budget;
                }
            }
        }
        Perturbation::uniform(delta, 1, states)
    }
}

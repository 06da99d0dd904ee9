//! A black-box attack: the gradient is estimated from losses alone by simultaneous perturbation
//! stochastic approximation (Spall 1992; as an attack: Uesato et al. 2018), and followed as by PGD in the
//! maximum norm.

use super::{
    Attack, AttackParams, AttackSpec, Norm, ObjectiveKind, Perturbation, Scale, States, Victim,
};
use crate::random::{Purpose, generator};
use rand::{Rng, RngCore};

pub static SPSA: AttackSpec = AttackSpec {
    id: "spsa",
    summary: "signs of a gradient that is estimated from queries, within ε in the maximum norm",
    parameters: &["epsilon", "objective", "step", "iterations", "samples", "radius"],
    norm: Some(Norm::Linf),
    scale: Scale::One,
    random: true,
};

struct Spsa {
    epsilon: f64,
    objective: ObjectiveKind,
    step: f64,
    iterations: usize,
    /// Pairs of queries behind each estimate.
    samples: usize,
    /// How far from the state the queries are, in every dimension.
    radius: f64,
    seed: u64,
}

/// The attack of this file's specification.
pub fn build(_spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    Box::new(Spsa {
        epsilon: params.epsilon(),
        objective: params.objective(),
        step: params.step() * params.epsilon(),
        iterations: params.iterations(),
        samples: params.samples(),
        radius: params.radius(),
        seed: params.seed,
    })
}

impl Attack for Spsa {
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        // One generator a state: its draws do not depend on the batch.
        let mut generators: Vec<_> = states
            .places
            .iter()
            .map(|place| generator(self.seed, Purpose::AttackDirection, place.key()))
            .collect();
        let mut delta = vec![0f64; states.values.len()];
        for _ in 0..self.iterations {
            let gradient = self.estimate(victim, states, &delta, &mut generators);
            for (delta, g) in delta.iter_mut().zip(gradient) {
                let step = if g == 0.0 { 0.0 } else { self.step * g.signum() };
                *delta = (*delta + step).clamp(-self.epsilon, self.epsilon);
            }
        }
        let delta = delta.into_iter().map(|x| x as f32).collect();
        Perturbation::uniform(delta, self.iterations as u32, states)
    }
}

impl Spsa {
    /// The mean over random directions u in {−1, 1}ᵈ of (L(s + δ + r·u) − L(s + δ − r·u))·u, which is
    /// the gradient times a positive number, up to terms of higher order in r and the noise of the draws.
    fn estimate(
        &self,
        victim: &dyn Victim,
        states: &States<'_>,
        delta: &[f64],
        generators: &mut [impl RngCore],
    ) -> Vec<f64> {
        let dim = states.dim;
        let mut gradient = vec![0f64; delta.len()];
        let mut direction = vec![0f64; delta.len()];
        let mut values = vec![0f32; delta.len()];
        for _ in 0..self.samples {
            for (direction, rng) in direction.chunks_exact_mut(dim).zip(&mut *generators) {
                direction.fill_with(|| if rng.random() { 1.0 } else { -1.0 });
            }
            let mut loss = |way: f64| {
                for (i, value) in values.iter_mut().enumerate() {
                    let moved = delta[i] + way * self.radius * direction[i];
                    *value = (f64::from(states.values[i]) + moved) as f32;
                }
                victim.loss(states, &values, self.objective)
            };
            let (above, below) = (loss(1.0), loss(-1.0));
            for (row, (above, below)) in above.into_iter().zip(below).enumerate() {
                let rise = f64::from(above) - f64::from(below);
                for i in row * dim..(row + 1) * dim {
                    gradient[i] += rise * direction[i];
                }
            }
        }
        gradient
    }
}

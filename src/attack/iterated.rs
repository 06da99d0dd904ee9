//! Iterated gradient attacks with a projection onto the ball of radius ε: PGD in two norms (Madry et al.
//! 2018) and the momentum iterative method (Dong et al. 2018).

use super::{
    Attack, AttackParams, AttackSpec, Norm, ObjectiveKind, Perturbation, Scale, States, Victim,
};
use crate::random::{Purpose, generator};
use rand::Rng;
use rand_distr::StandardNormal;

const PARAMETERS: &[&str] = &["epsilon", "objective", "step", "iterations", "random_start"];

pub static PGD_LINF: AttackSpec = AttackSpec {
    id: "pgd_linf",
    summary: "iterated signs of the gradient, within ε in the maximum norm",
    parameters: PARAMETERS,
    norm: Some(Norm::Linf),
    scale: Scale::One,
    random: false,
};

pub static PGD_L2: AttackSpec = AttackSpec {
    id: "pgd_l2",
    summary: "iterated normalised gradients, within ε in the Euclidean norm",
    parameters: PARAMETERS,
    norm: Some(Norm::L2),
    scale: Scale::One,
    random: false,
};

pub static MI_FGSM: AttackSpec = AttackSpec {
    id: "mi_fgsm",
    summary: "iterated signs of a running sum of gradients, within ε in the maximum norm",
    parameters: &["epsilon", "objective", "step", "iterations", "decay"],
    norm: Some(Norm::Linf),
    scale: Scale::One,
    random: false,
};

struct Iterated {
    norm: Norm,
    epsilon: f64,
    objective: ObjectiveKind,
    /// Length of a step in the attack's norm.
    step: f64,
    iterations: usize,
    random_start: bool,
    /// Weight of the earlier gradients; 0 for PGD.
    decay: f64,
    seed: u64,
}

/// The attack of one of this file's specifications.
pub fn build(spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    let iterations = params.iterations();
    Box::new(Iterated {
        norm: spec.norm.unwrap_or(Norm::Linf),
        epsilon: params.epsilon(),
        objective: params.objective(),
        step: params.step() * params.epsilon(),
        iterations,
        random_start: params.random_start(),
        decay: if spec.id == MI_FGSM.id { params.decay() } else { 0.0 },
        seed: params.seed,
    })
}

impl Attack for Iterated {
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        let dim = states.dim;
        let mut delta = vec![0f64; states.values.len()];
        if self.random_start {
            for (delta, place) in delta.chunks_exact_mut(dim).zip(states.places) {
                self.start(delta, place.key());
            }
        }
        let mut running = vec![0f64; states.values.len()];
        let mut values = states.values.to_vec();
        for _ in 0..self.iterations {
            for ((value, clean), delta) in values.iter_mut().zip(states.values).zip(&delta) {
                *value = (f64::from(*clean) + delta) as f32;
            }
            let gradient = victim.gradient(states, &values, self.objective);
            let rows = gradient.chunks_exact(dim).zip(running.chunks_exact_mut(dim));
            for ((g, running), delta) in rows.zip(delta.chunks_exact_mut(dim)) {
                let l1: f64 = g.iter().map(|&x| f64::from(x).abs()).sum();
                for (running, &x) in running.iter_mut().zip(g) {
                    let x = if l1 > 0.0 { f64::from(x) / l1 } else { 0.0 };
                    *running = self.decay * *running + x;
                }
                self.advance(running, delta);
                self.project(delta);
            }
        }
        let delta = delta.into_iter().map(|x| x as f32).collect();
        Perturbation::uniform(delta, self.iterations as u32, states)
    }
}

impl Iterated {
    fn advance(&self, direction: &[f64], delta: &mut [f64]) {
        let norm = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (delta, &x) in delta.iter_mut().zip(direction) {
            *delta += match self.norm {
                Norm::L2 if norm > 0.0 => self.step * x / norm,
                Norm::L2 => 0.0,
                _ if x == 0.0 => 0.0,
                _ => self.step * x.signum(),
            };
        }
    }

    fn project(&self, delta: &mut [f64]) {
        match self.norm {
            Norm::L2 => {
                let norm = delta.iter().map(|x| x * x).sum::<f64>().sqrt();
                if norm > self.epsilon {
                    delta.iter_mut().for_each(|x| *x *= self.epsilon / norm);
                }
            }
            _ => delta.iter_mut().for_each(|x| *x = x.clamp(-self.epsilon, self.epsilon)),
        }
    }

    /// A point drawn uniformly from the ball of radius ε.
    fn start(&self, delta: &mut [f64], place: [u64; 3]) {
        let mut rng = generator(self.seed, Purpose::AttackDirection, place);
        match self.norm {
            Norm::L2 => {
                delta.fill_with(|| rng.sample(StandardNormal));
                let norm = delta.iter().map(|x| x * x).sum::<f64>().sqrt();
                let radius = self.epsilon * rng.random::<f64>().powf(1.0 / delta.len() as f64);
                delta.iter_mut().for_each(|x| *x *= radius / norm);
            }
            _ => delta.fill_with(|| self.epsilon * (2.0 * rng.random::<f64>() - 1.0)),
        }
    }
}

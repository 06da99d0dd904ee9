//! The Jacobian-based saliency map attack (Papernot et al. 2016) as the paper shortens it (section 3.1:
//! "the product of the target label and temporal label"), and with the whole saliency map.

use super::victim::retain_unchanged;
use super::{Attack, AttackParams, AttackSpec, Perturbation, Scale, States, TargetRule, Victim};

const PARAMETERS: &[&str] = &["theta", "max_iter", "target"];

pub static JSMA: AttackSpec = AttackSpec {
    id: "jsma",
    summary: "one dimension at a time by θ, by the product of the target's and the best action's slopes",
    parameters: PARAMETERS,
    norm: None,
    scale: Scale::One,
    random: false,
};

pub static FULL: AttackSpec = AttackSpec {
    id: "jsma_full",
    summary: "one dimension at a time by θ, by Papernot's saliency over all other valid actions",
    parameters: PARAMETERS,
    norm: None,
    scale: Scale::One,
    random: false,
};

struct Jsma {
    full: bool,
    theta: f32,
    max_iter: usize,
    target: TargetRule,
}

/// The attack of one of this file's specifications.
pub fn build(spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    Box::new(Jsma {
        full: spec.id == FULL.id,
        theta: params.theta() as f32,
        max_iter: params.max_iter(),
        target: params.target(),
    })
}

/// A state whose best action has not changed yet.
struct Open {
    row: usize,
    best: u32,
    target: u32,
    used: Vec<bool>,
}

impl Attack for Jsma {
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        let dim = states.dim;
        let mut iterations = vec![0; states.len()];
        let mut delta = vec![0f32; states.values.len()];
        let logits = victim.logits(states, states.values);
        let mut open: Vec<Open> = (0..states.len())
            .filter_map(|row| {
                let ranked = states.ranked(&logits, row);
                let target = match self.target {
                    TargetRule::LeastLikely => *ranked.last()?,
                    TargetRule::Second => *ranked.get(1)?,
                };
                // With one valid action there is nothing to change to.
                (ranked.len() > 1).then(|| Open {
                    row,
                    best: ranked[0],
                    target,
                    used: vec![false; dim],
                })
            })
            .collect();
        for _ in 0..self.max_iter.min(dim) {
            if open.is_empty() {
                break;
            }
            let rows: Vec<usize> = open.iter().map(|o| o.row).collect();
            let batch = states.select(&rows, Some(&delta));
            let asked = batch.states();
            let targets: Vec<u32> = open.iter().map(|o| o.target).collect();
            let rise = victim.logit_gradient(&asked, asked.values, &targets);
            let fall = if self.full {
                // The sum over all other valid actions is that over all less the target's.
                let mut all = victim.logit_sum_gradient(&asked, asked.values);
                all.iter_mut().zip(&rise).for_each(|(all, rise)| *all -= rise);
                all
            } else {
                let bests: Vec<u32> = open.iter().map(|o| o.best).collect();
                victim.logit_gradient(&asked, asked.values, &bests)
            };
            for (i, state) in open.iter_mut().enumerate() {
                let slopes = i * dim..(i + 1) * dim;
                let Some((at, sign)) =
                    self.choose(&rise[slopes.clone()], &fall[slopes], &state.used)
                else {
                    continue;
                };
                state.used[at] = true;
                delta[state.row * dim + at] += sign * self.theta;
            }
            rows.iter().for_each(|&row| iterations[row] += 1);
            retain_unchanged(&mut open, victim, states, &delta, |o| (o.row, o.best));
        }
        Perturbation { delta, iterations }
    }
}

impl Jsma {
    /// The unused dimension of greatest saliency (the first of equals) and the way to move it; `None`
    /// where all are used.
    fn choose(&self, rise: &[f32], fall: &[f32], used: &[bool]) -> Option<(usize, f32)> {
        let saliency = |i: usize| {
            let product = -rise[i] * fall[i];
            match self.full {
                // Papernot: zero unless the target rises where the others fall (or the reverse, with θ
                // turned); then the product of the two sizes.
                true if product <= 0.0 => 0.0,
                _ => product,
            }
        };
        let mut at: Option<usize> = None;
        for i in (0..used.len()).filter(|&i| !used[i]) {
            if at.is_none_or(|at| saliency(i) > saliency(at)) {
                at = Some(i);
            }
        }
        let at = at?;
        let sign = if rise[at] > 0.0 {
            1.0
        } else if rise[at] < 0.0 {
            -1.0
        } else {
            0.0
        };
        Some((at, sign))
    }
}

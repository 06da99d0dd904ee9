//! DeepFool (Moosavi-Dezfooli et al. 2016) over the valid actions: the smallest step, by linearising,
//! to where another action becomes the best. The paper samples the candidates "to decrease the
//! computation load" (section 3.1); `candidate_rule` says which of the two.

use super::victim::retain_unchanged;
use super::{Attack, AttackParams, AttackSpec, CandidateRule, Perturbation, Scale, States, Victim};
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;

pub static DEEPFOOL: AttackSpec = AttackSpec {
    id: "deepfool",
    summary: "steps to the nearest linearised boundary until the best action changes",
    parameters: &["candidates", "candidate_rule", "overshoot", "max_iter"],
    norm: None,
    scale: Scale::One,
    random: false,
};

struct DeepFool {
    candidates: usize,
    rule: CandidateRule,
    overshoot: f64,
    max_iter: usize,
    seed: u64,
}

/// The attack of this file's specification.
pub fn build(_spec: &AttackSpec, params: &AttackParams) -> Box<dyn Attack> {
    Box::new(DeepFool {
        candidates: params.candidates(),
        rule: params.candidate_rule(),
        overshoot: params.overshoot(),
        max_iter: params.max_iter(),
        seed: params.seed,
    })
}

/// A state whose best action has not changed yet.
struct Open {
    row: usize,
    best: u32,
    candidates: Vec<u32>,
}

impl Attack for DeepFool {
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation {
        let dim = states.dim;
        let mut iterations = vec![0; states.len()];
        // Steps without overshoot, in float64: they are small beside the states.
        let mut steps = vec![0f64; states.values.len()];
        let mut delta = vec![0f32; states.values.len()];
        let logits = victim.logits(states, states.values);
        let mut open: Vec<Open> = (0..states.len())
            .filter_map(|row| {
                let ranked = states.ranked(&logits, row);
                let (&best, others) = ranked.split_first()?;
                let candidates = self.choose(others, states, row);
                (!candidates.is_empty()).then_some(Open { row, best, candidates })
            })
            .collect();
        for _ in 0..self.max_iter {
            if open.is_empty() {
                break;
            }
            self.step(victim, states, &open, &mut steps, &delta);
            for state in &open {
                for i in state.row * dim..(state.row + 1) * dim {
                    delta[i] = ((1.0 + self.overshoot) * steps[i]) as f32;
                }
            }
            open.iter().for_each(|o| iterations[o.row] += 1);
            retain_unchanged(&mut open, victim, states, &delta, |o| (o.row, o.best));
        }
        Perturbation { delta, iterations }
    }
}

impl DeepFool {
    /// The candidates among the other valid actions, given most probable first.
    fn choose(&self, others: &[u32], states: &States<'_>, row: usize) -> Vec<u32> {
        let mut candidates = others.to_vec();
        if self.rule == CandidateRule::Sample {
            let place = states.places[row].key();
            candidates.shuffle(&mut generator(self.seed, Purpose::AttackDirection, place));
        }
        candidates.truncate(self.candidates);
        candidates
    }

    /// Adds to each open state's steps the one to its nearest boundary.
    fn step(
        &self,
        victim: &dyn Victim,
        states: &States<'_>,
        open: &[Open],
        steps: &mut [f64],
        delta: &[f32],
    ) {
        let dim = states.dim;
        let rows: Vec<usize> = open.iter().map(|o| o.row).collect();
        let batch = states.select(&rows, Some(delta));
        let asked = batch.states();
        let logits = victim.logits(&asked, asked.values);
        let width = asked.actions();
        let bests: Vec<u32> = open.iter().map(|o| o.best).collect();
        let own = victim.logit_gradient(&asked, asked.values, &bests);
        // Distance to the nearest boundary so far, and the step to it.
        let mut nearest = vec![(f64::INFINITY, Vec::new()); open.len()];
        let most = open.iter().map(|o| o.candidates.len()).max().unwrap_or(0);
        for k in 0..most {
            // States with fewer candidates are asked about their last one again, which changes nothing.
            let actions: Vec<u32> =
                open.iter().map(|o| o.candidates[k.min(o.candidates.len() - 1)]).collect();
            let other = victim.logit_gradient(&asked, asked.values, &actions);
            for (i, state) in open.iter().enumerate() {
                let slopes = i * dim..(i + 1) * dim;
                let normal: Vec<f64> = other[slopes.clone()]
                    .iter()
                    .zip(&own[slopes])
                    .map(|(a, b)| f64::from(*a) - f64::from(*b))
                    .collect();
                let square: f64 = normal.iter().map(|x| x * x).sum();
                let logit = |action: u32| f64::from(logits[i * width + action as usize]);
                let gap = (logit(actions[i]) - logit(state.best)).abs();
                if square > 0.0 && gap / square.sqrt() < nearest[i].0 {
                    let scale = gap / square;
                    let step = normal.iter().map(|x| x * scale).collect();
                    nearest[i] = (gap / square.sqrt(), step);
                }
            }
        }
        for (state, (_, step)) in open.iter().zip(nearest) {
            let own = &mut steps[state.row * dim..(state.row + 1) * dim];
            own.iter_mut().zip(step).for_each(|(sum, x)| *sum += x);
        }
    }
}

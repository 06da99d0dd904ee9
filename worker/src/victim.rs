//! The network as the attacker queries it: answers to what attacks ask, computed by libtorch.

use crate::policy::{DropoutMasks, Policy, masked, to_vec};
use advrec::attack::{ObjectiveKind, Place, States, Victim};
use advrec::random::Purpose;
use std::collections::HashMap;
use tch::{Kind, Tensor};

/// A policy under attack.
pub struct NetworkVictim<'a> {
    pub policy: &'a Policy,
    /// Seed of dropout in the attacker's own queries, where the agent keeps dropout on at evaluation.
    pub dropout: Option<u64>,
    /// What an attacker that knows a detector adds to the loss.
    pub evasion: Option<Evasion>,
}

/// The part of an adaptive attacker's loss that keeps it from being detected (Tramèr et al., On Adaptive
/// Attacks to Adversarial Example Defenses, NeurIPS 2020): −λ·Σ_a π(a|s)·D(path, a), the detector's score
/// of the path after the action that the agent takes, in expectation.
pub struct Evasion {
    /// λ
    pub lambda: f64,
    /// D of each valid action of each state, 0 elsewhere, `[n, width]`.
    pub scores: Vec<f32>,
    pub width: usize,
    /// Row of each state.
    pub rows: HashMap<Place, usize>,
}

impl Evasion {
    /// The scores of some of the states, `[n, width]`.
    fn scores_of(&self, states: &States<'_>) -> Tensor {
        let mut scores = Vec::with_capacity(states.len() * self.width);
        for place in states.places {
            match self.rows.get(place) {
                Some(row) => scores.extend(&self.scores[row * self.width..][..self.width]),
                // A state that the attacker did not announce: nothing is known of its actions.
                None => scores.resize(scores.len() + self.width, 0.0),
            }
        }
        Tensor::from_slice(&scores).reshape([states.len() as i64, self.width as i64])
    }
}

/// Bit of a place's hop that keeps the attacker's dropout draws apart from the agent's own.
const ATTACKER: u64 = 1 << 32;

impl NetworkVictim<'_> {
    fn tensor(&self, states: &States<'_>, values: &[f32]) -> Tensor {
        let shape = [states.len() as i64, states.dim as i64];
        Tensor::from_slice(values).reshape(shape).to_device(self.policy.device())
    }

    fn mask(&self, states: &States<'_>) -> Tensor {
        let mask = Tensor::from_slice(states.mask).reshape([states.len() as i64, -1]);
        mask.to_device(self.policy.device())
    }

    /// The same draws for a state in every query.
    fn dropout(&self, states: &States<'_>) -> Option<DropoutMasks> {
        let keys = states.places.iter().map(|place| {
            let [user, hop, path] = place.key();
            [user, hop | ATTACKER, path]
        });
        self.policy.dropout_masks(self.dropout?, Purpose::AgentEvaluation, keys)
    }

    /// Gradient by each state of what `of` makes of it: no state's value may depend on another state.
    fn gradient_of(
        &self,
        states: &States<'_>,
        values: &[f32],
        of: impl Fn(&Tensor) -> Tensor,
    ) -> Vec<f32> {
        let input = self.tensor(states, values);
        let gradient = tch::with_grad(|| {
            let input = input.set_requires_grad(true);
            let total = of(&input).sum(None::<Kind>);
            Tensor::run_backward(&[total], &[&input], false, false).swap_remove(0)
        });
        to_vec(&gradient)
    }

    /// Loss of each of the states, `[n]`, at `values`: −V(s), or −log π(a*|s) for the agent's own best valid
    /// action a*; less the evasion's part.
    fn losses(&self, states: &States<'_>, values: &Tensor, objective: ObjectiveKind) -> Tensor {
        let (mask, dropout) = (self.mask(states), self.dropout(states));
        let logits = |logits: &Tensor| masked(logits, &mask).log_softmax(-1, None::<Kind>);
        let evasion = self.evasion.as_ref().map(|evasion| {
            (evasion.lambda, evasion.scores_of(states).to_device(self.policy.device()))
        });
        let (loss, log_probabilities) = match objective {
            ObjectiveKind::Value if evasion.is_none() => {
                return -self.policy.values(values, dropout.as_ref());
            }
            ObjectiveKind::Value => {
                let output = self.policy.forward(values, dropout.as_ref());
                (-output.values, logits(&output.logits))
            }
            ObjectiveKind::Policy => {
                let log_probabilities = logits(&self.policy.logits(values, dropout.as_ref()));
                // The best action's is the greatest; the gradient of the maximum is that of the entry.
                (-log_probabilities.max_dim(-1, false).0, log_probabilities)
            }
        };
        match evasion {
            None => loss,
            Some((lambda, scores)) => {
                let expected = (log_probabilities.exp() * scores).sum_dim_intlist(
                    [-1i64].as_slice(),
                    false,
                    None::<Kind>,
                );
                loss - expected * lambda
            }
        }
    }
}

impl Victim for NetworkVictim<'_> {
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        self.gradient_of(states, values, |input| self.losses(states, input, objective))
    }

    fn loss(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        let input = self.tensor(states, values);
        to_vec(&tch::no_grad(|| self.losses(states, &input, objective)))
    }

    fn logits(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        let (input, dropout) = (self.tensor(states, values), self.dropout(states));
        to_vec(&tch::no_grad(|| self.policy.logits(&input, dropout.as_ref())))
    }

    fn logit_gradient(&self, states: &States<'_>, values: &[f32], actions: &[u32]) -> Vec<f32> {
        let actions: Vec<i64> = actions.iter().map(|&a| a.into()).collect();
        let index = Tensor::from_slice(&actions).unsqueeze(1).to_device(self.policy.device());
        let dropout = self.dropout(states);
        self.gradient_of(states, values, |input| {
            self.policy.logits(input, dropout.as_ref()).gather(-1, &index, false)
        })
    }

    fn logit_sum_gradient(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        let (mask, dropout) = (self.mask(states), self.dropout(states));
        self.gradient_of(states, values, |input| {
            self.policy.logits(input, dropout.as_ref()) * &mask
        })
    }
}

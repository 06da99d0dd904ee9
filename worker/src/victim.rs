//! The network as the attacker queries it: answers to what attacks ask, computed by libtorch.

use crate::policy::{DropoutMasks, Policy, masked, to_vec};
use advrec::attack::{ObjectiveKind, States, Victim};
use tch::{Kind, Tensor};

/// A policy under attack.
pub struct NetworkVictim<'a> {
    pub policy: &'a Policy,
    /// Dropout of the attacker's own queries, where the agent keeps dropout on at evaluation.
    pub dropout: Option<DropoutMasks>,
}

impl NetworkVictim<'_> {
    fn tensor(&self, states: &States<'_>, values: &[f32]) -> Tensor {
        let shape = [states.len() as i64, states.dim as i64];
        Tensor::from_slice(values).reshape(shape).to_device(self.policy.device())
    }

    fn mask(&self, states: &States<'_>) -> Tensor {
        let mask = Tensor::from_slice(states.mask).reshape([states.len() as i64, -1]);
        mask.to_device(self.policy.device())
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

    /// Loss of each state, `[n]`: −V(s), or −log π(a*|s) for the agent's own best valid action a*.
    fn loss(&self, states: &Tensor, mask: &Tensor, objective: ObjectiveKind) -> Tensor {
        match objective {
            ObjectiveKind::Value => -self.policy.values(states, self.dropout.as_ref()),
            ObjectiveKind::Policy => {
                let logits = self.policy.logits(states, self.dropout.as_ref());
                let log_probabilities = masked(&logits, mask).log_softmax(-1, None::<Kind>);
                // The best action's is the greatest; the gradient of the maximum is that of the entry.
                -log_probabilities.max_dim(-1, false).0
            }
        }
    }
}

impl Victim for NetworkVictim<'_> {
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        let mask = self.mask(states);
        self.gradient_of(states, values, |input| self.loss(input, &mask, objective))
    }

    fn logits(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        let input = self.tensor(states, values);
        to_vec(&tch::no_grad(|| self.policy.logits(&input, self.dropout.as_ref())))
    }

    fn logit_gradient(&self, states: &States<'_>, values: &[f32], actions: &[u32]) -> Vec<f32> {
        let actions: Vec<i64> = actions.iter().map(|&a| a.into()).collect();
        let index = Tensor::from_slice(&actions).unsqueeze(1).to_device(self.policy.device());
        self.gradient_of(states, values, |input| {
            self.policy.logits(input, self.dropout.as_ref()).gather(-1, &index, false)
        })
    }

    fn logit_sum_gradient(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        let mask = self.mask(states);
        self.gradient_of(states, values, |input| {
            self.policy.logits(input, self.dropout.as_ref()) * &mask
        })
    }
}

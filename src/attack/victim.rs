//! What an attack is, and what it may ask of the agent that it attacks.

use super::params::ObjectiveKind;
use super::timing::Place;

/// States of a batch with their valid actions, in flat arrays.
#[derive(Clone, Copy, Debug)]
pub struct States<'a> {
    /// Numbers in a state, d.
    pub dim: usize,
    /// `[n, d]`.
    pub values: &'a [f32],
    /// Whether each action of each state is valid, `[n, actions]`.
    pub mask: &'a [bool],
    /// Where in the rollout each state stands: what random draws are keyed by.
    pub places: &'a [Place],
}

impl States<'_> {
    /// Number of states, n.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// The agent under attack, which answers queries on perturbed states. All answers are of one state at
/// a time: they do not depend on what else is in the batch.
pub trait Victim {
    /// Gradient by the states of the loss that the attack raises (SPEC section 6), `[n, d]`; the
    /// `values` are asked about, which need not be the agent's own states.
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32>;
}

/// An attack: arithmetic over a victim's answers. The contract, which tests check over every
/// registered attack: the perturbation of a state does not depend on the other states of the batch;
/// actions whose mask is false never count; the norm that ε bounds is kept; ε = 0 perturbs nothing.
pub trait Attack: Send + Sync {
    /// Perturbations δ of the states, `[n, d]`.
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Vec<f32>;
}

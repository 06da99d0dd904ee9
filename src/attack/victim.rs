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

    /// Number of the agent's actions, valid or not.
    pub fn actions(&self) -> usize {
        self.mask.len() / self.places.len().max(1)
    }

    /// The valid actions of a state, the one with the greatest logit first, of equals the first.
    pub fn ranked(&self, logits: &[f32], row: usize) -> Vec<u32> {
        let width = self.actions();
        let (logits, mask) = (&logits[row * width..], &self.mask[row * width..(row + 1) * width]);
        let mut actions: Vec<u32> = (0..width as u32).filter(|&a| mask[a as usize]).collect();
        actions.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]).then(a.cmp(&b)));
        actions
    }

    /// The valid action with the greatest logit, of equals the first; `None` where none is valid.
    pub fn best(&self, logits: &[f32], row: usize) -> Option<u32> {
        let width = self.actions();
        let (logits, mask) = (&logits[row * width..], &self.mask[row * width..(row + 1) * width]);
        (0..width as u32)
            .filter(|&a| mask[a as usize])
            .reduce(|a, b| if logits[b as usize] > logits[a as usize] { b } else { a })
    }

    /// Some of the states, perturbed where a perturbation of all states `[n, d]` is given.
    pub fn select(&self, rows: &[usize], delta: Option<&[f32]>) -> Batch {
        let (dim, width) = (self.dim, self.actions());
        let mut batch = Batch { dim, ..Batch::default() };
        for &row in rows {
            let own = row * dim..(row + 1) * dim;
            let values = &self.values[own.clone()];
            match delta {
                Some(delta) => {
                    batch.values.extend(values.iter().zip(&delta[own]).map(|(s, d)| s + d));
                }
                None => batch.values.extend_from_slice(values),
            }
            batch.mask.extend_from_slice(&self.mask[row * width..(row + 1) * width]);
            batch.places.push(self.places[row]);
        }
        batch
    }
}

/// States that are kept: a selection of others.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    dim: usize,
    values: Vec<f32>,
    mask: Vec<bool>,
    places: Vec<Place>,
}

impl Batch {
    /// The states to ask a victim about.
    pub fn states(&self) -> States<'_> {
        States { dim: self.dim, values: &self.values, mask: &self.mask, places: &self.places }
    }
}

/// The agent under attack, which answers queries on perturbed states. All answers are of one state at
/// a time: they do not depend on what else is in the batch.
pub trait Victim {
    /// Gradient by the states of the loss that the attack raises (SPEC section 6), `[n, d]`; the
    /// `values` are asked about, which need not be the agent's own states.
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32>;

    /// Logits of all actions, `[n, actions]`; those of invalid actions mean nothing.
    fn logits(&self, states: &States<'_>, values: &[f32]) -> Vec<f32>;

    /// Gradient by each state of the logit of one action of it, `[n, d]`.
    fn logit_gradient(&self, states: &States<'_>, values: &[f32], actions: &[u32]) -> Vec<f32>;

    /// Gradient by each state of the sum of its valid actions' logits, `[n, d]`.
    fn logit_sum_gradient(&self, states: &States<'_>, values: &[f32]) -> Vec<f32>;
}

/// An attack: arithmetic over a victim's answers. The contract, which tests check over every
/// registered attack: the perturbation of a state does not depend on the other states of the batch;
/// actions whose mask is false never count; the norm that ε bounds is kept; ε = 0 perturbs nothing.
pub trait Attack: Send + Sync {
    /// Perturbations δ of the states, `[n, d]`.
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Vec<f32>;
}

//! What an attack is, and what it may ask of the agent that it attacks.

use super::params::ObjectiveKind;
use super::timing::Place;
use std::cell::RefCell;
use std::collections::HashMap;

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

    /// That loss itself, `[n]`.
    fn loss(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32>;

    /// Logits of all actions, `[n, actions]`; those of invalid actions mean nothing.
    fn logits(&self, states: &States<'_>, values: &[f32]) -> Vec<f32>;

    /// Gradient by each state of the logit of one action of it, `[n, d]`.
    fn logit_gradient(&self, states: &States<'_>, values: &[f32], actions: &[u32]) -> Vec<f32>;

    /// Gradient by each state of the sum of its valid actions' logits, `[n, d]`.
    fn logit_sum_gradient(&self, states: &States<'_>, values: &[f32]) -> Vec<f32>;
}

/// Keeps of some attacked states those whose best valid action, with their perturbation, is still the
/// one that it was: for attacks that go on until it changes. `of` tells the row of an item and the best
/// action of its clean state.
pub fn retain_unchanged<T>(
    open: &mut Vec<T>,
    victim: &dyn Victim,
    states: &States<'_>,
    delta: &[f32],
    of: impl Fn(&T) -> (usize, u32),
) {
    let rows: Vec<usize> = open.iter().map(|item| of(item).0).collect();
    let batch = states.select(&rows, Some(delta));
    let asked = batch.states();
    let logits = victim.logits(&asked, asked.values);
    let mut row = 0..;
    open.retain(|item| row.next().and_then(|i| asked.best(&logits, i)) == Some(of(item).1));
}

/// What an attack makes of a batch of states.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Perturbation {
    /// δ of each state, `[n, d]`.
    pub delta: Vec<f32>,
    /// Steps that the attack took at each state, `[n]`; 1 for one-step attacks, 0 where it did nothing.
    pub iterations: Vec<u32>,
}

impl Perturbation {
    /// The perturbation of an attack that takes as many steps at every state.
    pub fn uniform(delta: Vec<f32>, iterations: u32, states: &States<'_>) -> Self {
        Self { delta, iterations: vec![iterations; states.len()] }
    }
}

/// An attack: arithmetic over a victim's answers. The contract, which tests check over every
/// registered attack: the perturbation of a state does not depend on the other states of the batch;
/// actions whose mask is false never count; the norm that ε bounds is kept; ε = 0 perturbs nothing.
pub trait Attack: Send + Sync {
    /// Perturbs the states.
    fn perturb(&self, victim: &dyn Victim, states: &States<'_>) -> Perturbation;
}

/// What the victim was asked about one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Times that the state, perturbed or not, was put to the network: a gradient counts as one.
    pub queries: u32,
    /// Whether a gradient came back zero, which leaves an attack nothing to follow.
    pub zero_gradient: bool,
}

/// A victim that counts what it is asked, so that no attack has to.
pub struct Metered<'a> {
    victim: &'a dyn Victim,
    rows: HashMap<Place, usize>,
    asked: RefCell<Vec<Asked>>,
}

impl<'a> Metered<'a> {
    /// Counts for the states of a batch, which stand at different places.
    pub fn new(victim: &'a dyn Victim, states: &States<'_>) -> Self {
        Self {
            victim,
            rows: states.places.iter().enumerate().map(|(row, place)| (*place, row)).collect(),
            asked: RefCell::new(vec![Asked::default(); states.len()]),
        }
    }

    /// What was asked about each state, `[n]`.
    pub fn asked(self) -> Vec<Asked> {
        self.asked.into_inner()
    }

    fn count(&self, states: &States<'_>, gradient: Option<&[f32]>) {
        let mut asked = self.asked.borrow_mut();
        for (i, place) in states.places.iter().enumerate() {
            let Some(asked) = self.rows.get(place).and_then(|&row| asked.get_mut(row)) else {
                continue;
            };
            asked.queries += 1;
            if let Some(gradient) = gradient {
                let own = &gradient[i * states.dim..(i + 1) * states.dim];
                asked.zero_gradient |= own.iter().all(|&x| x == 0.0);
            }
        }
    }
}

impl Victim for Metered<'_> {
    fn gradient(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        let gradient = self.victim.gradient(states, values, objective);
        self.count(states, Some(&gradient));
        gradient
    }

    fn loss(&self, states: &States<'_>, values: &[f32], objective: ObjectiveKind) -> Vec<f32> {
        self.count(states, None);
        self.victim.loss(states, values, objective)
    }

    fn logits(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        self.count(states, None);
        self.victim.logits(states, values)
    }

    fn logit_gradient(&self, states: &States<'_>, values: &[f32], actions: &[u32]) -> Vec<f32> {
        let gradient = self.victim.logit_gradient(states, values, actions);
        self.count(states, Some(&gradient));
        gradient
    }

    fn logit_sum_gradient(&self, states: &States<'_>, values: &[f32]) -> Vec<f32> {
        let gradient = self.victim.logit_sum_gradient(states, values);
        self.count(states, Some(&gradient));
        gradient
    }
}

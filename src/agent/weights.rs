//! Weights of the policy and value network on disk: `policy.safetensors` with `l1`, `l2`, `actor` and
//! `critic`, each a weight (out, in) and a bias, float32, as PyTorch lays them out. Where values come
//! from a baseline apart from the policy, `baseline_l1` and `baseline_l2` are its hidden layers, of the
//! shapes of `l1` and `l2`, and `critic` is the head on them.

use crate::random::{Purpose, generator};
use rand::Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// File name in an agent's artefact.
pub const FILE: &str = "policy.safetensors";

const NAMES: [&str; 12] = [
    "l1.weight",
    "l1.bias",
    "l2.weight",
    "l2.bias",
    "actor.weight",
    "actor.bias",
    "critic.weight",
    "critic.bias",
    "baseline_l1.weight",
    "baseline_l1.bias",
    "baseline_l2.weight",
    "baseline_l2.bias",
];

/// Tensors of a network without a baseline apart.
const SHARED: usize = 8;

/// What can be wrong with weights.
#[derive(Debug, Error)]
pub enum WeightsError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a safetensors file: {reason}")]
    Format { path: PathBuf, reason: String },
    #[error("tensor `{name}` is missing; a {} has {}", part(name).0, part(name).1.join(", "))]
    Missing { name: &'static str },
    #[error("tensor `{name}` has shape {found:?}, expected {expected}")]
    Shape { name: &'static str, found: Vec<usize>, expected: String },
    #[error("tensor `{name}` is {found}, expected F32")]
    Kind { name: &'static str, found: String },
    #[error("tensor `{name}` holds a number that is not finite")]
    NotFinite { name: &'static str },
}

/// What a tensor belongs to, and the names of all that do.
fn part(name: &str) -> (&'static str, &'static [&'static str]) {
    match NAMES[SHARED..].contains(&name) {
        true => ("baseline", &NAMES[SHARED..]),
        false => ("policy", &NAMES[..SHARED]),
    }
}

/// The eight tensors of a network, or twelve with a baseline apart, checked against one another.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    parts: Vec<(Vec<usize>, Vec<f32>)>,
}

impl Weights {
    /// Checks tensors in the order of the file layout, each a shape and row-major values: `l1`, `l2`,
    /// `actor`, `critic`, then `baseline_l1` and `baseline_l2` or nothing.
    ///
    /// # Errors
    /// If the shapes do not make a network, or a number is not finite.
    pub fn from_parts(parts: Vec<(Vec<usize>, Vec<f32>)>) -> Result<Self, WeightsError> {
        let count = if parts.len() > SHARED { NAMES.len() } else { SHARED };
        for (i, name) in NAMES.into_iter().enumerate().take(count) {
            let (shape, data) = parts.get(i).ok_or(WeightsError::Missing { name })?;
            let rows = parts[i & !1].0.first().copied().unwrap_or(0);
            let expected = match i {
                0 => (shape.len() == 2).then_some(shape.clone()),
                2 => Some(vec![rows, parts[0].0[0]]),
                4 => Some(vec![rows, parts[2].0[0]]),
                6 => Some(vec![1, parts[2].0[0]]),
                8 | 10 => Some(parts[i - 8].0.clone()),
                _ => Some(vec![rows]),
            };
            let fits =
                expected.as_ref() == Some(shape) && data.len() == shape.iter().product::<usize>();
            if !fits || data.is_empty() {
                let expected = expected.map_or("two dimensions".into(), |e| format!("{e:?}"));
                return Err(WeightsError::Shape { name, found: shape.clone(), expected });
            }
            if data.iter().any(|x| !x.is_finite()) {
                return Err(WeightsError::NotFinite { name });
            }
        }
        Ok(Self { parts })
    }

    /// Fresh weights: uniform in ±1/√in for weights and biases, PyTorch's default for linear layers.
    pub fn random(state_dim: usize, hidden: [usize; 2], actions: usize, seed: u64) -> Self {
        let layers =
            [(hidden[0], state_dim), (hidden[1], hidden[0]), (actions, hidden[1]), (1, hidden[1])];
        let mut weights = Self { parts: Vec::new() };
        for (out, inputs) in layers {
            weights.add_layer(out, inputs, seed);
        }
        weights
    }

    /// The same network, its values from a baseline with fresh hidden layers; one that it had already
    /// is replaced.
    #[must_use]
    pub fn with_baseline(mut self, seed: u64) -> Self {
        self.parts.truncate(SHARED);
        let [first, second] = self.hidden();
        self.add_layer(first, self.state_dim(), seed);
        self.add_layer(second, first, seed);
        self
    }

    /// Whether values come from a baseline apart from the policy.
    pub fn has_baseline(&self) -> bool {
        self.parts.len() > SHARED
    }

    /// Draws the next layer, keyed by its place in the file layout.
    fn add_layer(&mut self, out: usize, inputs: usize, seed: u64) {
        let layer = self.parts.len() as u64 / 2;
        let mut rng = generator(seed, Purpose::AgentInit, [layer, 0, 0]);
        let bound = 1.0 / (inputs as f32).sqrt();
        let mut draw = |n: usize| (0..n).map(|_| rng.random_range(-bound..bound)).collect();
        self.parts.push((vec![out, inputs], draw(out * inputs)));
        self.parts.push((vec![out], draw(out)));
    }

    /// Names, shapes and row-major values.
    pub fn tensors(&self) -> impl Iterator<Item = (&'static str, &[usize], &[f32])> {
        NAMES.into_iter().zip(&self.parts).map(|(n, (shape, data))| (n, &shape[..], &data[..]))
    }

    /// Numbers in a state.
    pub fn state_dim(&self) -> usize {
        self.parts[0].0[1]
    }

    /// Widths of the hidden layers.
    pub fn hidden(&self) -> [usize; 2] {
        [self.parts[0].0[0], self.parts[2].0[0]]
    }

    /// Number of actions, the self-loop among them.
    pub fn action_count(&self) -> usize {
        self.parts[4].0[0]
    }

    /// Reads a file in the layout.
    ///
    /// # Errors
    /// If the file cannot be read, a tensor is missing, or one does not fit the others.
    pub fn load(path: &Path) -> Result<Self, WeightsError> {
        let bytes = fs::read(path).map_err(|source| WeightsError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| WeightsError::Format { path: path.to_owned(), reason: e.to_string() })?;
        let mut parts = Vec::new();
        let baseline = NAMES[SHARED..].iter().any(|name| file.tensor(name).is_ok());
        for name in NAMES.into_iter().take(if baseline { NAMES.len() } else { SHARED }) {
            let view = file.tensor(name).map_err(|_| WeightsError::Missing { name })?;
            if view.dtype() != Dtype::F32 {
                return Err(WeightsError::Kind { name, found: format!("{:?}", view.dtype()) });
            }
            let data = view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect();
            parts.push((view.shape().to_vec(), data));
        }
        Self::from_parts(parts)
    }

    /// Writes the file into an artefact's folder.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), WeightsError> {
        let path = dir.join(FILE);
        let bytes: Vec<Vec<u8>> = self
            .parts
            .iter()
            .map(|(_, data)| data.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::new();
        for ((name, shape, _), bytes) in self.tensors().zip(&bytes) {
            let view = TensorView::new(Dtype::F32, shape.to_vec(), bytes)
                .map_err(|e| WeightsError::Format { path: path.clone(), reason: e.to_string() })?;
            views.push((name, view));
        }
        let encoded = safetensors::serialize(views, None)
            .map_err(|e| WeightsError::Format { path: path.clone(), reason: e.to_string() })?;
        fs::write(&path, encoded).map_err(|source| WeightsError::Io {
            action: "write",
            path: path.clone(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_survive_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let weights = Weights::random(6, [5, 4], 3, 1);
        weights.save(dir.path()).unwrap();
        assert_eq!(Weights::load(&dir.path().join(FILE)).unwrap(), weights);
    }

    #[test]
    fn a_baseline_survives_the_disk_and_leaves_the_policy_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let plain = Weights::random(6, [5, 4], 3, 1);
        let weights = plain.clone().with_baseline(1);
        weights.save(dir.path()).unwrap();
        let loaded = Weights::load(&dir.path().join(FILE)).unwrap();
        assert_eq!(loaded, weights);
        assert!(loaded.has_baseline() && !plain.has_baseline());
        assert_eq!(loaded.parts[..SHARED], plain.parts);
        for (own, shared) in loaded.parts[SHARED..].iter().zip(&plain.parts) {
            assert_eq!(own.0, shared.0);
            assert_ne!(own.1, shared.1);
        }
    }

    #[test]
    fn half_a_baseline_and_one_of_other_shapes_are_refused() {
        let whole = Weights::random(6, [5, 4], 3, 1).with_baseline(1).parts;
        insta::assert_snapshot!(
            Weights::from_parts(whole[..10].to_vec()).unwrap_err(),
            @"tensor `baseline_l2.weight` is missing; a baseline has baseline_l1.weight, baseline_l1.bias, baseline_l2.weight, baseline_l2.bias"
        );
        let mut other = whole;
        other[10] = (vec![3, 5], vec![0.0; 15]);
        insta::assert_snapshot!(
            Weights::from_parts(other).unwrap_err(),
            @"tensor `baseline_l2.weight` has shape [3, 5], expected [4, 5]"
        );
    }

    #[test]
    fn shapes_that_make_no_network_are_refused() {
        let mut parts = Weights::random(6, [5, 4], 3, 1).parts;
        parts[2] = (vec![4, 6], vec![0.0; 24]);
        insta::assert_snapshot!(
            Weights::from_parts(parts.clone()).unwrap_err(),
            @"tensor `l2.weight` has shape [4, 6], expected [4, 5]"
        );
        parts[2] = (vec![4, 5], vec![f32::NAN; 20]);
        insta::assert_snapshot!(
            Weights::from_parts(parts).unwrap_err(),
            @"tensor `l2.weight` holds a number that is not finite"
        );
    }
}

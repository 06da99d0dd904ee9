//! Clipping and the two update rules.

use super::gradient::Gradient;
use super::kernel::dot;
use super::parameters::Parameters;
use super::transe::Optimizer;
use crate::store::checkpoint::{CheckpointError, State};
use multiversion::multiversion;

/// Keeps Adagrad's first step finite; PyTorch's value.
const ADAGRAD_EPSILON: f32 = 1e-10;

/// Names of Adagrad's memory in a checkpoint.
const SQUARES: [&str; 3] = ["entity_squares", "relation_squares", "bias_squares"];

/// An update rule with its memory.
pub enum Update {
    Sgd,
    /// Sums of squared gradients, of the parameters' shapes.
    Adagrad {
        entities: Vec<f32>,
        relations: Vec<f32>,
        biases: Vec<f32>,
    },
}

impl Update {
    pub fn new(optimizer: Optimizer, parameters: &Parameters) -> Self {
        match optimizer {
            Optimizer::Sgd => Update::Sgd,
            Optimizer::Adagrad => Update::Adagrad {
                entities: vec![0.0; parameters.entities.len()],
                relations: vec![0.0; parameters.relations.len()],
                biases: vec![0.0; parameters.biases.len()],
            },
        }
    }

    /// Adds the memory to the state of a training.
    pub fn keep<'a>(&'a self, state: &mut State<'a>) {
        if let Update::Adagrad { entities, relations, biases } = self {
            for (name, values) in SQUARES.into_iter().zip([entities, relations, biases]) {
                state.add(name, values.as_slice());
            }
        }
    }

    /// Takes the memory from the state of a training by the same rule.
    ///
    /// # Errors
    /// If it is not there.
    pub fn restore(&mut self, state: &State<'_>) -> Result<(), CheckpointError> {
        if let Update::Adagrad { entities, relations, biases } = self {
            for (name, values) in SQUARES.into_iter().zip([entities, relations, biases]) {
                state.copy_to(name, values)?;
            }
        }
        Ok(())
    }
}

/// Euclidean norm of the whole gradient of a batch.
#[multiversion(targets("x86_64+avx2"))]
pub fn norm(gradient: &Gradient, stride: usize) -> f64 {
    let mut sum = 0.0;
    for (_, row) in gradient.entities(stride) {
        sum += f64::from(dot(row, row));
    }
    for row in gradient.relations().chunks_exact(stride) {
        sum += f64::from(dot(row, row));
    }
    for &(_, value) in gradient.biases() {
        sum += f64::from(value) * f64::from(value);
    }
    sum.sqrt()
}

/// The factor that brings a gradient of this norm to `clip`, as PyTorch's `clip_grad_norm_`: 1 where
/// the norm is not above.
pub fn clip_factor(norm: f64, clip: f64) -> f32 {
    if norm > clip { (clip / (norm + 1e-6)) as f32 } else { 1.0 }
}

/// Moves the touched parameters against `scale` × the gradient, at this learning rate.
#[multiversion(targets("x86_64+avx2"))]
pub fn apply(
    update: &mut Update,
    parameters: &mut Parameters,
    gradient: &Gradient,
    scale: f32,
    rate: f32,
) {
    let stride = parameters.stride;
    let relations = gradient.relations();
    match update {
        Update::Sgd => {
            let step = -(rate * scale);
            for (node, row) in gradient.entities(stride) {
                let start = node as usize * stride;
                add_to(step, row, &mut parameters.entities[start..start + stride]);
            }
            add_to(step, relations, &mut parameters.relations);
            for &(index, value) in gradient.biases() {
                parameters.biases[index] += step * value;
            }
        }
        Update::Adagrad { entities, relations: squares, biases } => {
            for (node, row) in gradient.entities(stride) {
                let range = node as usize * stride..(node as usize + 1) * stride;
                let values = &mut parameters.entities[range.clone()];
                adagrad(scale, rate, row, &mut entities[range], values);
            }
            adagrad(scale, rate, relations, squares, &mut parameters.relations);
            for &(index, value) in gradient.biases() {
                let range = index..index + 1;
                let values = &mut parameters.biases[range.clone()];
                adagrad(scale, rate, &[value], &mut biases[range], values);
            }
        }
    }
}

#[inline(always)]
fn add_to(scale: f32, x: &[f32], y: &mut [f32]) {
    for (x, y) in x.iter().zip(y) {
        *y += scale * x;
    }
}

#[inline(always)]
fn adagrad(scale: f32, rate: f32, gradient: &[f32], squares: &mut [f32], values: &mut [f32]) {
    for ((g, square), value) in gradient.iter().zip(squares).zip(values) {
        let g = g * scale;
        *square += g * g;
        *value -= rate * g / (square.sqrt() + ADAGRAD_EPSILON);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::batches::{Batch, Epoch};
    use crate::embed::transe::NegativeBias;
    use crate::embed::transe::tests::tiny;
    use crate::kg::Relation;

    fn one_gradient() -> (Parameters, Gradient) {
        let (dataset, space) = tiny(false);
        let parameters = Parameters::initial(&space, 4, 1);
        let mut batch = Batch::default();
        Epoch::new(&dataset, &space, &[], 1, 1).fill(&mut batch, 8);
        let negatives = Relation::ALL.map(|r| vec![space.offset(r.ends().unwrap().1); 3]);
        let mut gradient = Gradient::new(&parameters);
        gradient.compute(&parameters, &batch, &negatives, NegativeBias::Own);
        (parameters, gradient)
    }

    #[test]
    fn a_clipped_step_has_the_length_of_the_clip_and_a_short_one_is_left_alone() {
        let (parameters, gradient) = one_gradient();
        let norm = norm(&gradient, parameters.stride);
        let length = |clip: f64| {
            let mut moved = parameters.clone();
            let scale = clip_factor(norm, clip);
            apply(&mut Update::Sgd, &mut moved, &gradient, scale, 1.0);
            let before = [&parameters.entities, &parameters.relations, &parameters.biases];
            let after = [&moved.entities, &moved.relations, &moved.biases];
            let squares = before.into_iter().flatten().zip(after.into_iter().flatten());
            squares.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
        };
        assert!(norm > 0.5, "norm {norm}");
        assert!((length(0.1) - 0.1).abs() < 1e-5);
        assert!((length(norm * 2.0) - norm).abs() < 1e-5 * norm);
    }

    #[test]
    fn adagrads_first_step_is_the_rate_in_every_touched_direction() {
        let (parameters, gradient) = one_gradient();
        let mut moved = parameters.clone();
        let mut update = Update::new(Optimizer::Adagrad, &parameters);
        apply(&mut update, &mut moved, &gradient, 1.0, 0.1);
        for &(index, value) in gradient.biases() {
            let step = moved.biases[index] - parameters.biases[index];
            assert!((step + 0.1 * value.signum()).abs() < 1e-6);
        }
        // A second step with the same gradient is shorter by √2.
        let first = moved.clone();
        apply(&mut update, &mut moved, &gradient, 1.0, 0.1);
        let (index, _) = gradient.biases()[0];
        let ratio = (moved.biases[index] - first.biases[index])
            / (first.biases[index] - parameters.biases[index]);
        assert!((ratio - 0.5f32.sqrt()).abs() < 1e-4);
    }
}

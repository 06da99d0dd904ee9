//! Training of the networks: binary cross-entropy at every step, Adam, early stopping.

use super::actions::STEPS;
use super::network::Network;
use super::{DetectorError, Draw};
use crate::update::{self, Adam};
use advrec::agent::Path;
use advrec::detect::{DetectorParams, Samples};
use advrec::plan::Metric;
use advrec::random::{Purpose, generator};
use advrec::store::checkpoint::{Checkpoint, CheckpointError, State};
use rand::RngCore;
use rand::seq::SliceRandom;
use rayon::prelude::*;
use std::ops::ControlFlow;
use tch::{Kind, Reduction, Tensor};

/// What an epoch has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EpochReport {
    /// Epochs done, from 1.
    pub epoch: u64,
    /// Mean cross-entropy over the steps of the training paths, as they were met, under dropout.
    pub train_loss: f64,
    /// Mean cross-entropy over the steps of the validation paths.
    pub validation_loss: f64,
    /// F1 at 0.5 of the decisions on the validation paths.
    pub validation_f1: f64,
    /// Area under the ROC curve of the decisions on the validation paths.
    pub validation_auroc: f64,
}

/// Paths of a batch that one thread takes through the network and back; a GPU takes the batch whole.
/// Gradients of the chunks are added in their order: a constant, so that they are the same on any
/// number of cores.
const CHUNK: usize = 256;

/// Names in a checkpoint: the network's weights, those of the best epoch, and the optimiser.
const WEIGHTS: &str = "weights";
const BEST: &str = "best";
const ADAM: &str = "adam";

/// A network as its training goes on.
struct Training {
    network: Network,
    adam: Adam,
    best: Best,
}

/// The epoch with the smallest validation loss.
struct Best {
    loss: f64,
    epoch: u64,
    /// The network's weights then.
    flat: Tensor,
}

impl Training {
    fn new(network: Network, params: &DetectorParams) -> Self {
        let tensors = [network.flat.shallow_clone()];
        let adam = Adam::with_weight_decay(&tensors, params.weight_decay, params.decay);
        let best = Best { loss: f64::INFINITY, epoch: 0, flat: network.flat.copy() };
        Self { network, adam, best }
    }

    /// All that the next epoch and the choice of the best one depend on.
    fn state(&self, epoch: u64, metrics: &[Metric]) -> State<'static> {
        let mut state = State::new(epoch, metrics);
        update::keep(WEIGHTS, std::slice::from_ref(&self.network.flat), &mut state);
        update::keep(BEST, std::slice::from_ref(&self.best.flat), &mut state);
        state.add_number("best_loss", self.best.loss);
        state.add_number("best_epoch", self.best.epoch as f64);
        self.adam.keep(ADAM, &mut state);
        state
    }

    fn restore(&mut self, state: &State<'_>) -> Result<(), CheckpointError> {
        update::restore(WEIGHTS, std::slice::from_mut(&mut self.network.flat), state)?;
        update::restore(BEST, std::slice::from_mut(&mut self.best.flat), state)?;
        self.best.loss = state.number("best_loss")?;
        self.best.epoch = state.number("best_epoch")? as u64;
        self.adam.restore(ADAM, state)
    }
}

/// Trains a network from fresh weights, or from where `checkpoint` is; the training is kept there as it
/// goes on. Ends early after `patience` epochs without a better validation loss; the weights of the
/// best epoch stay.
pub(super) fn train(
    fresh: impl Fn() -> Network,
    params: &DetectorParams,
    training: &Samples,
    validation: &Samples,
    checkpoint: &mut Checkpoint,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Network, Vec<Metric>), DetectorError> {
    let fresh = || -> Result<_, DetectorError> { Ok(Training::new(fresh(), params)) };
    let (mut trained, done, mut metrics) = checkpoint.resume(fresh, Training::restore)?;
    let (paths, validated) = (training.len() as u64, validation.len() as u64);
    for epoch in done..params.epochs {
        let Training { network, adam, best } = &mut trained;
        let train_loss = run_epoch(network, adam, params, training, epoch)?;
        let found = network.assess(validation);
        let report = EpochReport {
            epoch: epoch + 1,
            train_loss,
            validation_loss: found.loss,
            validation_f1: found.f1,
            // Both labels occur, or there is no training.
            validation_auroc: found.auroc.unwrap_or(0.5),
        };
        if !found.loss.is_finite() {
            return Err(DetectorError::Diverged { epoch: epoch + 1 });
        }
        for (name, value, n) in [
            ("train_loss", train_loss, paths),
            ("validation_loss", report.validation_loss, validated),
            ("validation_f1", report.validation_f1, validated),
            ("validation_auroc", report.validation_auroc, validated),
        ] {
            metrics.push(Metric::new(name, format!("epoch/{}", epoch + 1), value, n));
        }
        if found.loss < best.loss {
            *best = Best { loss: found.loss, epoch: epoch + 1, flat: network.flat.copy() };
        }
        let waited = epoch + 1 - best.epoch;
        let ends = epoch + 1 == params.epochs || waited > 0 && waited >= params.patience;
        let stops = on_epoch(report).is_break();
        if ends {
            break;
        }
        checkpoint.keep(stops, || trained.state(epoch + 1, &metrics));
        if stops {
            return Err(DetectorError::Stopped { epoch: epoch + 1 });
        }
    }
    let Training { mut network, best, .. } = trained;
    metrics.push(Metric::new("best_epoch", "all", best.epoch as f64, validated));
    network.flat = best.flat;
    Ok((network, metrics))
}

/// One pass over the training paths in a random order; returns their mean loss.
fn run_epoch(
    network: &mut Network,
    adam: &mut Adam,
    params: &DetectorParams,
    training: &Samples,
    epoch: u64,
) -> Result<f64, DetectorError> {
    let mut order: Vec<u32> = (0..training.len() as u32).collect();
    order.shuffle(&mut generator(params.seed, Purpose::Detection, [Draw::Order as u64, epoch, 0]));
    let batch_size = params.batch.max(1) as usize;
    let chunk_size = if network.flat.device().is_cuda() { batch_size } else { CHUNK };
    let mut sum = 0.0;
    for (batch, rows) in order.chunks(batch_size).enumerate() {
        // Each chunk has leaves of its own over the shared weights, and so its own graph.
        let chunks: Vec<_> = rows.chunks(chunk_size).map(|rows| (rows, network.shared())).collect();
        let results: Vec<(f64, Tensor)> = chunks
            .into_par_iter()
            .enumerate()
            .map(|(chunk, (rows, network))| {
                let at = [Draw::Dropout as u64, epoch, (batch as u64) << 32 | chunk as u64];
                chunk_gradient(&network, params, training, rows, at)
            })
            .collect();
        let steps = (rows.len() * STEPS) as f64;
        let loss = results.iter().map(|(loss, _)| loss).sum::<f64>();
        if !loss.is_finite() {
            return Err(DetectorError::Diverged { epoch: epoch + 1 });
        }
        sum += loss;
        let total = results.into_iter().map(|(_, gradient)| gradient).reduce(|a, b| a + b);
        // A batch has at least one row.
        if let Some(gradient) = total {
            let mut tensors = [network.flat.shallow_clone()];
            adam.step(&[gradient / steps], &mut tensors, params.learning_rate);
        }
    }
    Ok(sum / (training.len() * STEPS).max(1) as f64)
}

/// Summed loss over the steps of some training paths, and its gradient by the flat weights.
fn chunk_gradient(
    network: &Network,
    params: &DetectorParams,
    training: &Samples,
    rows: &[u32],
    at: [u64; 3],
) -> (f64, Tensor) {
    let device = network.flat.device();
    let paths: Vec<Path> = rows.iter().map(|&row| training.paths[row as usize]).collect();
    let labels: Vec<f32> =
        rows.iter().map(|&row| f32::from(u8::from(training.labels[row as usize]))).collect();
    let labels = Tensor::from_slice(&labels).to_device(device);
    let hidden = network.architecture.hidden;
    let mask = (params.dropout > 0.0).then(|| {
        let shape = [STEPS as i64, rows.len() as i64, hidden];
        let count = STEPS * rows.len() * hidden as usize;
        let mask = dropout_mask(count, params.dropout, params.seed, at);
        Tensor::from_slice(&mask).view(shape).to_device(device)
    });
    let flat = network.flat.detach().set_requires_grad(true);
    let actions = network.actions.gather(&paths, STEPS);
    let forward = network.architecture.forward(&flat, &actions, mask.as_ref());
    let labels = labels.expand_as(&forward.logits);
    let loss = forward.logits.binary_cross_entropy_with_logits(
        &labels,
        None::<Tensor>,
        None::<Tensor>,
        Reduction::Sum,
    );
    let gradient = Tensor::run_backward(&[&loss], &[&flat], false, false).swap_remove(0);
    (loss.to_kind(Kind::Double).double_value(&[]), gradient)
}

/// Zeroes with this probability, otherwise 1/(1 − p).
fn dropout_mask(count: usize, p: f64, seed: u64, at: [u64; 3]) -> Vec<f32> {
    let limit = (p * 2f64.powi(32)) as u32;
    let scale = (1.0 / (1.0 - p)) as f32;
    let mut rng = generator(seed, Purpose::Detection, at);
    let mut bytes = vec![0; 4 * count];
    rng.fill_bytes(&mut bytes);
    let (draws, _) = bytes.as_chunks::<4>();
    draws.iter().map(|&b| if u32::from_le_bytes(b) < limit { 0.0 } else { scale }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_its_draws_to_their_place() {
        let mask = |p, at| dropout_mask(40_000, p, 1, at);
        for p in [0.2, 0.5] {
            let drawn = mask(p, [0, 0, 0]);
            let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
            assert!(drawn.iter().all(|&x| x == 0.0 || x == (1.0 / (1.0 - p)) as f32));
        }
        assert_eq!(mask(0.5, [0, 1, 2]), mask(0.5, [0, 1, 2]));
        assert_ne!(mask(0.5, [0, 1, 2]), mask(0.5, [0, 1, 3]));
    }
}

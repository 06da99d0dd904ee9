//! Training of TransE as PGPR does it (SPEC section 2), on one core and with the same bits whatever
//! else the machine does.

use super::batches::{Batch, Epoch, occurrences};
use super::embeddings::Embeddings;
use super::gradient::Gradient;
use super::optimizer::{Update, apply, clip_factor, norm};
use super::parameters::Parameters;
use super::sampling::{Negatives, keep_probabilities, negatives};
use super::schedule::LinearDecay;
use crate::data::Dataset;
use crate::kg::{Graph, NodeSpace, Relation};
use crate::plan::Metric;
use crate::random::{Purpose, generator};
use crate::store::checkpoint::{Checkpoint, CheckpointError, State};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Kind of embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Transe,
}

/// Update rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// PGPR's.
    Sgd,
    /// Adagrad with a memory per parameter that only touched parameters use. For larger batches:
    /// its steps do not shrink with the share that one item has in a batch's mean. It wants a
    /// smaller learning rate than `sgd`: the first step of a parameter is the rate itself.
    Adagrad,
}

/// Which tail's bias a negative's logit gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NegativeBias {
    /// The positive tail's, as PGPR's program does.
    PositiveTail,
    /// The negative's own.
    Own,
}

/// Parameters of the embedding stage; the names are the grid's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TransEParams {
    pub method: Method,
    pub dimension: usize,
    pub epochs: u64,
    /// Items a batch.
    pub batch: usize,
    pub optimizer: Optimizer,
    /// The first one; it falls linearly to 1e-4 of it.
    pub learning_rate: f64,
    /// Negatives a batch and relation.
    pub negatives: usize,
    /// Largest norm of a batch's gradient.
    pub clip: f64,
    pub negative_bias: NegativeBias,
    /// Share of all tokens above which a word counts as frequent.
    pub subsample: f64,
    pub seed: u64,
}

impl Default for TransEParams {
    fn default() -> Self {
        Self {
            method: Method::Transe,
            dimension: 100,
            epochs: 30,
            batch: 64,
            optimizer: Optimizer::Sgd,
            learning_rate: 0.5,
            negatives: 5,
            clip: 5.0,
            negative_bias: NegativeBias::PositiveTail,
            subsample: 1e-4,
            seed: 1,
        }
    }
}

/// Why there is no embedding.
#[derive(Debug, Error)]
pub enum TransEError {
    #[error("embedding parameter `{name}` is {value}; it must be {range}")]
    Parameter { name: &'static str, value: String, range: &'static str },
    #[error("the graph was made from another dataset: their numbers of entities differ")]
    OtherGraph,
    #[error("the dataset has no {what} in its train part to learn an embedding from")]
    NothingToLearn { what: &'static str },
    #[error(
        "the embedding's loss was no longer a number in epoch {epoch}; try a smaller \
         `embedding.learning_rate`"
    )]
    Diverged { epoch: u64 },
    #[error("training of the embedding was stopped after epoch {epoch}")]
    Stopped { epoch: u64 },
}

/// What an epoch did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Counted from 1.
    pub epoch: u64,
    pub epochs: u64,
    /// Mean over the items of their batches' losses.
    pub loss: f64,
    pub items: u64,
    pub wall: Duration,
}

/// Trains an embedding of `dataset`, whose nodes are numbered as in `graph`. `progress` sees every
/// epoch and may stop the training. The metrics are `train_loss`, one an epoch.
///
/// # Errors
/// If a parameter is out of range, there is nothing to learn from, the loss is no longer finite, or
/// `progress` stops the training.
pub fn train(
    dataset: &Dataset,
    graph: &Graph,
    params: &TransEParams,
    progress: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Embeddings, Vec<Metric>), TransEError> {
    resume(dataset, graph, params, &mut Checkpoint::none(), progress)
}

/// As [`train`], from where `checkpoint` is; the training is kept there as it goes on, and when
/// `progress` stops it.
///
/// # Errors
/// As [`train`].
pub fn resume(
    dataset: &Dataset,
    graph: &Graph,
    params: &TransEParams,
    checkpoint: &mut Checkpoint,
    progress: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Embeddings, Vec<Metric>), TransEError> {
    let fresh = || Trainer::new(dataset, graph, params);
    let (mut trainer, done, mut metrics) = checkpoint.resume(fresh, Trainer::restore)?;
    for epoch in done + 1..=params.epochs {
        let report = trainer.epoch(epoch, &mut |_| true);
        if !report.loss.is_finite() {
            return Err(TransEError::Diverged { epoch });
        }
        if report.items > 0 {
            let split = format!("epoch/{epoch}");
            metrics.push(Metric::new("train_loss", split, report.loss, report.items));
        }
        let stops = progress(report).is_break();
        if epoch < params.epochs {
            checkpoint.keep(stops, || trainer.state(epoch, &metrics));
            if stops {
                return Err(TransEError::Stopped { epoch });
            }
        }
    }
    Ok((trainer.parameters.into_embeddings(), metrics))
}

/// How fast training is: trains for about `limit`, at most one epoch, and says what was done.
///
/// # Errors
/// As [`train`], save that it is not stopped.
pub fn measure(
    dataset: &Dataset,
    graph: &Graph,
    params: &TransEParams,
    limit: Duration,
) -> Result<EpochReport, TransEError> {
    let mut trainer = Trainer::new(dataset, graph, params)?;
    let start = Instant::now();
    Ok(trainer.epoch(1, &mut |batch| batch % 64 != 0 || start.elapsed() < limit))
}

struct Trainer<'a> {
    dataset: &'a Dataset,
    space: &'a NodeSpace,
    params: &'a TransEParams,
    parameters: Parameters,
    update: Update,
    gradient: Gradient,
    negatives: [Option<Negatives>; Relation::COUNT],
    keep: Vec<f32>,
    rate: LinearDecay,
}

impl<'a> Trainer<'a> {
    fn new(
        dataset: &'a Dataset,
        graph: &'a Graph,
        params: &'a TransEParams,
    ) -> Result<Self, TransEError> {
        params.check()?;
        let space = &graph.space;
        if *space != NodeSpace::new(dataset.counts) {
            return Err(TransEError::OtherGraph);
        }
        let per_epoch = occurrences(dataset);
        if per_epoch == 0 && params.epochs > 0 {
            let what = if dataset.has_words { "review word" } else { "purchase" };
            return Err(TransEError::NothingToLearn { what });
        }
        let parameters = Parameters::initial(space, params.dimension, params.seed);
        Ok(Self {
            dataset,
            space,
            params,
            update: Update::new(params.optimizer, &parameters),
            gradient: Gradient::new(&parameters),
            parameters,
            negatives: negatives(dataset, space),
            keep: if dataset.has_words {
                keep_probabilities(dataset, params.subsample)
            } else {
                Vec::new()
            },
            rate: LinearDecay {
                first: params.learning_rate,
                total: per_epoch.saturating_mul(params.epochs),
            },
        })
    }

    /// All that the next epoch depends on; the learning rate follows from the number of epochs.
    fn state(&self, epoch: u64, metrics: &[Metric]) -> State<'_> {
        let mut state = State::new(epoch, metrics);
        let Parameters { entities, relations, biases, .. } = &self.parameters;
        for (name, values) in [("entities", entities), ("relations", relations), ("biases", biases)]
        {
            state.add(name, values.as_slice());
        }
        self.update.keep(&mut state);
        state
    }

    fn restore(&mut self, state: &State<'_>) -> Result<(), CheckpointError> {
        let Parameters { entities, relations, biases, .. } = &mut self.parameters;
        for (name, values) in [("entities", entities), ("relations", relations), ("biases", biases)]
        {
            state.copy_to(name, values)?;
        }
        self.update.restore(state)
    }

    /// One epoch, unless `go_on`, asked before each batch by its number, says no.
    fn epoch(&mut self, epoch: u64, go_on: &mut dyn FnMut(u64) -> bool) -> EpochReport {
        let start = Instant::now();
        let seed = self.params.seed;
        let mut rng = generator(seed, Purpose::EmbeddingTraining, [epoch, 1, 0]);
        let mut walk = Epoch::new(self.dataset, self.space, &self.keep, seed, epoch);
        let before = (epoch - 1) * occurrences(self.dataset);
        let mut batch = Batch::default();
        let mut drawn: [Vec<u32>; Relation::COUNT] = Default::default();
        let (mut loss, mut items, mut batches) = (0.0, 0u64, 0u64);
        let mut walked = 0;
        while go_on(batches) && walk.fill(&mut batch, self.params.batch) {
            for (nodes, distribution) in drawn.iter_mut().zip(&self.negatives) {
                nodes.clear();
                if let Some(distribution) = distribution {
                    nodes.extend((0..self.params.negatives).map(|_| distribution.draw(&mut rng)));
                }
            }
            let batch_loss =
                self.gradient.compute(&self.parameters, &batch, &drawn, self.params.negative_bias);
            let norm = norm(&self.gradient, self.parameters.stride);
            let scale = clip_factor(norm, self.params.clip);
            let rate = self.rate.at(before + walked);
            apply(&mut self.update, &mut self.parameters, &self.gradient, scale, rate);
            loss += batch_loss * batch.len() as f64;
            items += batch.len() as u64;
            batches += 1;
            walked = walk.walked();
        }
        let loss = if items > 0 { loss / items as f64 } else { 0.0 };
        EpochReport { epoch, epochs: self.params.epochs, loss, items, wall: start.elapsed() }
    }
}

impl TransEParams {
    fn check(&self) -> Result<(), TransEError> {
        let at_least_one =
            [("dimension", self.dimension), ("batch", self.batch), ("negatives", self.negatives)];
        for (name, value) in at_least_one {
            if value == 0 {
                let value = value.to_string();
                return Err(TransEError::Parameter { name, value, range: "at least 1" });
            }
        }
        let positive = [
            ("learning_rate", self.learning_rate),
            ("clip", self.clip),
            ("subsample", self.subsample),
        ];
        for (name, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                let value = value.to_string();
                return Err(TransEError::Parameter { name, value, range: "a number above 0" });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests;

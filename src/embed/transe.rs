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
    let mut trainer = Trainer::new(dataset, graph, params)?;
    let mut metrics = Vec::new();
    for epoch in 1..=params.epochs {
        let report = trainer.epoch(epoch, &mut |_| true);
        if !report.loss.is_finite() {
            return Err(TransEError::Diverged { epoch });
        }
        if report.items > 0 {
            let split = format!("epoch/{epoch}");
            metrics.push(Metric::new("train_loss", split, report.loss, report.items));
        }
        if progress(report).is_break() && epoch < params.epochs {
            return Err(TransEError::Stopped { epoch });
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
pub mod tests {
    use super::*;
    use crate::data::{Interactions, Rows};
    use crate::kg::EntityType;

    fn rows(rows: &[&[u32]]) -> Rows {
        let mut out = Rows::new();
        rows.iter().for_each(|row| out.push(row.iter().copied()));
        out
    }

    /// 3 users, 4 products, 3 words, 2 brands, 2 categories, 3 related products.
    pub fn tiny(has_words: bool) -> (Dataset, NodeSpace) {
        let words: &[&[u32]] = &[&[0, 1, 1], &[], &[2, 2, 0, 1], &[1], &[0, 0]];
        let dataset = Dataset {
            counts: [3, 4, if has_words { 3 } else { 0 }, 2, 2, 3],
            has_words,
            train: Interactions {
                users: vec![0, 0, 1, 2, 2],
                products: vec![0, 1, 1, 2, 3],
                words: rows(if has_words { words } else { &[&[] as &[u32]; 5] }),
            },
            test: Interactions { users: vec![0], products: vec![3], words: rows(&[&[]]) },
            product_relations: [
                rows(&[&[0], &[1], &[], &[1]]),
                rows(&[&[0, 1], &[1], &[0], &[0, 1]]),
                rows(&[&[0, 1, 2, 1], &[], &[2], &[0]]),
                rows(&[&[], &[], &[], &[]]),
                rows(&[&[2], &[], &[], &[1]]),
            ],
        };
        let space = NodeSpace::new(dataset.counts);
        (dataset, space)
    }

    fn graph(space: &NodeSpace) -> Graph {
        Graph {
            space: space.clone(),
            offsets: vec![0; space.len() + 1],
            relations: Vec::new(),
            tails: Vec::new(),
            train_products: rows(&[&[0, 1], &[1], &[2, 3]]),
            test_products: rows(&[&[3], &[], &[]]),
        }
    }

    fn small() -> TransEParams {
        TransEParams {
            dimension: 12,
            epochs: 40,
            batch: 4,
            // Tiny data has only frequent words: keep them all.
            subsample: 1.0,
            ..TransEParams::default()
        }
    }

    fn never(_: EpochReport) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn the_loss_falls_and_purchases_score_above_other_products() {
        for (has_words, optimizer, learning_rate) in [
            (true, Optimizer::Sgd, 0.5),
            (false, Optimizer::Sgd, 0.5),
            (true, Optimizer::Adagrad, 0.1),
        ] {
            let (dataset, space) = tiny(has_words);
            let params =
                TransEParams { epochs: 200, subsample: 1.0, optimizer, learning_rate, ..small() };
            let (embeddings, metrics) =
                train(&dataset, &graph(&space), &params, &mut never).unwrap();
            assert_eq!(metrics.len(), 200);
            assert_eq!(
                (metrics[0].name.as_str(), metrics[0].split.as_str()),
                ("train_loss", "epoch/1")
            );
            assert!(metrics[199].value < 0.8 * metrics[0].value, "{metrics:?}");
            let score = |user: u32, product: u32| -> f32 {
                let user = embeddings.entity(space.node(EntityType::User, user));
                let product = embeddings.entity(space.node(EntityType::Product, product));
                let relation = embeddings.relation(Relation::Purchase);
                (0..12).map(|d| (user[d] + relation[d]) * product[d]).sum()
            };
            assert!(score(1, 1) > score(1, 0) && score(1, 1) > score(1, 2));
            assert!(embeddings.relation(Relation::SelfLoop).iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
        let (dataset, space) = tiny(true);
        let run = |seed| {
            let params = TransEParams { seed, ..small() };
            train(&dataset, &graph(&space), &params, &mut never).unwrap()
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
    }

    #[test]
    fn without_epochs_the_vectors_are_the_initial_ones() {
        let (dataset, space) = tiny(true);
        let params = TransEParams { epochs: 0, ..small() };
        let (embeddings, metrics) = train(&dataset, &graph(&space), &params, &mut never).unwrap();
        assert!(metrics.is_empty());
        let bound = 0.5 / 12.0;
        assert!(embeddings.entities.iter().all(|v| v.abs() <= bound));
        let largest = embeddings.entities.iter().fold(0.0f32, |a, v| a.max(v.abs()));
        assert!(largest > 0.9 * bound);
    }

    #[test]
    fn parameters_are_read_by_their_grid_names() {
        let text = serde_json::json!({"method": "transe", "optimizer": "adagrad", "batch": 512,
            "negative_bias": "own", "seed": 9});
        let params: TransEParams = serde_json::from_value(text).unwrap();
        assert_eq!((params.batch, params.seed, params.epochs), (512, 9, 30));
        let unknown = serde_json::json!({"epoch": 3});
        assert!(serde_json::from_value::<TransEParams>(unknown).is_err());
    }

    #[test]
    fn errors_say_what_to_change() {
        let (dataset, space) = tiny(true);
        let graph = graph(&space);
        let fail = |params: TransEParams, dataset: &Dataset| {
            train(dataset, &graph, &params, &mut |r| {
                if r.epoch == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap_err()
            .to_string()
        };
        insta::assert_snapshot!(fail(TransEParams { clip: 0.0, ..small() }, &dataset), @"embedding parameter `clip` is 0; it must be a number above 0");
        insta::assert_snapshot!(fail(TransEParams { batch: 0, ..small() }, &dataset), @"embedding parameter `batch` is 0; it must be at least 1");
        insta::assert_snapshot!(fail(small(), &dataset), @"training of the embedding was stopped after epoch 2");
        insta::assert_snapshot!(fail(TransEParams { learning_rate: 1e30, clip: 1e30, ..small() }, &dataset), @"the embedding's loss was no longer a number in epoch 1; try a smaller `embedding.learning_rate`");
        let mut empty = dataset.clone();
        empty.train = Interactions { words: Rows::new(), ..Interactions::default() };
        insta::assert_snapshot!(fail(small(), &empty), @"the dataset has no review word in its train part to learn an embedding from");
        let mut other = dataset.clone();
        other.counts[0] += 1;
        insta::assert_snapshot!(fail(small(), &other), @"the graph was made from another dataset: their numbers of entities differ");
    }
}

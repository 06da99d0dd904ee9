//! Detectors of attacked paths (SPEC section 8, the paper's section 2.3): the paper's network over
//! action sequences, a plain one, and baselines that are no networks, all behind [`Detector`].

pub mod actions;
pub mod architecture;
pub mod cell;
pub mod curve;
mod distances;
mod file;
pub mod kernel_density;
pub mod lid;
pub mod logistic;
pub mod mahalanobis;
pub mod network;
pub mod one_class;
mod training;

pub use file::{FILE, load, save};
pub use training::EpochReport;

use actions::{Actions, STEPS};
use advrec::agent::Path;
use advrec::agent::path::HOPS;
use advrec::detect::{DetectorParams, Method, Part, Samples};
use advrec::embed::Embeddings;
use advrec::plan::Metric;
use advrec::store::Checkpoint;
use architecture::Architecture;
use logistic::Logistic;
use network::Network;
use one_class::OneClass;
use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;
use tch::{Device, Kind, TchError, Tensor};
use thiserror::Error;

/// Probabilities that paths are attacked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores {
    /// `[n]`, the decision on each path ([`DetectorParams::decision`] for the networks).
    pub decision: Vec<f32>,
    /// `[n, length]`, row by row: the probability after each step; empty for methods without steps.
    pub steps: Vec<f32>,
    /// `[n, length]`, row by row: the attention weight α_t of each step; empty for methods without
    /// attention.
    pub attention: Vec<f32>,
    /// T, the steps of a whole path.
    pub length: usize,
}

/// Tells attacked paths from clean ones. A detector may move between threads but not be shared by
/// them: libtorch's tensors are counted references.
pub trait Detector: Send {
    /// Scores whole paths, in evaluation mode. A path's score is the same to the last bit whatever
    /// else is in the call.
    ///
    /// # Panics
    /// If a node of a path is none of the embeddings'.
    fn scores(&self, paths: &[Path]) -> Scores;

    /// The probability at the last visited step of paths on their way, all with the same `hops`, 0 to
    /// 3; `None` for methods that do not go step by step.
    ///
    /// # Panics
    /// If paths differ in `hops`, or a node is none of the embeddings'.
    fn prefix_scores(&self, paths: &[Path]) -> Option<Vec<f32>>;

    /// All that [`load`] needs, as named tensors on the CPU.
    fn weights(&self) -> Vec<(&'static str, Tensor)>;

    /// The same detector for another thread.
    fn shallow_clone(&self) -> Box<dyn Detector>;
}

/// Why there is no detector.
#[derive(Debug, Error)]
pub enum DetectorError {
    #[error(
        "the {part} part has {paths} paths and none of them is {missing}; a detector needs both \
             clean and attacked ones: raise `detector.paths` or check the training attack"
    )]
    OneLabel { part: &'static str, missing: &'static str, paths: usize },
    #[error(
        "{method:?} needs at least {needed} clean paths to compare with, half of those in the \
             training part, and has {found}; raise `detector.paths`"
    )]
    FewReferences { method: Method, needed: usize, found: usize },
    #[error("{} labels for {} paths in the {part} part", .labels, .paths)]
    Labels { part: &'static str, paths: usize, labels: usize },
    #[error("a path for the detector has {hops} hops, not {HOPS}")]
    Unfinished { hops: u8 },
    #[error("node {node} of a path has no embedding; there are {count}")]
    Node { node: u32, count: usize },
    #[error("relation {0} of a path does not exist")]
    Relation(u8),
    #[error("training of the detector was stopped after epoch {epoch}")]
    Stopped { epoch: u64 },
    #[error(
        "the detector's loss is no finite number in epoch {epoch}; try a smaller \
             `detector.learning_rate`, and check that the embeddings are small numbers"
    )]
    Diverged { epoch: u64 },
    #[error(
        "the fit of {method:?} meets numbers that are not finite; check that the embeddings are \
             small numbers"
    )]
    NotFinite { method: Method },
    #[error("the equations of {method:?} could not be solved: {source}")]
    Unsolved { method: Method, source: TchError },
    #[error("could not write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("could not encode {path}: {reason}")]
    Encoding { path: PathBuf, reason: String },
    #[error("could not read {path}: {source}")]
    Read { path: PathBuf, source: TchError },
    #[error("{path} has no tensor `{name}`, which a detector of this method has")]
    Missing { path: PathBuf, name: &'static str },
    #[error("tensor `{name}` in {path} is {found}, expected {expected}")]
    Shape { path: PathBuf, name: &'static str, found: String, expected: String },
    #[error("tensor `{name}` in {path} holds a number that is not finite")]
    NotFiniteTensor { path: PathBuf, name: &'static str },
}

/// What a draw is for: the first word of its place, beside [`advrec::random::Purpose::Detection`]. The
/// numbers enter results: never reuse or renumber one. They lie far from small ones, which whoever
/// draws the paths uses.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
enum Draw {
    /// First weights of a network.
    Initial = 1 << 32,
    /// Order of the paths in an epoch.
    Order = (1 << 32) + 1,
    /// Dropout masks.
    Dropout = (1 << 32) + 2,
    /// Clean paths that others are compared with.
    Reference = (1 << 32) + 3,
}

/// Trains a detector; `on_epoch` hears of each epoch of a network and may break off. The other methods
/// have no epochs. Without validation paths, the training paths serve as such.
///
/// Returns the metrics, too, n being the number of paths: for networks `train_loss`,
/// `validation_loss`, `validation_f1`, `validation_auroc` with split `epoch/N`, and `best_epoch`, whose
/// weights the detector has; for the others `validation_loss`, `validation_f1` and `validation_auroc`
/// with split `all`.
///
/// # Errors
/// If the parts cannot train a detector, `on_epoch` breaks off before the last epoch, or the numbers
/// do not stay finite.
pub fn train(
    params: &DetectorParams,
    part: &Part,
    embeddings: &Embeddings,
    device: Device,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Box<dyn Detector>, Vec<Metric>), DetectorError> {
    resume(params, part, embeddings, device, &mut Checkpoint::none(), on_epoch)
}

/// As [`train`], or from where `checkpoint` is; the training of a network is kept there as it goes on, and
/// when `on_epoch` breaks off. The other methods are done within seconds.
///
/// # Errors
/// As [`train`].
pub fn resume(
    params: &DetectorParams,
    part: &Part,
    embeddings: &Embeddings,
    device: Device,
    checkpoint: &mut Checkpoint,
    on_epoch: &mut dyn FnMut(EpochReport) -> ControlFlow<()>,
) -> Result<(Box<dyn Detector>, Vec<Metric>), DetectorError> {
    check(&part.training, "training", embeddings)?;
    let validation = if part.validation.is_empty() { &part.training } else { &part.validation };
    check(validation, "validation", embeddings)?;
    let actions = Actions::new(embeddings, params.input, device);
    if let Some(architecture) = Architecture::new(params, actions.width()) {
        let fresh = || Network::new(architecture, params, actions.shallow_clone());
        let (network, metrics) =
            training::train(fresh, params, &part.training, validation, checkpoint, on_epoch)?;
        return Ok((Box::new(network), metrics));
    }
    let detector: Box<dyn Detector> = match params.method {
        Method::Logistic => Box::new(Logistic::train(&part.training, actions)?),
        method => Box::new(OneClass::train(method, &part.training, actions, params.seed)?),
    };
    let metrics = validation_metrics(&*detector, validation);
    Ok((detector, metrics))
}

/// Whether these paths can train or validate.
fn check(
    samples: &Samples,
    part: &'static str,
    embeddings: &Embeddings,
) -> Result<(), DetectorError> {
    let (paths, labels) = (samples.paths.len(), samples.labels.len());
    if paths != labels {
        return Err(DetectorError::Labels { part, paths, labels });
    }
    for (label, missing) in [(true, "attacked"), (false, "clean")] {
        if !samples.labels.contains(&label) {
            return Err(DetectorError::OneLabel { part, missing, paths });
        }
    }
    let (count, relations) =
        (embeddings.space.len(), embeddings.relations.len() / embeddings.dimension.max(1));
    for path in &samples.paths {
        if path.hops as usize != HOPS {
            return Err(DetectorError::Unfinished { hops: path.hops });
        }
        if let Some(&node) = path.nodes.iter().find(|&&node| node as usize >= count) {
            return Err(DetectorError::Node { node, count });
        }
        if let Some(&r) = path.relations.iter().find(|&&r| usize::from(r) >= relations) {
            return Err(DetectorError::Relation(r));
        }
    }
    Ok(())
}

/// What a detector without epochs does on the validation part.
fn validation_metrics(detector: &dyn Detector, validation: &Samples) -> Vec<Metric> {
    let decision = detector.scores(&validation.paths).decision;
    let losses = decision.iter().zip(&validation.labels).map(|(&p, &label)| {
        // float32 rounds probabilities next to 1 up to it: no loss is infinite for that.
        let p = f64::from(p).clamp(1e-7, 1.0 - 1e-7);
        -f64::ln(if label { p } else { 1.0 - p })
    });
    let n = validation.len();
    let loss = losses.sum::<f64>() / n.max(1) as f64;
    let f1 = curve::f1(&decision, &validation.labels);
    let mut figures = vec![("validation_loss", loss), ("validation_f1", f1)];
    let auroc = curve::auroc(&decision, &validation.labels);
    figures.extend(auroc.map(|auroc| ("validation_auroc", auroc)));
    figures.into_iter().map(|(name, value)| Metric::new(name, "all", value, n as u64)).collect()
}

/// Scores of a method that decides on whole paths alone, from log-odds.
fn whole_path_scores(logits: &[f64]) -> Scores {
    Scores {
        decision: logits.iter().map(|&x| probability(x) as f32).collect(),
        length: STEPS,
        ..Scores::default()
    }
}

/// The probability of log-odds.
fn probability(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// A tensor of one number, for the file.
fn scalar(value: f64) -> Tensor {
    Tensor::from_slice(&[value]).to_kind(Kind::Double)
}

//! A stage as the worker is given it: parameters, the artefacts of its inputs, the folders to write to, and
//! what may go wrong.

use crate::detection::FileError;
use crate::detector::DetectorError;
use crate::libtorch::{self, DeviceError};
use crate::policy::Policy;
use crate::training::TrainingError;
use advrec::agent::AgentParams;
use advrec::agent::calibration::CalibrationError;
use advrec::agent::rollout::RolloutError;
use advrec::agent::weights::{self, Weights, WeightsError};
use advrec::data::Dataset;
use advrec::detect::SamplesError;
use advrec::drift::DriftError;
use advrec::embed::{self, Embeddings};
use advrec::kg::Graph;
use advrec::plan::{Stage, StageKind};
use advrec::run::serve::stop_requested;
use advrec::store::Manifest;
use advrec::store::checkpoint::{Checkpoint, Origin};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tch::Device;
use thiserror::Error;

/// Why a stage failed.
#[derive(Debug, Error)]
pub enum StageError {
    #[error("the stage's parameters are not of its kind: {0}")]
    Params(#[from] serde_json::Error),
    #[error("the stage has no input `{0}`")]
    NoInput(&'static str),
    #[error("could not read {path}: {source}")]
    Manifest { path: PathBuf, source: std::io::Error },
    #[error("users {first}..{end} are asked for, the dataset has {count}")]
    Users { first: u32, end: u32, count: u32 },
    #[error("a random walk has no network to attack; only `attack: none` goes with it")]
    NothingToAttack,
    #[error("attack `{0}` is not in this program")]
    UnknownAttack(String),
    #[error("a stage of kind `{0}` is not computed by a worker")]
    NotComputed(StageKind),
    #[error("stopped as asked")]
    Stopped,
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error(transparent)]
    Training(#[from] TrainingError),
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    #[error(transparent)]
    Drift(#[from] DriftError),
    #[error(transparent)]
    Samples(#[from] SamplesError),
    #[error(transparent)]
    Detector(#[from] DetectorError),
    #[error(transparent)]
    Detection(#[from] FileError),
    #[error(transparent)]
    Data(Box<dyn std::error::Error + Send + Sync>),
}

/// Hears how far a stage is: done, total, and a note such as the last loss.
pub type OnProgress<'a> = dyn FnMut(u64, u64, String) + Send + 'a;

/// A stage with the folders of its inputs' artefacts and the folder to write to.
pub struct Work<'a> {
    pub stage: &'a Stage,
    pub inputs: &'a BTreeMap<String, PathBuf>,
    pub scratch: &'a Path,
    /// The folder that attempts at the stage share, for what a training needs to go on.
    pub checkpoint: &'a Path,
    /// How often a training is kept there; zero is every epoch.
    pub keep_every: Duration,
}

impl Work<'_> {
    pub(crate) fn input(&self, role: &'static str) -> Result<&Path, StageError> {
        self.inputs.get(role).map(PathBuf::as_path).ok_or(StageError::NoInput(role))
    }

    pub(crate) fn params<T: DeserializeOwned>(&self) -> Result<T, StageError> {
        Ok(serde_json::from_value(Value::Object(self.stage.params.clone()))?)
    }

    pub(crate) fn dataset(&self) -> Result<Dataset, StageError> {
        Dataset::load(self.input("dataset")?).map_err(boxed)
    }

    pub(crate) fn graph(&self) -> Result<Graph, StageError> {
        Graph::load(self.input("graph")?).map_err(boxed)
    }

    pub(crate) fn embeddings(&self, graph: &Graph) -> Result<Embeddings, StageError> {
        let file = self.input("embedding")?.join(embed::embeddings::FILE);
        Embeddings::load(&file, &graph.space).map_err(boxed)
    }

    /// Parameters of the stage that made an input, from its manifest.
    pub(crate) fn params_of<T: DeserializeOwned>(
        &self,
        role: &'static str,
    ) -> Result<T, StageError> {
        let path = self.input(role)?.join(advrec::store::artefact::MANIFEST);
        let text = std::fs::read(&path)
            .map_err(|source| StageError::Manifest { path: path.clone(), source })?;
        let manifest: Manifest = serde_json::from_slice(&text)?;
        Ok(serde_json::from_value(Value::Object(manifest.stage.params))?)
    }

    /// The network of an agent that is an input.
    pub(crate) fn policy(
        &self,
        role: &'static str,
        agent: &AgentParams,
    ) -> Result<Policy, StageError> {
        let weights = Weights::load(&self.input(role)?.join(weights::FILE))?;
        Ok(Policy::new(&weights, agent.dropout, libtorch::device()?))
    }

    /// Where an earlier attempt left a training of so many epochs on this kind of device; told as
    /// progress.
    pub(crate) fn checkpoint(
        &self,
        device: Device,
        epochs: u64,
        progress: &mut OnProgress<'_>,
    ) -> Checkpoint {
        let kind = if device.is_cuda() { "cuda" } else { "cpu" };
        let libtorch = libtorch::version().unwrap_or_default();
        let origin = Origin::new(self.stage.key(), format!("{kind}, libtorch {libtorch}"));
        let checkpoint = Checkpoint::open(self.checkpoint, origin, self.keep_every);
        let done = checkpoint.epoch();
        if done > 0 {
            progress(done, epochs, format!("goes on from epoch {}", done + 1));
        }
        checkpoint
    }
}

/// Breaks off where the orchestrator has asked to stop.
pub(crate) fn go_on() -> ControlFlow<()> {
    if stop_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

pub(crate) fn boxed(error: impl std::error::Error + Send + Sync + 'static) -> StageError {
    StageError::Data(Box::new(error))
}

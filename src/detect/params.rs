//! Parameters of a detector, as its stage carries them.

use crate::drift::PathInput;
use serde::{Deserialize, Serialize};

/// What tells attacked paths from clean ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The paper's: a GRU encoder and a decoder with attention (section 2.3).
    GruAttention,
    /// A GRU with a linear unit at each step.
    Gru,
    /// Logistic regression on the mean of the path's action embeddings.
    Logistic,
    /// Kernel density of clean paths: improbable paths count as attacked.
    KernelDensity,
    /// Mahalanobis distance to clean paths (Lee et al., NeurIPS 2018).
    Mahalanobis,
    /// Local intrinsic dimensionality among clean paths (Ma et al., ICLR 2018).
    Lid,
}

impl Method {
    /// The method with this name; `None` for `none` and for unknown names.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    /// Whether it is a network over sequences, which also scores paths on their way.
    pub fn is_sequential(self) -> bool {
        matches!(self, Self::GruAttention | Self::Gru)
    }
}

/// How the probabilities of the steps become one of the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The last step's.
    #[default]
    Last,
    /// Their mean.
    Mean,
}

/// Which paths of an attacked rollout count as attacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// Those with at least one attacked step.
    #[default]
    AnyStep,
    /// All.
    Rollout,
}

/// What is not attacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// Clean paths.
    #[default]
    Clean,
    /// Half clean paths, half paths under noise of the training attack's norm.
    CleanAndNoise,
}

/// How paths are divided between training and validation, and which users' paths are for training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// The first paths of each file, as in the paper; a user's paths may be in both parts.
    #[default]
    ByPath,
    /// Random users, none in two parts.
    ByUser,
}

/// How the weights decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// They shrink by rate · decay a step, apart from the gradient (Loshchilov and Hutter, ICLR 2019).
    #[default]
    Decoupled,
    /// Decay · weights is added to the gradient, as `torch.optim.Adam` does. The paper's 0.01 then outweighs
    /// the gradients where little tells attacked paths from clean ones, and the network learns little.
    Coupled,
}

/// Parameters of a detector. Methods other than the networks use `method`, `input`, `negatives`,
/// `split`, `paths`, `test_paths` and `seed` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DetectorParams {
    pub method: Method,
    /// Which embeddings make an action.
    pub input: PathInput,
    pub negatives: Negatives,
    pub split: Split,
    /// Most paths of the clean and of the attacked rollout for training and validation together.
    pub paths: u64,
    /// Most paths of each that are kept for tests; with `paths` it says how a smaller rollout is shared.
    pub test_paths: u64,
    /// Width of the GRUs.
    pub hidden: u64,
    /// Dropout before the last linear unit.
    pub dropout: f64,
    pub decision: Decision,
    /// Most passes over the training paths.
    pub epochs: u64,
    /// Epochs without a better validation loss after which training ends.
    pub patience: u64,
    /// Paths a step.
    pub batch: u64,
    /// Adam's rate.
    pub learning_rate: f64,
    pub weight_decay: f64,
    pub decay: Decay,
    pub seed: u64,
}

impl Default for DetectorParams {
    fn default() -> Self {
        Self {
            method: Method::GruAttention,
            input: PathInput::Entity,
            negatives: Negatives::Clean,
            split: Split::ByPath,
            paths: 100_000,
            test_paths: 100_000,
            hidden: 32,
            dropout: 0.5,
            decision: Decision::Last,
            epochs: 30,
            patience: 5,
            batch: 512,
            learning_rate: 5e-4,
            weight_decay: 0.01,
            decay: Decay::Decoupled,
            seed: 0,
        }
    }
}

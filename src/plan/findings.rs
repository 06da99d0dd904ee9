//! What a stage found out, beside its files.

use super::stage::Metric;
use serde::{Deserialize, Serialize};

/// What a stage measured, on its way from the worker to the database.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    pub metrics: Vec<Metric>,
    /// Of a comparison.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
}

impl From<Vec<Metric>> for Findings {
    fn from(metrics: Vec<Metric>) -> Self {
        Self { metrics, projection: None }
    }
}

/// Two sets of action sequences on the first two principal components of both together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// Share of the variance along each component, 0 to 1.
    pub shares: [f64; 2],
    /// Of the stage's input `rollout`.
    pub rollout: Cloud,
    /// Of its input `other`.
    pub other: Cloud,
}

/// One of the sets of a [`Projection`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cloud {
    /// How many sequences the components were computed from.
    pub sequences: u64,
    /// Some of them, each by its place on the two components.
    pub points: Vec<[f64; 2]>,
}

impl Projection {
    /// Whether every number of it can be stored.
    pub fn is_finite(&self) -> bool {
        let points = self.rollout.points.iter().chain(&self.other.points);
        points.chain([&self.shares]).flatten().all(|number| number.is_finite())
    }
}

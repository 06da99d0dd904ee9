//! From cells to a graph of stages: keys, sharing, and what the store already holds.

pub mod stage;

pub use stage::{Metric, Stage, StageInput, StageKey, StageKind};

use serde_json::{Map, Value};

/// One combination of the grid's axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Every parameter by its catalogue name, defaults filled in (`attack`, `epsilon`, `seed`,
    /// `agent.epochs`, …). A parameter that does not concern the cell is absent.
    pub params: Map<String, Value>,
    /// Names of the parameters that the grid's axes, includes and seeds vary.
    pub axes: Vec<String>,
    /// The stages whose metrics are the cell's results, then all that they need, as indices into
    /// [`Plan::stages`].
    pub stages: Vec<usize>,
}

/// A stage of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedStage {
    pub stage: Stage,
    pub key: StageKey,
    /// Indices of the stages that make its inputs; inputs made outside the plan (datasets, imported
    /// weights) are not among them. Every index is smaller than the stage's own.
    pub needs: Vec<usize>,
    /// How many cells use it.
    pub cells: usize,
}

/// All that a grid asks for. Stages are in an order in which they could run one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub stages: Vec<PlannedStage>,
    pub cells: Vec<Cell>,
}

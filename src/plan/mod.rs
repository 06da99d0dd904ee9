//! From cells to a graph of stages: keys, sharing, and what the store already holds.

pub mod build;
mod comparisons;
mod detection;
pub mod difference;
pub mod findings;
pub mod params;
mod parts;
pub mod resolver;
pub mod stage;
mod subset;

pub use build::PlanError;
pub use difference::{Change, RecordedStage, Records};
pub use findings::{Cloud, Findings, Projection};
pub use params::Params;
pub use resolver::{ImportedAgent, NamedSources, Resolver};
pub use stage::{Metric, Stage, StageInput, StageKey, StageKind};

use std::collections::BTreeSet;

/// One combination of the grid's axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Every parameter by its catalogue name, defaults filled in (`attack`, `epsilon`, `seed`,
    /// `agent.epochs`, …). A parameter that does not concern the cell is absent.
    pub params: Params,
    /// Names of the parameters that the grid's axes, includes and seeds vary.
    pub axes: Vec<String>,
    /// The stages whose metrics are the cell's results, then all that they need, as indices into
    /// [`Plan::stages`].
    pub stages: Vec<usize>,
}

impl Cell {
    /// What sets the cell apart in its grid, such as `attack=fgsm_l1 epsilon=0.1 seed=1`.
    pub fn label(&self) -> String {
        let mut label = String::new();
        for name in &self.axes {
            if let Some(value) = self.params.get(name) {
                let gap = if label.is_empty() { "" } else { " " };
                label.push_str(&format!("{gap}{name}={}", crate::grid::plain(value)));
            }
        }
        label
    }
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

impl Plan {
    /// Which stages have to run, given which are stored already: those that are not stored and
    /// that a cell's results or another stage that has to run need.
    ///
    /// `stored` has an entry for each stage.
    pub fn to_run(&self, stored: &[bool]) -> Vec<bool> {
        let mut wanted: Vec<bool> = self.stages.iter().map(|s| s.stage.kind.is_result()).collect();
        // Needs come before what needs them, so one pass from the end reaches all.
        for (i, stage) in self.stages.iter().enumerate().rev() {
            let runs = wanted[i] && !stored[i];
            wanted[i] = runs;
            if runs {
                for need in &stage.needs {
                    wanted[*need] = true;
                }
            }
        }
        wanted
    }

    /// Indices of these stages and of all that they need, in the order of the plan.
    pub fn with_needs(&self, stages: &[usize]) -> BTreeSet<usize> {
        let mut open = stages.to_vec();
        let mut all = BTreeSet::new();
        while let Some(stage) = open.pop() {
            if all.insert(stage) {
                open.extend(&self.stages[stage].needs);
            }
        }
        all
    }
}

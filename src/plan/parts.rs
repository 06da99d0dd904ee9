//! The parameters of a cell by the stage that they go into.

use super::params::{Names, Params};
use serde_json::Value;
use std::sync::Arc;

/// The values of a cell by the stage that they go into.
pub(super) struct Parts<'a> {
    pub(super) graph: Vec<Pair<'a>>,
    pub(super) embedding: Vec<Pair<'a>>,
    pub(super) agent: Vec<Pair<'a>>,
    pub(super) rollout: Vec<Pair<'a>>,
    /// What sets the agent apart that an attack is crafted on, by its own parameters' names.
    pub(super) surrogate: Vec<Pair<'a>>,
    /// What the agent is trained with further, on attacked states.
    pub(super) hardening: Vec<Pair<'a>>,
    pub(super) detector: Vec<Pair<'a>>,
}

/// Catalogue name and value.
pub(super) type Pair<'a> = (&'a str, &'a Arc<Value>);

/// Where in the parameters of a cell those of each stage stand: the same for all cells with the same
/// names, and cheaper to know than to find out a hundred thousand times.
#[derive(Default)]
pub(super) struct Layout {
    graph: Vec<usize>,
    embedding: Vec<usize>,
    agent: Vec<usize>,
    rollout: Vec<usize>,
    surrogate: Vec<(&'static str, usize)>,
    hardening: Vec<usize>,
    detector: Vec<usize>,
}

impl Layout {
    pub(super) fn of(names: &Names) -> Self {
        let mut layout = Self::default();
        for (place, name) in names.iter().enumerate() {
            match name.split_once('.') {
                Some(("graph", _)) => layout.graph.push(place),
                Some(("embedding", _)) => layout.embedding.push(place),
                Some(("agent", last)) if last != "imported" => layout.agent.push(place),
                Some(("rollout", last)) if last != "direct" => layout.rollout.push(place),
                Some(("transfer", "algorithm")) => {
                    layout.surrogate.push(("agent.algorithm", place));
                }
                Some(("transfer", _)) => layout.surrogate.push(("seed", place)),
                Some(("adaptive", _)) => layout.rollout.push(place),
                Some(("adversarial_training", _)) => layout.hardening.push(place),
                Some(("detector", _)) => layout.detector.push(place),
                None if name.as_ref() == "seed" => {
                    layout.embedding.push(place);
                    layout.agent.push(place);
                    layout.rollout.push(place);
                    layout.detector.push(place);
                }
                None if !matches!(name.as_ref(), "dataset" | "defense") => {
                    layout.rollout.push(place);
                }
                _ => {}
            }
        }
        layout
    }
}

impl<'a> Parts<'a> {
    /// The parts of some parameters, whose names are those of the layout.
    pub(super) fn of(params: &'a Params, layout: &Layout) -> Self {
        let pairs =
            |places: &[usize]| -> Vec<Pair<'a>> { places.iter().map(|p| params.at(*p)).collect() };
        Self {
            graph: pairs(&layout.graph),
            embedding: pairs(&layout.embedding),
            agent: pairs(&layout.agent),
            rollout: pairs(&layout.rollout),
            surrogate: layout.surrogate.iter().map(|(name, p)| (*name, params.at(*p).1)).collect(),
            hardening: pairs(&layout.hardening),
            detector: pairs(&layout.detector),
        }
    }
}

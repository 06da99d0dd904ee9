//! The parameters of a cell by the stage that they go into.

use super::params::Params;
use serde_json::Value;
use std::sync::Arc;

/// The values of a cell by the stage that they go into.
#[derive(Default)]
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

impl<'a> Parts<'a> {
    pub(super) fn of(params: &'a Params) -> Self {
        let mut parts = Self::default();
        for pair in params.shared_iter() {
            match pair.0.split_once('.') {
                Some(("graph", _)) => parts.graph.push(pair),
                Some(("embedding", _)) => parts.embedding.push(pair),
                Some(("agent", last)) if last != "imported" => parts.agent.push(pair),
                Some(("rollout", last)) if last != "direct" => parts.rollout.push(pair),
                Some(("transfer", "algorithm")) => {
                    parts.surrogate.push(("agent.algorithm", pair.1));
                }
                Some(("transfer", _)) => parts.surrogate.push(("seed", pair.1)),
                Some(("adaptive", _)) => parts.rollout.push(pair),
                Some(("adversarial_training", _)) => parts.hardening.push(pair),
                Some(("detector", _)) => parts.detector.push(pair),
                None if pair.0 == "seed" => {
                    parts.embedding.push(pair);
                    parts.agent.push(pair);
                    parts.rollout.push(pair);
                    parts.detector.push(pair);
                }
                None if !matches!(pair.0, "dataset" | "defense") => parts.rollout.push(pair),
                _ => {}
            }
        }
        parts
    }
}

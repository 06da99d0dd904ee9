//! From cells to stages: each distinct stage once, its key from what it computes.

use super::params::Params;
use super::resolver::Resolver;
use super::stage::{Stage, StageInput, StageKey, StageKind};
use super::{Cell, Plan, PlannedStage};
use crate::grid::{find, nearest};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use thiserror::Error;

/// Places in a ranking that count (SPEC section 5).
const CUTOFF: i64 = 10;

/// Why cells cannot be planned.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    #[error("unknown dataset `{name}`{}", suggestion(name, known))]
    UnknownDataset { name: String, known: Vec<String> },
    #[error("unknown import `{id}`{}", suggestion(id, known))]
    UnknownImport { id: String, known: Vec<String> },
    #[error(
        "import `{id}` was made for dataset `{made_for}`, not for `{dataset}`; name that dataset"
    )]
    OtherDataset { id: String, made_for: String, dataset: String },
    #[error("a cell has no `{parameter}`; cells come from `Grid::expand`")]
    Incomplete { parameter: &'static str },
}

impl PlanError {
    /// The parameter that is at fault and its value, where the grid's text can show it.
    pub fn parameter(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::UnknownDataset { name, .. } => Some(("dataset", name)),
            Self::UnknownImport { id, .. } | Self::OtherDataset { id, .. } => {
                Some(("agent.imported", id))
            }
            Self::Incomplete { .. } => None,
        }
    }
}

fn suggestion(name: &str, known: &[String]) -> String {
    if known.is_empty() {
        return "; there is none yet: import one first".to_owned();
    }
    let near = nearest(name, known.iter().map(String::as_str));
    let near = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("{near}; known: {}", known.join(", "))
}

/// What tells stages of a plan apart before their keys are known: the kind, the stages and values
/// that go in. Values count by address, since the cells of a grid share them; stages found apart
/// for want of sharing meet again by their key.
type Memo = (StageKind, Box<[usize]>);

struct Builder<'a> {
    resolver: &'a dyn Resolver,
    stages: Vec<PlannedStage>,
    memo: HashMap<Memo, usize>,
    by_key: HashMap<StageKey, usize>,
    sources: HashMap<String, StageKey>,
}

/// An input of a stage: made in the plan, or beforehand.
#[derive(Clone)]
enum Input {
    Planned(usize),
    Given(StageKey),
}

impl Plan {
    /// The stages that the cells need, each once, in an order in which they could run; fills in
    /// [`Cell::stages`].
    ///
    /// # Errors
    /// If a cell names a dataset or imported weights that `resolver` does not know, or weights of
    /// another dataset.
    pub fn build(mut cells: Vec<Cell>, resolver: &dyn Resolver) -> Result<Plan, PlanError> {
        let mut builder = Builder {
            resolver,
            stages: Vec::new(),
            memo: HashMap::new(),
            by_key: HashMap::new(),
            sources: HashMap::new(),
        };
        for cell in &mut cells {
            cell.stages = builder.cell(&cell.params)?;
            for stage in &cell.stages {
                builder.stages[*stage].cells += 1;
            }
        }
        Ok(Plan { stages: builder.stages, cells })
    }
}

/// The values of a cell by the stage that they go into.
#[derive(Default)]
struct Parts<'a> {
    graph: Vec<Pair<'a>>,
    embedding: Vec<Pair<'a>>,
    agent: Vec<Pair<'a>>,
    rollout: Vec<Pair<'a>>,
}

/// Catalogue name and value.
type Pair<'a> = (&'a str, &'a Arc<Value>);

impl<'a> Parts<'a> {
    fn of(params: &'a Params) -> Self {
        let mut parts = Self::default();
        for pair in params.shared_iter() {
            match pair.0.split_once('.') {
                Some(("graph", _)) => parts.graph.push(pair),
                Some(("embedding", _)) => parts.embedding.push(pair),
                Some(("agent", last)) if last != "imported" => parts.agent.push(pair),
                Some(("rollout", last)) if last != "direct" => parts.rollout.push(pair),
                None if pair.0 == "seed" => {
                    parts.embedding.push(pair);
                    parts.agent.push(pair);
                    parts.rollout.push(pair);
                }
                None if pair.0 != "dataset" => parts.rollout.push(pair),
                _ => {}
            }
        }
        parts
    }
}

impl Builder<'_> {
    fn cell(&mut self, params: &Params) -> Result<Vec<usize>, PlanError> {
        let missing = |parameter| PlanError::Incomplete { parameter };
        let parts = Parts::of(params);
        let name = params.text("dataset").ok_or(missing("dataset"))?;
        let dataset = Input::Given(self.dataset(name)?);
        let graph = self.stage(StageKind::Graph, &parts.graph, &[("dataset", &dataset)]);
        let graph_input = Input::Planned(graph);
        let (embedding, agent) = match params.text("agent.imported") {
            Some(id) => self.imported(id, name)?,
            None => {
                let inputs = [("dataset", &dataset), ("graph", &graph_input)];
                let embedding = self.stage(StageKind::Embedding, &parts.embedding, &inputs);
                let embedding = Input::Planned(embedding);
                let inputs = [("graph", &graph_input), ("embedding", &embedding)];
                let agent = self.stage(StageKind::Agent, &parts.agent, &inputs);
                (embedding, Input::Planned(agent))
            }
        };
        let inputs = [("graph", &graph_input), ("embedding", &embedding), ("agent", &agent)];
        let rollout = self.stage(StageKind::Rollout, &parts.rollout, &inputs);
        let inputs = [("graph", &graph_input), ("rollout", &Input::Planned(rollout))];
        let ranking = self.stage(StageKind::Ranking, &[], &inputs);
        let mut stages = vec![ranking];
        if params.get("rollout.direct") == Some(&Value::Bool(true)) {
            let users = params.shared("rollout.users").ok_or(missing("rollout.users"))?;
            let inputs = [("graph", &graph_input), ("embedding", &embedding)];
            stages.push(self.stage(StageKind::Direct, &[("rollout.users", users)], &inputs));
        }
        stages.push(rollout);
        for input in [agent, embedding] {
            if let Input::Planned(stage) = input {
                stages.push(stage);
            }
        }
        stages.push(graph);
        Ok(stages)
    }

    fn dataset(&mut self, name: &str) -> Result<StageKey, PlanError> {
        if let Some(key) = self.sources.get(name) {
            return Ok(key.clone());
        }
        let key = self.resolver.dataset(name).ok_or_else(|| PlanError::UnknownDataset {
            name: name.to_owned(),
            known: self.resolver.known_datasets(),
        })?;
        self.sources.insert(name.to_owned(), key.clone());
        Ok(key)
    }

    fn imported(&self, id: &str, dataset: &str) -> Result<(Input, Input), PlanError> {
        let import = self.resolver.imported(id).ok_or_else(|| PlanError::UnknownImport {
            id: id.to_owned(),
            known: self.resolver.known_imports(),
        })?;
        if import.dataset != dataset {
            return Err(PlanError::OtherDataset {
                id: id.to_owned(),
                made_for: import.dataset,
                dataset: dataset.to_owned(),
            });
        }
        Ok((Input::Given(import.embedding), Input::Given(import.agent)))
    }

    /// The index of a stage, which is added where it is new.
    fn stage(&mut self, kind: StageKind, pairs: &[Pair<'_>], inputs: &[(&str, &Input)]) -> usize {
        let mut identity = Vec::with_capacity(2 * inputs.len() + pairs.len());
        for (_, input) in inputs {
            match input {
                Input::Planned(stage) => identity.extend([0, *stage]),
                Input::Given(key) => identity.extend([1, digits(key)]),
            }
        }
        identity.extend(pairs.iter().map(|(_, value)| Arc::as_ptr(value).addr()));
        let memo = (kind, identity.into_boxed_slice());
        if let Some(stage) = self.memo.get(&memo) {
            return *stage;
        }
        let mut params: Map<String, Value> = pairs
            .iter()
            .map(|(name, value)| (last_name(name).to_owned(), value.as_ref().clone()))
            .collect();
        if matches!(kind, StageKind::Ranking | StageKind::Direct) {
            params.insert("cutoff".to_owned(), CUTOFF.into());
        }
        let mut needs = Vec::new();
        let inputs = inputs.iter().map(|(role, input)| {
            let key = match input {
                Input::Planned(stage) => {
                    needs.push(*stage);
                    self.stages[*stage].key.clone()
                }
                Input::Given(key) => key.clone(),
            };
            StageInput { role: (*role).to_owned(), key }
        });
        let stage = Stage::new(kind, params, inputs.collect());
        let key = stage.key();
        let index = match self.by_key.entry(key.clone()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                self.stages.push(PlannedStage { stage, key, needs, cells: 0 });
                *place.insert(self.stages.len() - 1)
            }
        };
        self.memo.insert(memo, index);
        index
    }
}

/// What a stage calls a parameter.
fn last_name(name: &str) -> &str {
    debug_assert!(find(name).is_some());
    name.rsplit_once('.').map_or(name, |(_, last)| last)
}

/// The first 15 digits of a key: enough to tell the sources of one plan apart.
fn digits(key: &StageKey) -> usize {
    usize::from_str_radix(&key.as_str()[..15], 16).unwrap_or(0)
}

//! From cells to stages: each distinct stage once, its key from what it computes.

use super::params::Params;
use super::parts::{Layout, Pair, Parts};
use super::resolver::Resolver;
use super::stage::{Stage, StageInput, StageKey, StageKind};
use super::{Cell, Plan, PlannedStage};
use crate::attack::TimingRule;
use crate::grid::{find, nearest, plain};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;
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
    #[error(
        "`transfer` names the agent that is attacked itself ({}); name another, or exclude the cells \
         where the two are the same",
        plain(setting)
    )]
    OwnSurrogate { parameter: &'static str, setting: Value },
    #[error(
        "there is no noise of the norm of `{attack}`, which the detector is trained on; write \
         `detector.negatives: clean`"
    )]
    NoNoise { attack: String },
    #[error("a cell has no `{parameter}`; cells come from `Grid::expand`")]
    Incomplete { parameter: &'static str },
}

impl PlanError {
    /// The parameter that is at fault and its value, where the grid's text can show it.
    pub fn parameter(&self) -> Option<(&'static str, Value)> {
        match self {
            Self::UnknownDataset { name, .. } => Some(("dataset", name.as_str().into())),
            Self::UnknownImport { id, .. } | Self::OtherDataset { id, .. } => {
                Some(("agent.imported", id.as_str().into()))
            }
            Self::OwnSurrogate { parameter, setting } => Some((parameter, setting.clone())),
            Self::NoNoise { attack } => Some(("detector.attack", attack.as_str().into())),
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

pub(super) struct Builder<'a> {
    resolver: &'a dyn Resolver,
    pub(super) stages: Vec<PlannedStage>,
    memo: HashMap<Memo, usize>,
    by_key: HashMap<StageKey, usize>,
    sources: HashMap<String, StageKey>,
    /// By the address of the names, which the cells keep alive.
    layouts: HashMap<usize, Rc<Layout>>,
}

/// An input of a stage: made in the plan, or beforehand.
pub(super) enum Input {
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
            layouts: HashMap::new(),
        };
        for cell in &mut cells {
            cell.stages = builder.cell(&cell.params)?;
        }
        builder.compare(&mut cells);
        for stage in cells.iter().flat_map(|cell| &cell.stages) {
            builder.stages[*stage].cells += 1;
        }
        Ok(Plan { stages: builder.stages, cells })
    }
}

impl Builder<'_> {
    fn cell(&mut self, params: &Params) -> Result<Vec<usize>, PlanError> {
        let missing = |parameter| PlanError::Incomplete { parameter };
        let layout = self.layouts.entry(Arc::as_ptr(params.names()).addr());
        let layout = layout.or_insert_with(|| Rc::new(Layout::of(params.names()))).clone();
        let parts = Parts::of(params, &layout);
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
        let surrogate = self.surrogate(&parts, &graph_input, &embedding, &agent)?;
        let trained = match (&agent, parts.hardening.is_empty()) {
            (Input::Planned(stage), false) => Some(*stage),
            _ => None,
        };
        let agent = match trained {
            Some(_) => self.hardened(&parts, &graph_input, &embedding, &agent),
            None => agent,
        };
        let mut inputs =
            vec![("graph", &graph_input), ("embedding", &embedding), ("agent", &agent)];
        let detector = self.detector(&parts, &inputs)?;
        // What the attack is crafted with, beside the agent.
        let evaded = detector.as_ref().filter(|_| params.contains_key("adaptive.lambda"));
        let mut crafting: Vec<(&str, &Input)> = Vec::new();
        crafting.extend(evaded.map(|detector| ("detector", &detector.stage)));
        crafting.extend(surrogate.as_ref().map(|input| ("surrogate", input)));
        let calibration = self.calibration(&parts, &inputs, &crafting);
        inputs.extend(crafting);
        inputs.extend(calibration.as_ref().map(|input| ("calibration", input)));
        let rollout = self.stage(StageKind::Rollout, &parts.rollout, &inputs);
        let walked = Input::Planned(rollout);
        let mut inputs = vec![("graph", &graph_input), ("rollout", &walked)];
        let rejecting = params.shared("defense").filter(|d| d.as_str() == Some("reject"));
        let rejecting = rejecting.zip(detector.as_ref());
        let mut pairs = Vec::new();
        if let Some((defense, detector)) = rejecting {
            pairs.push(("defense", defense));
            inputs.extend([("embedding", &embedding), ("agent", &agent)]);
            inputs.push(("detector", &detector.stage));
        }
        let ranking = self.stage(StageKind::Ranking, &pairs, &inputs);
        let mut stages = vec![ranking];
        if params.get("rollout.direct") == Some(&Value::Bool(true)) {
            let users = params.shared("rollout.users").ok_or(missing("rollout.users"))?;
            let inputs = [("graph", &graph_input), ("embedding", &embedding)];
            stages.push(self.stage(StageKind::Direct, &[("rollout.users", users)], &inputs));
        }
        if let Some(detector) = &detector {
            let inputs = [
                ("graph", &graph_input),
                ("embedding", &embedding),
                ("detector", &detector.stage),
                ("clean", &detector.clean),
                ("attacked", &walked),
            ];
            stages.push(self.stage(StageKind::Detection, &parts.testing(), &inputs));
        }
        stages.push(rollout);
        // The rollouts that the detector is trained on are other cells' results: not among these.
        let detector = detector.map(|detector| detector.stage);
        for input in [detector, calibration, surrogate, Some(agent), Some(embedding)] {
            if let Some(Input::Planned(stage)) = input {
                stages.push(stage);
            }
        }
        stages.extend(trained);
        stages.push(graph);
        Ok(stages)
    }

    /// The agent that the cell's attack is crafted on, where it is not the attacked one: trained on the
    /// same embedding, without which it could not read the states.
    fn surrogate(
        &mut self,
        parts: &Parts<'_>,
        graph: &Input,
        embedding: &Input,
        agent: &Input,
    ) -> Result<Option<Input>, PlanError> {
        let Some((first, value)) = parts.surrogate.first() else { return Ok(None) };
        let own = |pair: &Pair<'_>| parts.surrogate.iter().find(|other| other.0 == pair.0);
        let pairs: Vec<Pair<'_>> =
            parts.agent.iter().map(|pair| *own(pair).unwrap_or(pair)).collect();
        let inputs = [("graph", graph), ("embedding", embedding)];
        let surrogate = self.stage(StageKind::Agent, &pairs, &inputs);
        if matches!(agent, Input::Planned(agent) if *agent == surrogate) {
            let parameter = match *first {
                "seed" => "transfer.seed",
                _ => "transfer.algorithm",
            };
            let setting = value.as_ref().clone();
            return Err(PlanError::OwnSurrogate { parameter, setting });
        }
        Ok(Some(Input::Planned(surrogate)))
    }

    /// The cell's agent, trained further on attacked states.
    fn hardened(
        &mut self,
        parts: &Parts<'_>,
        graph: &Input,
        embedding: &Input,
        agent: &Input,
    ) -> Input {
        // Of two parameters with one last name (`epochs`) the later counts.
        let pairs: Vec<Pair<'_>> = parts.agent.iter().chain(&parts.hardening).copied().collect();
        let inputs = [("graph", graph), ("embedding", embedding), ("agent", agent)];
        Input::Planned(self.stage(StageKind::Agent, &pairs, &inputs))
    }

    /// The scores that the cell's timing rule takes its threshold from, where it does. They do not
    /// depend on the frequency; and on the attack only for the oracle.
    fn calibration(
        &mut self,
        parts: &Parts<'_>,
        inputs: &[(&str, &Input)],
        crafting: &[(&str, &Input)],
    ) -> Option<Input> {
        let value = |name: &str| parts.rollout.iter().find(|p| p.0 == name).map(|p| p.1);
        let rule = TimingRule::named(value("timing")?.as_str()?)?;
        value("frequency").filter(|_| rule.scores())?;
        let oracle = rule == TimingRule::Oracle;
        let pairs: Vec<Pair<'_>> = parts
            .rollout
            .iter()
            .filter(|(name, _)| match *name {
                "frequency" => false,
                "timing" | "seed" => true,
                name => oracle || name.starts_with("rollout."),
            })
            .copied()
            .collect();
        let mut inputs = inputs.to_vec();
        inputs.extend(crafting.iter().filter(|_| oracle));
        Some(Input::Planned(self.stage(StageKind::Calibration, &pairs, &inputs)))
    }

    /// An artefact as an input: the stage that makes it, or made beforehand.
    pub(super) fn made(&self, key: StageKey) -> Input {
        match self.by_key.get(&key) {
            Some(stage) => Input::Planned(*stage),
            None => Input::Given(key),
        }
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
    pub(super) fn stage(
        &mut self,
        kind: StageKind,
        pairs: &[Pair<'_>],
        inputs: &[(&str, &Input)],
    ) -> usize {
        // Nearly every cell has a rollout and a ranking of its own: nothing to remember there.
        let memo = (!matches!(kind, StageKind::Rollout | StageKind::Ranking))
            .then(|| (kind, identity(pairs, inputs)));
        if let Some(stage) = memo.as_ref().and_then(|memo| self.memo.get(memo)) {
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
                    if !needs.contains(stage) {
                        needs.push(*stage);
                    }
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
        if let Some(memo) = memo {
            self.memo.insert(memo, index);
        }
        index
    }
}

/// The second half of a [`Memo`].
fn identity(pairs: &[Pair<'_>], inputs: &[(&str, &Input)]) -> Box<[usize]> {
    let mut identity = Vec::with_capacity(2 * inputs.len() + pairs.len());
    for (_, input) in inputs {
        match input {
            Input::Planned(stage) => identity.extend([0, *stage]),
            Input::Given(key) => identity.extend([1, digits(key)]),
        }
    }
    identity.extend(pairs.iter().map(|(_, value)| Arc::as_ptr(value).addr()));
    identity.into_boxed_slice()
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

#[cfg(test)]
pub(super) mod tests;

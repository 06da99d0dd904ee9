//! From cells to stages: each distinct stage once, its key from what it computes.

use super::params::Params;
use super::resolver::Resolver;
use super::stage::{Stage, StageInput, StageKey, StageKind};
use super::{Cell, Plan, PlannedStage};
use crate::attack::TimingRule;
use crate::grid::{find, nearest, plain};
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

/// The values of a cell by the stage that they go into.
#[derive(Default)]
pub(super) struct Parts<'a> {
    graph: Vec<Pair<'a>>,
    embedding: Vec<Pair<'a>>,
    agent: Vec<Pair<'a>>,
    pub(super) rollout: Vec<Pair<'a>>,
    /// What sets the agent apart that an attack is crafted on, by its own parameters' names.
    surrogate: Vec<Pair<'a>>,
    /// What the agent is trained with further, on attacked states.
    hardening: Vec<Pair<'a>>,
    pub(super) detector: Vec<Pair<'a>>,
}

/// Catalogue name and value.
pub(super) type Pair<'a> = (&'a str, &'a Arc<Value>);

impl<'a> Parts<'a> {
    fn of(params: &'a Params) -> Self {
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
        let calibration = self.calibration(&parts, &inputs, surrogate.as_ref());
        let evaded = detector.as_ref().filter(|_| params.contains_key("adaptive.lambda"));
        inputs.extend(evaded.map(|detector| ("detector", &detector.stage)));
        inputs.extend(surrogate.as_ref().map(|input| ("surrogate", input)));
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
        surrogate: Option<&Input>,
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
        inputs.extend(surrogate.filter(|_| oracle).map(|input| ("surrogate", input)));
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
pub(super) mod tests {
    use super::*;
    use crate::plan::{ImportedAgent, NamedSources};
    use std::path::Path;

    pub(in crate::plan) fn cells(text: &str) -> Vec<Cell> {
        let text = format!("name: g\n{text}");
        let grid = crate::grid::parse(Path::new("g"), &text);
        grid.and_then(|g| g.expand()).unwrap_or_else(|e| panic!("{e}"))
    }

    pub(in crate::plan) fn sources() -> NamedSources {
        let mut sources = NamedSources::default();
        for name in ["d", "e"] {
            sources.datasets.insert(name.to_owned(), StageKey::of_bytes(name.as_bytes()));
        }
        let import = ImportedAgent {
            dataset: "d".to_owned(),
            embedding: StageKey::of_bytes(b"embedding"),
            agent: StageKey::of_bytes(b"agent"),
        };
        sources.imports.insert("pgpr".to_owned(), import);
        sources
    }

    pub(in crate::plan) fn plan(text: &str) -> Plan {
        Plan::build(cells(text), &sources()).unwrap()
    }

    pub(in crate::plan) fn count(plan: &Plan, kind: StageKind) -> usize {
        plan.stages.iter().filter(|s| s.stage.kind == kind).count()
    }

    fn counts(plan: &Plan) -> [usize; 6] {
        use StageKind::{Agent, Direct, Embedding, Graph, Ranking, Rollout};
        [Graph, Embedding, Agent, Rollout, Ranking, Direct].map(|kind| count(plan, kind))
    }

    #[test]
    fn cells_share_what_they_have_in_common() {
        let plan = plan(
            "dataset: d\nseeds: 3\naxes:\n  attack: [none, {id: fgsm_l2, epsilon: [1, 2]}]\n  \
             agent.epochs: [5, 10]\n",
        );
        assert_eq!(plan.cells.len(), 18);
        assert_eq!(counts(&plan), [1, 3, 6, 18, 18, 3]);
        assert_eq!(
            plan.stages.iter().find(|s| s.stage.kind == StageKind::Graph).unwrap().cells,
            18
        );
    }

    #[test]
    fn stages_come_after_what_they_need() {
        let plan = plan("dataset: d\nseeds: 2\naxes: {agent.gamma: [0.5, 1]}\n");
        for (i, stage) in plan.stages.iter().enumerate() {
            assert_eq!(stage.key, stage.stage.key());
            assert!(stage.needs.iter().all(|need| *need < i));
            let made: Vec<_> = stage.needs.iter().map(|n| &plan.stages[*n].key).collect();
            let inputs = stage.stage.inputs.iter().filter(|i| i.role != "dataset");
            for input in inputs {
                assert!(made.contains(&&input.key), "{} of {}", input.role, stage.stage.kind);
            }
        }
        for cell in &plan.cells {
            assert_eq!(plan.stages[cell.stages[0]].stage.kind, StageKind::Ranking);
            assert_eq!(plan.stages[cell.stages[1]].stage.kind, StageKind::Direct);
            assert_eq!(cell.stages.len(), 6);
        }
    }

    #[test]
    fn stages_take_their_own_parameters() {
        let plan = plan(
            "dataset: d\nrollout: {users: 5}\nattack: fgsm_l1\nepsilon: 1\ntiming: random\n\
             frequency: 0.5\n",
        );
        let text: Vec<String> = plan
            .stages
            .iter()
            .map(|s| {
                let roles: Vec<_> = s.stage.inputs.iter().map(|i| i.role.as_str()).collect();
                let params = serde_json::to_string(&s.stage.params).unwrap();
                format!("{} {params} {}", s.stage.kind, roles.join(" "))
            })
            .collect();
        insta::assert_snapshot!(text.join("\n"), @r#"
        graph {"max_word_frequency":5000,"purchase_needs_words":"auto","tfidf_threshold":0.1,"word_filter":"keep_high"} dataset
        embedding {"batch":64,"clip":5.0,"dimension":100,"epochs":30,"learning_rate":0.5,"method":"transe","negative_bias":"positive_tail","negatives":5,"optimizer":"sgd","seed":1,"subsample":0.0001} dataset graph
        agent {"action_dropout":0.5,"algorithm":"actor_critic","batch":32,"dropout":0.5,"entropy_weight":0.001,"epochs":50,"gamma":0.99,"hidden":[512,256],"history":1,"learning_rate":0.0001,"max_actions":250,"reward":"scaled_dot","seed":1} embedding graph
        rollout {"attack":"fgsm_l1","dropout_at_eval":false,"epsilon":1.0,"frequency":0.5,"objective":"value","seed":1,"timing":"random","topk":[25,5,1],"users":"0..5"} agent embedding graph
        ranking {"cutoff":10} graph rollout
        direct {"cutoff":10,"users":"0..5"} embedding graph
        "#);
    }

    #[test]
    fn a_random_walk_shares_the_embedding_alone() {
        let plan = plan("dataset: d\ninclude:\n  - {agent.algorithm: random_walk}\n");
        assert_eq!(counts(&plan), [1, 1, 2, 2, 2, 1]);
        let walk = plan.stages.iter().rfind(|s| s.stage.kind == StageKind::Agent).unwrap();
        let params = serde_json::to_string(&walk.stage.params).unwrap();
        insta::assert_snapshot!(params, @r#"
        {"algorithm":"random_walk","history":1,"max_actions":250,"seed":1}
        "#);
    }

    #[test]
    fn imported_weights_are_not_trained() {
        let plan = plan("dataset: d\nagent: {imported: pgpr}\n");
        assert_eq!(counts(&plan), [1, 0, 0, 1, 1, 1]);
        let rollout = plan.stages.iter().find(|s| s.stage.kind == StageKind::Rollout).unwrap();
        assert_eq!(rollout.stage.input("agent"), Some(&StageKey::of_bytes(b"agent")));
        let keys: Vec<&str> = plan.cells[0].params.keys().collect();
        assert!(keys.contains(&"agent.imported"));
        assert!(!keys.iter().any(|k| k.starts_with("embedding.") || *k == "agent.epochs"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let refused = |text: &str| Plan::build(cells(text), &sources()).unwrap_err().to_string();
        insta::assert_snapshot!(refused("dataset: dd\n"), @"unknown dataset `dd`; did you mean `d`?; known: d, e");
        insta::assert_snapshot!(refused("dataset: d\nagent: {imported: pgrp}\n"), @"unknown import `pgrp`; did you mean `pgpr`?; known: pgpr");
        insta::assert_snapshot!(refused("dataset: e\nagent: {imported: pgpr}\n"), @"import `pgpr` was made for dataset `d`, not for `e`; name that dataset");
        let none = Plan::build(cells("dataset: d\n"), &NamedSources::default()).unwrap_err();
        insta::assert_snapshot!(none, @"unknown dataset `d`; there is none yet: import one first");
    }

    #[test]
    fn cells_read_from_elsewhere_give_the_same_plan() {
        let cells = cells("dataset: d\nseeds: 2\naxes: {agent.epochs: [1, 2]}\n");
        let plan = Plan::build(cells.clone(), &sources()).unwrap();
        // Values that are not shared between cells, as after reading from the database.
        let apart: Vec<Cell> =
            cells.into_iter().map(|c| Cell { params: c.params.to_map().into(), ..c }).collect();
        assert_eq!(Plan::build(apart, &sources()).unwrap(), plan);
    }

    #[test]
    fn direct_can_be_left_out() {
        let plan = plan("dataset: d\nrollout: {direct: false}\n");
        assert_eq!(counts(&plan), [1, 1, 1, 1, 1, 0]);
    }

    #[test]
    fn only_what_results_need_runs() {
        let plan = plan("dataset: d\naxes: {attack: [none, {id: fgsm_l2, epsilon: 1}]}\n");
        let of = |kinds: &[StageKind]| -> Vec<bool> {
            plan.stages.iter().map(|s| kinds.contains(&s.stage.kind)).collect()
        };
        let running = |stored: &[bool]| plan.to_run(stored).iter().filter(|r| **r).count();
        assert_eq!(running(&of(&[])), plan.stages.len());
        assert_eq!(running(&of(&[StageKind::Ranking, StageKind::Direct])), 0);
        // The rollouts are there: two rankings and the direct recommender with graph and embedding.
        assert_eq!(running(&of(&[StageKind::Rollout])), 2 + 1 + 2);
    }

    pub(in crate::plan) fn stages_of(plan: &Plan, kind: StageKind) -> Vec<&PlannedStage> {
        plan.stages.iter().filter(|s| s.stage.kind == kind).collect()
    }

    #[test]
    fn a_frequency_of_a_rule_that_scores_takes_its_threshold_from_a_calibration() {
        let plan = plan(
            "dataset: d\nepsilon: 1\naxes:\n  attack: [fgsm_l2, fgsm_linf]\n  \
             timing: [random, strategic, oracle]\n  frequency: [0.1, 0.5, 1.0]\n",
        );
        // One for all frequencies; the strategic one for both attacks, the oracle's for each.
        let calibrations = stages_of(&plan, StageKind::Calibration);
        assert_eq!(calibrations.len(), 3);
        let strategic = calibrations[0];
        let params = serde_json::to_string(&strategic.stage.params).unwrap();
        insta::assert_snapshot!(params, @r#"{"dropout_at_eval":false,"seed":1,"timing":"strategic","topk":[25,5,1],"users":"all"}"#);
        assert!(calibrations[1..].iter().all(|c| c.stage.params.contains_key("attack")));
        let with: Vec<&str> = stages_of(&plan, StageKind::Rollout)
            .iter()
            .filter(|s| s.stage.input("calibration").is_some())
            .map(|s| s.stage.params["timing"].as_str().unwrap())
            .collect();
        assert_eq!(with.len(), 12);
        assert!(!with.contains(&"random"));
    }

    #[test]
    fn a_given_threshold_needs_no_calibration() {
        let plan =
            plan("dataset: d\nattack: fgsm_l2\nepsilon: 1\ntiming: strategic\nthreshold: 0.2\n");
        assert_eq!(count(&plan, StageKind::Calibration), 0);
        let rollout = stages_of(&plan, StageKind::Rollout)[0];
        assert_eq!(rollout.stage.params["threshold"], serde_json::json!(0.2));
        assert!(!rollout.stage.params.contains_key("frequency"));
    }

    #[test]
    fn a_transferred_attack_is_crafted_on_another_agent_of_the_same_embedding() {
        let plan = plan(
            "dataset: d\nattack: fgsm_l2\nepsilon: 1\ntransfer: {algorithm: reinforce}\n\
             axes: {agent.algorithm: [actor_critic]}\n",
        );
        assert_eq!((count(&plan, StageKind::Embedding), count(&plan, StageKind::Agent)), (1, 2));
        let rollout = stages_of(&plan, StageKind::Rollout)[0];
        let surrogate = rollout.stage.input("surrogate").unwrap();
        let made = plan.stages.iter().find(|s| s.key == *surrogate).unwrap();
        assert_eq!(made.stage.params["algorithm"], "reinforce");
        assert!(!rollout.stage.params.contains_key("algorithm"));
        let own = "dataset: d\nattack: fgsm_l2\nepsilon: 1\ntransfer: {seed: 1}\n";
        let refused = Plan::build(cells(own), &sources()).unwrap_err();
        insta::assert_snapshot!(refused, @"`transfer` names the agent that is attacked itself (1); name another, or exclude the cells where the two are the same");
    }

    #[test]
    fn cells_are_compared_within_their_own_seed_and_agent() {
        let grid = |compare: &str| {
            format!(
                "dataset: d\nseeds: 2\ndrift: {{compare: {compare}}}\naxes:\n  attack: [none, \
                 {{id: fgsm_l1, epsilon: 0.1}}, {{id: fgsm_l2, epsilon: 1}}, deepfool]\n",
            )
        };
        // With the clean and the l1 cell, themselves among them: 4 + 3 of the 10 pairs a seed.
        let references = plan(&grid("references"));
        assert_eq!(count(&references, StageKind::Drift), 14);
        let all = plan(&grid("all"));
        assert_eq!(count(&all, StageKind::Drift), 20);
        for stage in stages_of(&all, StageKind::Drift) {
            let [one, other] = ["rollout", "other"].map(|role| stage.stage.input(role).unwrap());
            assert!(one <= other, "one order of each pair");
            let cells = if one == other { 1 } else { 2 };
            assert_eq!(stage.cells, cells);
        }
        let running = all.to_run(&vec![false; all.stages.len()]);
        assert!(running.iter().all(|runs| *runs));
    }
}

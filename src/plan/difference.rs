//! What sets two stages apart, down to the parameter in which it begins.

use super::Plan;
use super::stage::{Stage, StageKey, StageKind};
use crate::grid::CATALOGUE;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// A stage that is planned, or that the database knows.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedStage {
    pub stage: Stage,
    /// Of what it computes, when it was recorded.
    pub version: u32,
    /// When it was last done; `None` if it never was.
    pub done: Option<String>,
    /// Of two that were recorded, the later one has the greater.
    pub order: i64,
}

/// Stages by their keys, and the names of what is made outside all stages.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub stages: HashMap<StageKey, RecordedStage>,
    /// Of datasets and imported weights.
    pub names: HashMap<StageKey, String>,
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Change {
    /// A parameter by its name in grids, `version of agent`, or an input such as `input dataset`.
    pub what: String,
    /// `null` where there was none.
    pub old: Value,
    /// `null` where there is none.
    pub new: Value,
    /// The inputs that lead to the stage in which it differs, from the one that was asked about.
    pub by: Vec<String>,
}

impl Records {
    /// Adds stages of a plan that are not known yet.
    pub fn extend(&mut self, plan: &Plan, stages: impl IntoIterator<Item = usize>) {
        for planned in stages.into_iter().map(|index| &plan.stages[index]) {
            self.stages.entry(planned.key.clone()).or_insert_with(|| RecordedStage {
                stage: planned.stage.clone(),
                version: planned.stage.kind.version(),
                done: None,
                order: i64::MAX,
            });
        }
    }

    /// What sets a stage apart from an earlier one, each thing once, nearest inputs first. Inputs
    /// that differ are followed to what makes them differ.
    pub fn changes(&self, new: &StageKey, old: &StageKey) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut told = HashSet::new();
        let mut tell = |what: String, old: Value, new: Value, by: &[String]| {
            if told.insert((what.clone(), old.clone(), new.clone())) {
                changes.push(Change { what, old, new, by: by.to_vec() });
            }
        };
        let mut seen = HashSet::new();
        let mut pairs = VecDeque::from([(new.clone(), old.clone(), Vec::<String>::new())]);
        while let Some((new, old, by)) = pairs.pop_front() {
            if new == old || !seen.insert((new.clone(), old.clone())) {
                continue;
            }
            let (Some(a), Some(b)) = (self.alike(&new, &old), self.stages.get(&old)) else {
                let role = by.last().map_or("itself", String::as_str);
                tell(format!("input {role}"), self.name(&old), self.name(&new), &by);
                continue;
            };
            if a.version != b.version {
                let what = format!("version of {}", a.stage.kind);
                tell(what, b.version.into(), a.version.into(), &by);
            }
            let names: BTreeSet<&String> =
                a.stage.params.keys().chain(b.stage.params.keys()).collect();
            for name in names {
                let value = |stage: &Stage| stage.params.get(name).cloned().unwrap_or(Value::Null);
                let (old, new) = (value(&b.stage), value(&a.stage));
                if old != new {
                    tell(parameter(&a.stage, name), old, new, &by);
                }
            }
            let roles = a.stage.inputs.iter().chain(&b.stage.inputs);
            let roles: BTreeSet<&str> = roles.map(|input| input.role.as_str()).collect();
            for role in roles {
                match (a.stage.input(role), b.stage.input(role)) {
                    (Some(new), Some(old)) => {
                        let by = by.iter().cloned().chain([role.to_owned()]).collect();
                        pairs.push_back((new.clone(), old.clone(), by));
                    }
                    (new, old) => {
                        let name =
                            |key: Option<&StageKey>| key.map_or(Value::Null, |k| self.name(k));
                        tell(format!("input {role}"), name(old), name(new), &by);
                    }
                }
            }
        }
        changes
    }

    /// The stage of the same kind that differs least, and in how many things, among those that were
    /// done at some time and pass `among`; of equally near ones the latest.
    pub fn nearest(
        &self,
        key: &StageKey,
        among: impl Fn(&StageKey) -> bool,
    ) -> Option<(usize, &StageKey)> {
        let own = self.stages.get(key)?;
        let mut distances = HashMap::new();
        self.stages
            .iter()
            .filter(|(other, recorded)| {
                recorded.stage.kind == own.stage.kind
                    && recorded.done.is_some()
                    && *other != key
                    && among(other)
            })
            .map(|(other, recorded)| {
                let distance = self.distance(key, other, &mut distances);
                (distance, std::cmp::Reverse(recorded.order), other)
            })
            .min()
            .map(|(distance, _, other)| (distance, other))
    }

    /// How many parameters and inputs differ, those of differing inputs among them. One that is
    /// reached by two inputs counts twice: it is for comparing alone.
    fn distance<'a>(
        &'a self,
        new: &'a StageKey,
        old: &'a StageKey,
        known: &mut HashMap<(&'a StageKey, &'a StageKey), usize>,
    ) -> usize {
        if new == old {
            return 0;
        }
        if let Some(distance) = known.get(&(new, old)) {
            return *distance;
        }
        let distance = match (self.alike(new, old), self.stages.get(old)) {
            (Some(a), Some(b)) => {
                let (a, b) = (&a.stage, &b.stage);
                let both = a.params.iter().filter(|(name, _)| b.params.contains_key(*name));
                let equal = both.clone().filter(|(name, value)| b.params[*name] == **value).count();
                let params = a.params.len() + b.params.len() - both.count() - equal;
                let shared = a.inputs.iter().filter_map(|i| Some((&i.key, b.input(&i.role)?)));
                let shared: Vec<_> = shared.collect();
                let alone = a.inputs.len() + b.inputs.len() - 2 * shared.len();
                let inputs = shared.into_iter().map(|(new, old)| self.distance(new, old, known));
                params + alone + inputs.sum::<usize>()
            }
            _ => 1,
        };
        known.insert((new, old), distance);
        distance
    }

    /// The record of `new`, if that of `old` can be compared with it.
    fn alike(&self, new: &StageKey, old: &StageKey) -> Option<&RecordedStage> {
        let (new, old) = (self.stages.get(new)?, self.stages.get(old)?);
        (new.stage.kind == old.stage.kind).then_some(new)
    }

    /// What is made outside all stages by its name, all else by its key.
    fn name(&self, key: &StageKey) -> Value {
        match self.names.get(key) {
            Some(name) => format!("{name} ({})", key.short()).into(),
            None => key.short().into(),
        }
    }
}

/// What grids call a parameter of a stage.
fn parameter(stage: &Stage, name: &str) -> String {
    // A stage has the names without the sections, and two sections may go into one.
    let hardened = stage.kind == StageKind::Agent && stage.input("agent").is_some();
    let kind = match stage.kind {
        StageKind::Calibration => StageKind::Rollout,
        kind => kind,
    };
    let of_kind = |p: &&crate::grid::Parameter| p.stage == Some(kind) && p.last_name() == name;
    let hardening = |name: &str| name.starts_with("adversarial_training.");
    let found = CATALOGUE.iter().filter(of_kind);
    let found = found.min_by_key(|p| hardening(p.name) != hardened);
    match found {
        Some(parameter) => parameter.name.to_owned(),
        None if name == "seed" => name.to_owned(),
        None => format!("{}.{name}", stage.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StageInput;
    use serde_json::json;

    fn record(
        records: &mut Records,
        kind: StageKind,
        params: Value,
        inputs: &[(&str, &StageKey)],
    ) -> StageKey {
        let Value::Object(params) = params else { panic!("an object") };
        let input = |(role, key): &(&str, &StageKey)| StageInput {
            role: (*role).to_owned(),
            key: (*key).clone(),
        };
        let stage = Stage::new(kind, params, inputs.iter().map(input).collect());
        let (key, order) = (stage.key(), records.stages.len() as i64);
        let done = Some("2026-01-31".to_owned());
        records
            .stages
            .insert(key.clone(), RecordedStage { stage, version: kind.version(), done, order });
        key
    }

    /// The ranking of an agent under an attack.
    fn ranking(records: &mut Records, dataset: &str, epochs: u64, epsilon: f64) -> StageKey {
        let data = StageKey::of_bytes(dataset.as_bytes());
        records.names.insert(data.clone(), dataset.to_owned());
        let graph = record(records, StageKind::Graph, json!({}), &[("dataset", &data)]);
        let params = json!({"epochs": epochs, "seed": 1});
        let agent = record(records, StageKind::Agent, params, &[("graph", &graph)]);
        let params = json!({"epsilon": epsilon, "seed": 1});
        let inputs = [("graph", &graph), ("agent", &agent)];
        let rollout = record(records, StageKind::Rollout, params, &inputs);
        let inputs = [("graph", &graph), ("rollout", &rollout)];
        record(records, StageKind::Ranking, json!({"cutoff": 10}), &inputs)
    }

    fn told(records: &Records, new: &StageKey, old: &StageKey) -> String {
        let change = |c: Change| format!("{}: {} -> {} by {:?}\n", c.what, c.old, c.new, c.by);
        records.changes(new, old).into_iter().map(change).collect()
    }

    #[test]
    fn a_change_is_followed_to_where_it_begins() {
        let mut records = Records::default();
        let old = ranking(&mut records, "beauty", 50, 0.5);
        let new = ranking(&mut records, "beauty", 60, 0.25);
        insta::assert_snapshot!(told(&records, &new, &old), @r#"
        epsilon: 0.5 -> 0.25 by ["rollout"]
        agent.epochs: 50 -> 60 by ["rollout", "agent"]
        "#);
        let other = ranking(&mut records, "toys", 50, 0.5);
        insta::assert_snapshot!(told(&records, &other, &old), @r#"input dataset: "beauty (5d7f262e15a0)" -> "toys (d1f88557c909)" by ["graph", "dataset"]"#);
        assert_eq!(told(&records, &old, &old), "");
    }

    #[test]
    fn the_nearest_stage_differs_in_the_fewest_things() {
        let mut records = Records::default();
        let far = ranking(&mut records, "toys", 50, 0.5);
        let near = ranking(&mut records, "beauty", 50, 0.5);
        let farther = ranking(&mut records, "toys", 50, 0.25);
        let new = ranking(&mut records, "beauty", 60, 0.5);
        assert_eq!(records.nearest(&new, |_| true), Some((1, &near)));
        let found = records.nearest(&new, |key| *key != near);
        assert_eq!(found, Some((4, &far)), "not {farther}");
        for recorded in records.stages.values_mut() {
            recorded.done = None;
        }
        assert_eq!(records.nearest(&new, |_| true), None);
    }

    #[test]
    fn a_raised_version_and_an_input_more_are_named() {
        let mut records = Records::default();
        let old = ranking(&mut records, "beauty", 50, 0.5);
        let mut stage = records.stages[&old].stage.clone();
        let detector = StageKey::of_bytes(b"detector");
        stage.inputs.push(StageInput { role: "detector".to_owned(), key: detector });
        let new = StageKey::of_bytes(b"new");
        let recorded = RecordedStage { stage, version: 7, done: None, order: 9 };
        records.stages.insert(new.clone(), recorded);
        insta::assert_snapshot!(told(&records, &new, &old), @r#"
        version of ranking: 1 -> 7 by []
        input detector: null -> "dd0ba0633d95" by []
        "#);
    }
}

//! What a stage will take, from stages like it that were done before.

use crate::plan::{Plan, Stage, StageKey, StageKind};
use crate::store::Observation;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Parameters, by the names that stages have for them, that decide how much there is to do.
const SIZES: &[&str] = &[
    "algorithm",
    "attack",
    "batch",
    "candidates",
    "dimension",
    "epochs",
    "frequency",
    "hidden",
    "iterations",
    "max_actions",
    "max_iter",
    "method",
    "negatives",
    "paths",
    "permutation_paths",
    "permutations",
    "samples",
    "sleep_ms",
    "test_paths",
    "timing",
    "topk",
    "users",
];

/// Sums over observations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    seconds: f64,
    timed: usize,
    bytes: f64,
    sized: usize,
}

/// What a stage is predicted to take; `None` where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prediction {
    pub seconds: Option<f64>,
    pub bytes: Option<f64>,
}

/// Stages that were done, by how they resemble others.
#[derive(Clone, Debug, Default)]
pub struct History {
    kinds: BTreeMap<StageKind, Tally>,
    alike: HashMap<u64, Tally>,
}

impl History {
    /// A history of observations, in any order.
    pub fn new(observations: &[Observation]) -> Self {
        let mut history = Self::default();
        for seen in observations {
            let source = seen.source.as_ref().map(StageKey::as_str);
            let alike = likenesses(seen.kind, &seen.params, source);
            for hash in alike {
                history.alike.entry(hash).or_default().add(seen);
            }
            history.kinds.entry(seen.kind).or_default().add(seen);
        }
        history
    }

    /// How many stages of a kind were seen.
    pub fn count(&self, kind: StageKind) -> usize {
        self.kinds.get(&kind).map_or(0, |tally| tally.timed)
    }

    /// The mean over the stages that resemble this one most: equal in all but the seed; else on the same
    /// graph and equal in what decides the size; else on any graph; else of its kind.
    pub fn predict(&self, stage: &Stage) -> Prediction {
        let Some(of_kind) = self.kinds.get(&stage.kind) else { return Prediction::default() };
        let source = stage.input("graph").or_else(|| stage.input("dataset"));
        let alike = likenesses(stage.kind, &stage.params, source.map(StageKey::as_str));
        let tallies = alike.iter().filter_map(|hash| self.alike.get(hash)).chain([of_kind]);
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        Prediction {
            seconds: tallies.clone().find_map(|t| mean(t.seconds, t.timed)),
            bytes: tallies.clone().find_map(|t| mean(t.bytes, t.sized)),
        }
    }

    /// What the stages of a plan that have to run will take with so many workers.
    pub fn estimate(&self, plan: &Plan, to_run: &[bool], jobs: usize) -> Estimate {
        let mut estimate = Estimate::default();
        let mut chains = vec![0.0f64; plan.stages.len()];
        let mut longest = 0.0f64;
        for (index, planned) in plan.stages.iter().enumerate().filter(|&(index, _)| to_run[index]) {
            let kind = planned.stage.kind;
            let predicted = self.predict(&planned.stage);
            let of_kind = estimate.kinds.entry(kind).or_insert_with(|| KindEstimate {
                observations: self.count(kind),
                ..KindEstimate::default()
            });
            of_kind.stages += 1;
            let add = |sum: &mut Option<f64>, value: Option<f64>| {
                if let Some(value) = value {
                    *sum = Some(sum.unwrap_or(0.0) + value);
                }
            };
            add(&mut of_kind.seconds, predicted.seconds);
            add(&mut of_kind.bytes, predicted.bytes);
            let before = planned.needs.iter().map(|&need| chains[need]).fold(0.0, f64::max);
            chains[index] = before + predicted.seconds.unwrap_or(0.0);
            longest = longest.max(chains[index]);
        }
        let work: f64 = estimate.kinds.values().filter_map(|kind| kind.seconds).sum();
        estimate.wall_s = (work / jobs.max(1) as f64).max(longest);
        estimate
    }
}

impl Tally {
    fn add(&mut self, seen: &Observation) {
        self.seconds += seen.wall_s;
        self.timed += 1;
        if let Some(bytes) = seen.bytes {
            self.bytes += bytes as f64;
            self.sized += 1;
        }
    }
}

/// What the stages of one kind will take together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KindEstimate {
    /// That have to run.
    pub stages: usize,
    /// Of their workers, added up.
    pub seconds: Option<f64>,
    pub bytes: Option<f64>,
    /// How many stages of the kind were done before.
    pub observations: usize,
}

/// What a plan will take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Kinds with stages that have to run.
    pub kinds: BTreeMap<StageKind, KindEstimate>,
    /// From start to end, of the kinds that are known: no less than the longest chain of stages.
    pub wall_s: f64,
}

impl Estimate {
    /// Bytes of all kinds that are known.
    pub fn bytes(&self) -> f64 {
        self.kinds.values().filter_map(|kind| kind.bytes).sum()
    }

    /// How many stages of these kinds were done before.
    pub fn observations(&self) -> usize {
        self.kinds.values().map(|kind| kind.observations).sum()
    }

    /// Kinds that were never seen.
    pub fn unknown(&self) -> impl Iterator<Item = StageKind> {
        self.kinds.iter().filter(|(_, known)| known.seconds.is_none()).map(|(&kind, _)| kind)
    }
}

/// Hashes that are equal for stages that resemble each other, the closest likeness first.
fn likenesses(kind: StageKind, params: &Map<String, Value>, source: Option<&str>) -> [u64; 3] {
    let mut all = DefaultHasher::new();
    let mut sizes = DefaultHasher::new();
    (kind, "all").hash(&mut all);
    (kind, "sizes").hash(&mut sizes);
    for (name, value) in params {
        if name != "seed" {
            name.hash(&mut all);
            hash_value(value, &mut all);
        }
        if SIZES.contains(&name.as_str()) {
            name.hash(&mut sizes);
            hash_value(value, &mut sizes);
        }
    }
    let anywhere = sizes.finish();
    source.hash(&mut all);
    source.hash(&mut sizes);
    [all.finish(), sizes.finish(), anywhere]
}

fn hash_value(value: &Value, hasher: &mut DefaultHasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Bool(value) => value.hash(hasher),
        Value::Number(number) => number.as_f64().unwrap_or(0.0).to_bits().hash(hasher),
        Value::String(text) => text.hash(hasher),
        Value::Array(values) => values.iter().for_each(|value| hash_value(value, hasher)),
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            name.hash(hasher);
            hash_value(value, hasher);
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{PlannedStage, StageInput};
    use serde_json::json;

    fn stage(kind: StageKind, params: Value, graph: &str) -> Stage {
        let Value::Object(params) = params else { panic!("an object") };
        let key = StageKey::of_bytes(graph.as_bytes());
        Stage::new(kind, params, vec![StageInput { role: "graph".to_owned(), key }])
    }

    fn seen(params: Value, graph: &str, wall_s: f64) -> Observation {
        let stage = stage(StageKind::Rollout, params, graph);
        let source = stage.input("graph").cloned();
        let bytes = Some(wall_s as u64 * 100);
        Observation { kind: stage.kind, params: stage.params, source, wall_s, bytes }
    }

    #[test]
    fn the_stages_most_like_it_predict_a_stage() {
        let history = History::new(&[
            seen(json!({"attack": "jsma", "epsilon": 0.5, "seed": 1}), "beauty", 40.0),
            seen(json!({"attack": "jsma", "epsilon": 0.5, "seed": 2}), "beauty", 60.0),
            seen(json!({"attack": "jsma", "epsilon": 0.1, "seed": 1}), "beauty", 80.0),
            seen(json!({"attack": "jsma", "epsilon": 0.1, "seed": 1}), "toys", 300.0),
            seen(json!({"attack": "none", "seed": 1}), "toys", 10.0),
        ]);
        let seconds = |params: Value, graph: &str| {
            history.predict(&stage(StageKind::Rollout, params, graph)).seconds
        };
        let same = json!({"attack": "jsma", "epsilon": 0.5, "seed": 9});
        assert_eq!(seconds(same.clone(), "beauty"), Some(50.0), "all but the seed");
        let other = json!({"attack": "jsma", "epsilon": 0.9, "seed": 1});
        assert_eq!(seconds(other, "beauty"), Some(60.0), "the attack on this graph");
        assert_eq!(seconds(same, "clothing"), Some(120.0), "the attack on any graph");
        let new = json!({"attack": "spsa", "seed": 1});
        assert_eq!(seconds(new, "beauty"), Some(98.0), "its kind");
        let unseen = stage(StageKind::Agent, json!({}), "beauty");
        assert_eq!(history.predict(&unseen), Prediction::default());
    }

    #[test]
    fn a_plan_takes_no_less_than_its_longest_chain() {
        let params = |attack: &str| json!({"attack": attack});
        let history = History::new(&[seen(params("a"), "g", 100.0), seen(params("b"), "g", 20.0)]);
        let planned = |attack: &str, needs: &[usize]| {
            let stage = stage(StageKind::Rollout, params(attack), "g");
            PlannedStage { key: stage.key(), stage, needs: needs.to_vec(), cells: 1 }
        };
        let stages = vec![planned("a", &[]), planned("b", &[0]), planned("b", &[])];
        let mut plan = Plan { stages, cells: Vec::new() };
        let wall = |plan: &Plan, jobs| history.estimate(plan, &[true; 3], jobs).wall_s;
        assert_eq!([wall(&plan, 1), wall(&plan, 2), wall(&plan, 9)], [140.0, 120.0, 120.0]);
        assert_eq!(history.estimate(&plan, &[true; 3], 1).bytes(), 14_000.0);
        plan.stages[1].stage.kind = StageKind::Drift;
        let estimate = history.estimate(&plan, &[true; 3], 1);
        assert_eq!(estimate.unknown().collect::<Vec<_>>(), [StageKind::Drift]);
        assert_eq!((estimate.wall_s, estimate.observations()), (120.0, 2));
    }
}

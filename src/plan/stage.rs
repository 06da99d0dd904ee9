//! Stages: the jobs that cells are made of, and the keys that let cells share them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::sync::Arc;

/// What a stage computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Imported or generated outside a sweep, or generated for a grid that names `embedded`.
    Dataset,
    /// Compressed adjacency, after the word filter. Input: `dataset`.
    Graph,
    /// TransE. Inputs: `dataset` and `graph`. Also the kind of imported embeddings.
    Embedding,
    /// Policy and value network. Inputs: `graph`, `embedding`, and `agent` where that one is trained
    /// further on attacked states. Also the kind of imported policies.
    Agent,
    /// Scores of the clean rollout's time steps that a timing rule's threshold is taken from. Inputs:
    /// `graph`, `embedding`, `agent`, for the oracle also `surrogate` and `detector` where the attack is crafted with
    /// them.
    Calibration,
    /// Beam search, clean or attacked. Inputs: `graph`, `embedding`, `agent`; `calibration` where the
    /// timing rule takes its threshold from one, `surrogate` (another agent) where the perturbation is
    /// crafted on it, `detector` where the attack evades one.
    Rollout,
    /// Drift between the paths of two rollouts, or between two halves of one. Inputs: `graph`,
    /// `embedding`, `rollout`, `other`.
    Drift,
    /// A detector of attacked paths. Inputs: `graph`, `embedding`, and the rollouts `clean`, `attacked`
    /// and, where it is an extra negative class, `noise`.
    Detector,
    /// A detector's test on a rollout. Inputs: `graph`, `embedding`, `detector`, and the rollouts `clean`
    /// and `attacked`.
    Detection,
    /// Ranking metrics of a rollout. Inputs: `graph`, `rollout`; where flagged paths are rejected, also
    /// `embedding`, `agent` and `detector`.
    Ranking,
    /// Ranking metrics of the `direct` recommender. Inputs: `graph`, `embedding`.
    Direct,
    /// Does nothing: measures what a stage costs by itself.
    Noop,
}

impl StageKind {
    pub const ALL: [StageKind; 12] = [
        StageKind::Dataset,
        StageKind::Graph,
        StageKind::Embedding,
        StageKind::Agent,
        StageKind::Calibration,
        StageKind::Rollout,
        StageKind::Drift,
        StageKind::Detector,
        StageKind::Detection,
        StageKind::Ranking,
        StageKind::Direct,
        StageKind::Noop,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            StageKind::Dataset => "dataset",
            StageKind::Graph => "graph",
            StageKind::Embedding => "embedding",
            StageKind::Agent => "agent",
            StageKind::Calibration => "calibration",
            StageKind::Rollout => "rollout",
            StageKind::Drift => "drift",
            StageKind::Detector => "detector",
            StageKind::Detection => "detection",
            StageKind::Ranking => "ranking",
            StageKind::Direct => "direct",
            StageKind::Noop => "noop",
        }
    }

    /// The kind with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether an attempt goes on from where the last one was cut off (`store::checkpoint`).
    pub const fn resumes(self) -> bool {
        matches!(self, Self::Embedding | Self::Agent | Self::Detector)
    }

    /// Version of what the stage computes. Raise it when the same parameters would give other
    /// numbers; every artefact of the kind, and what was made from it, is then computed anew.
    pub const fn version(self) -> u32 {
        match self {
            // 2: distributions of queries, iterations and the share of the budget.
            StageKind::Rollout => 2,
            // 2: the projection on two principal components.
            StageKind::Drift => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Identity of a stage and of the artefact that it makes: 64 hexadecimal digits of a BLAKE3 hash.
/// Cheap to clone: a plan names each key many times.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StageKey(Arc<str>);

impl From<StageKey> for String {
    fn from(key: StageKey) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl TryFrom<String> for StageKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no key of 64 hexadecimal digits"))
    }
}

impl StageKey {
    /// Takes a key from text; `None` unless it is 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 64
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        valid.then(|| Self(text.into()))
    }

    /// The digest of some bytes as a key.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(blake3::hash(bytes).to_hex().as_str().into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A named input of a stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageInput {
    /// What the stage calls it: the kind's name of the input (`graph`, `embedding`, …).
    pub role: String,
    pub key: StageKey,
}

/// A job: all that decides its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    pub kind: StageKind,
    /// Every parameter of the stage, defaults filled in. Keys are sorted, numbers are typed by the
    /// catalogue (an integer stays one), so equal parameters have equal text.
    pub params: Map<String, Value>,
    /// Sorted by role.
    pub inputs: Vec<StageInput>,
}

impl Stage {
    /// A stage with its inputs brought into order.
    pub fn new(kind: StageKind, params: Map<String, Value>, mut inputs: Vec<StageInput>) -> Self {
        inputs.sort_by(|a, b| a.role.cmp(&b.role));
        Self { kind, params, inputs }
    }

    /// The stage's key: BLAKE3 over kind, stage version, parameters and the keys of the inputs, and
    /// over nothing else (no paths, times, names of machines).
    pub fn key(&self) -> StageKey {
        // The text of a JSON object with sorted keys, written without building the object.
        #[derive(Serialize)]
        struct Input<'a> {
            key: &'a str,
            role: &'a str,
        }
        #[derive(Serialize)]
        struct Identity<'a> {
            inputs: Vec<Input<'a>>,
            kind: &'a str,
            params: &'a Map<String, Value>,
            version: u32,
        }
        let inputs = self.inputs.iter().map(|i| Input { key: i.key.as_str(), role: &i.role });
        let identity = Identity {
            inputs: inputs.collect(),
            kind: self.kind.name(),
            params: &self.params,
            version: self.kind.version(),
        };
        // Writing text, numbers and maps with text as keys to memory cannot fail.
        let mut text = Vec::with_capacity(1024);
        let written = serde_json::to_writer(&mut text, &identity);
        debug_assert!(written.is_ok());
        StageKey::of_bytes(&text)
    }

    /// The key of the input with this role.
    pub fn input(&self, role: &str) -> Option<&StageKey> {
        self.inputs.iter().find(|i| i.role == role).map(|i| &i.key)
    }
}

/// One number that a stage reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Such as `ndcg`, `linf_mean`, `train_reward`.
    pub name: String,
    /// What the number is over: `valid` or `all_users` for ranking metrics, `epoch/3` in a training
    /// curve, `all` where there is no choice.
    pub split: String,
    /// Never NaN or infinite; what could not be computed is left out.
    pub value: f64,
    /// How many observations the value summarises.
    pub n: u64,
    /// Ends of a 95 % interval, where one is computed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
}

impl Metric {
    /// A metric without an interval.
    pub fn new(name: impl Into<String>, split: impl Into<String>, value: f64, n: u64) -> Self {
        Self { name: name.into(), split: split.into(), value, n, lower: None, upper: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn stage(params: Value, inputs: &[(&str, &str)]) -> Stage {
        let Value::Object(params) = params else { panic!("an object") };
        let inputs = inputs
            .iter()
            .map(|(role, text)| StageInput {
                role: (*role).to_owned(),
                key: StageKey::of_bytes(text.as_bytes()),
            })
            .collect();
        Stage::new(StageKind::Agent, params, inputs)
    }

    #[test]
    fn key_depends_on_content_alone() {
        let a = stage(json!({"epochs": 50, "rate": 1e-4}), &[("graph", "g"), ("embedding", "e")]);
        let b = stage(json!({"rate": 0.0001, "epochs": 50}), &[("embedding", "e"), ("graph", "g")]);
        assert_eq!(a.key(), b.key());
        let c = stage(json!({"epochs": 51, "rate": 1e-4}), &[("graph", "g"), ("embedding", "e")]);
        assert_ne!(a.key(), c.key());
        let d = stage(json!({"epochs": 50, "rate": 1e-4}), &[("graph", "e"), ("embedding", "g")]);
        assert_ne!(a.key(), d.key());
    }

    #[test]
    fn a_key_is_the_hash_of_a_json_text() {
        let stage = stage(json!({"rate": 1e-4, "epochs": 50, "layers": [2, 1]}), &[("graph", "g")]);
        let identity = json!({
            "kind": "agent",
            "version": 1,
            "params": stage.params,
            "inputs": stage.inputs,
        });
        assert_eq!(stage.key(), StageKey::of_bytes(identity.to_string().as_bytes()));
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        assert_eq!(StageKey::parse(&"a0".repeat(32)).unwrap().short(), "a0a0a0a0a0a0");
        assert_eq!(StageKey::parse(&"A0".repeat(32)), None);
        assert_eq!(StageKey::parse("a0"), None);
        let key = StageKey::of_bytes(b"x");
        let text = serde_json::to_string(&key).unwrap();
        assert_eq!(text, format!("\"{key}\""));
        assert_eq!(serde_json::from_str::<StageKey>(&text).unwrap(), key);
        assert!(serde_json::from_str::<StageKey>("\"a0\"").is_err());
    }
}

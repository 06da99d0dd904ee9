//! What the orchestrator and a worker say to each other: one JSON object a line, over the worker's
//! standard input and output. A worker greets, then answers each `run` with any number of
//! `progress` and one `done` or `failed`, until it reads `exit` or the end of its input.

use crate::causes;
use crate::plan::{Findings, Stage, StageKey};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A stage to run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub stage: Stage,
    pub key: StageKey,
    /// The artefacts' folders by input role.
    pub inputs: BTreeMap<String, PathBuf>,
    /// An empty folder; the files in it become the artefact.
    pub scratch: PathBuf,
    /// A folder for what a long stage needs to go on where it was, should it be tried again. It is kept
    /// between attempts, need not exist, and is removed when the stage is done.
    pub checkpoint: PathBuf,
    /// Cores that the stage may keep busy. Results must not depend on it.
    pub threads: usize,
    /// Where the worker's standard error goes during the stage.
    pub log: PathBuf,
}

/// How far a stage is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
    /// 0 when it is not known.
    pub total: u64,
    /// A few words such as `epoch 3`.
    #[serde(default)]
    pub note: String,
}

/// Why a stage has no result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What, where, and what to do.
    pub error: String,
    /// Whether the disk is full: the sweep then stops instead of failing every stage after this one.
    #[serde(default)]
    pub disk_full: bool,
    /// Whether memory was wanting: the stage is then tried again with nothing beside it.
    #[serde(default)]
    pub out_of_memory: bool,
    /// Whether the stage stopped because it was asked to ([`super::serve::stop_requested`]).
    #[serde(default)]
    pub stopped: bool,
}

impl Failure {
    /// A failure with a message.
    pub fn new(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }

    /// The stage stopped because it was asked to.
    pub fn stopped() -> Self {
        Self { error: "stopped".to_owned(), stopped: true, ..Self::default() }
    }

    /// A failure with the messages of an error and its causes; a full disk or quota among them is
    /// recognised.
    pub fn from_error(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            error: causes::message(error),
            disk_full: causes::is_disk_full(error),
            out_of_memory: causes::is_out_of_memory(error),
            stopped: false,
        }
    }
}

/// A worker's greeting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The package's version; the orchestrator refuses another than its own.
    pub version: String,
    /// What else there is to know of the worker, such as libtorch's version and the device's name.
    /// Goes into the provenance of every artefact that it makes.
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// Orchestrator to worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToWorker {
    Run(Job),
    /// End; in the middle of a stage, stop it as soon as that is safe.
    Exit {},
}

/// Worker to orchestrator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromWorker {
    Hello(Hello),
    /// Every few seconds of a stage, from a thread of its own: a worker that is not heard is stalled.
    Alive {},
    Progress(Progress),
    Done {
        #[serde(flatten)]
        findings: Findings,
        provenance: Map<String, Value>,
        /// Seconds by the clock.
        wall_s: f64,
        /// Seconds of processor time of all the worker's threads.
        cpu_s: f64,
        /// Largest resident memory during the stage.
        peak_mib: f64,
    },
    Failed(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Metric, StageKind};

    #[test]
    fn messages_keep_their_form() {
        let exit = serde_json::to_string(&ToWorker::Exit {}).unwrap();
        insta::assert_snapshot!(exit, @r#"{"exit":{}}"#);
        let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let job = Job {
            key: StageKey::parse(&"0".repeat(64)).unwrap(),
            stage,
            inputs: BTreeMap::from([("graph".to_owned(), PathBuf::from("/g"))]),
            scratch: PathBuf::from("/s"),
            checkpoint: PathBuf::from("/c"),
            threads: 2,
            log: PathBuf::from("/l"),
        };
        let run = serde_json::to_string(&ToWorker::Run(job)).unwrap();
        insta::assert_snapshot!(run, @r#"{"run":{"stage":{"kind":"noop","params":{},"inputs":[]},"key":"0000000000000000000000000000000000000000000000000000000000000000","inputs":{"graph":"/g"},"scratch":"/s","checkpoint":"/c","threads":2,"log":"/l"}}"#);
        let failed = serde_json::to_string(&FromWorker::Failed(Failure::new("no"))).unwrap();
        let findings = vec![Metric::new("m", "all", 1.5, 3)].into();
        let provenance = Map::new();
        let done =
            FromWorker::Done { findings, provenance, wall_s: 1.0, cpu_s: 2.0, peak_mib: 3.0 };
        let text = serde_json::to_string(&done).unwrap();
        insta::assert_snapshot!(text, @r#"{"done":{"metrics":[{"name":"m","split":"all","value":1.5,"n":3}],"provenance":{},"wall_s":1.0,"cpu_s":2.0,"peak_mib":3.0}}"#);
        assert_eq!(serde_json::from_str::<FromWorker>(&text).unwrap(), done);
        insta::assert_snapshot!(failed, @r#"{"failed":{"error":"no","disk_full":false,"out_of_memory":false,"stopped":false}}"#);
    }

    #[test]
    fn numbers_cross_with_every_bit() {
        // Without serde_json's exact parser some of these come back one bit off.
        let mut x = 0.1f64;
        for _ in 0..10_000 {
            x = (x * 1.7 + 0.123_456_789).fract() * 1e-3 + x.sin();
            let text = serde_json::to_string(&Metric::new("m", "all", x, 1)).unwrap();
            let back: Metric = serde_json::from_str(&text).unwrap();
            assert_eq!(back.value.to_bits(), x.to_bits(), "{text}");
        }
    }
}

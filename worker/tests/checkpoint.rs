//! Trainings that are killed or stopped in the middle of a sweep: they go on from their checkpoints, and the
//! results are those of an undisturbed sweep.

mod lab;

use lab::Lab;
use serde_json::Value;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// One training of each kind, long enough to be met in the middle.
const GRID: &str = "\
name: long
dataset: embedded
embedding: {dimension: 20, epochs: 100}
agent: {epochs: 20, hidden: [32, 16], max_actions: 30}
rollout: {users: 0..60, direct: false}
detector: {method: gru_attention, epochs: 12, batch: 64}
attack: fgsm_l1
epsilon: 0.1
";
const PATIENCE: Duration = Duration::from_secs(120);

/// Every metric to the last digit.
fn metrics(lab: &Lab) -> Vec<Value> {
    lab.query(
        "SELECT kind, name, split, value, n FROM metrics JOIN stages ON key = stage_key
         ORDER BY stage_key, name, split",
    )
}

fn undisturbed() -> &'static [Value] {
    static METRICS: OnceLock<Vec<Value>> = OnceLock::new();
    METRICS.get_or_init(|| {
        let lab = Lab::new(GRID);
        lab.sweep(&["--jobs", "1"]);
        metrics(&lab)
    })
}

fn begin(lab: &Lab, checkpoint_seconds: &str) -> Child {
    let mut command = lab.command(&["sweep", "grid.yaml", "--jobs", "1"]);
    command.env("ADVREC_CHECKPOINT_SECONDS", checkpoint_seconds);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Waits until `look` sees something.
fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(start.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn signal(signal: &str, pid: &str) {
    let status = Command::new("kill").args([signal, pid]).status().unwrap();
    assert!(status.success(), "kill {signal} {pid}");
}

/// The log of an attempt at the only stage of a kind that has begun; empty where there is none.
fn log(lab: &Lab, kind: &str, attempt: u32) -> String {
    let sql = format!("SELECT DISTINCT key FROM stages WHERE kind = '{kind}' LIMIT 1");
    let output = lab.run(&["query", "--format", "json", &sql]);
    let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let Some(key) = rows.first().and_then(|row| row["key"].as_str()) else {
        return String::new();
    };
    let path = lab.path(&format!(".advrec/logs/{}-{attempt}.log", &key[..12]));
    fs::read_to_string(path).unwrap_or_default()
}

/// The epoch from which an attempt went on, as its log says.
fn resumed(log: &str) -> Option<u64> {
    let (_, rest) = log.split_once("goes on from epoch ")?;
    rest.split_whitespace().next()?.parse().ok()
}

fn checkpoints(lab: &Lab) -> usize {
    fs::read_dir(lab.path(".advrec/checkpoints")).map_or(0, Iterator::count)
}

#[test]
fn killed_workers_cost_no_finished_epoch_and_no_bit() {
    let lab = Lab::new(GRID);
    let mut sweep = begin(&lab, "0");
    for kind in ["embedding", "agent", "detector"] {
        let worker = wait(kind, || {
            // Two epochs at least are kept.
            let kept = log(&lab, kind, 1).matches("checkpoint epoch=").count();
            let sql = format!(
                "SELECT worker FROM runs JOIN stages ON key = stage_key
                 WHERE runs.state = 'running' AND stages.kind = '{kind}'"
            );
            let rows = (kept > 1).then(|| lab.run(&["query", "--format", "json", &sql]).stdout)?;
            let rows: Vec<Value> = serde_json::from_slice(&rows).ok()?;
            rows.first()?["worker"].as_str()?.split('/').nth(1).map(str::to_owned)
        });
        signal("-KILL", &worker);
    }
    assert!(sweep.wait().unwrap().success());
    for kind in ["embedding", "agent", "detector"] {
        let from = resumed(&log(&lab, kind, 2));
        assert!(from.is_some_and(|epoch| epoch > 2), "{kind}: {from:?}");
    }
    assert_eq!(checkpoints(&lab), 0);
    assert_eq!(metrics(&lab), undisturbed());
    // What a training goes on with is no part of its result.
    for artefact in fs::read_dir(lab.path(".advrec/artefacts/agent")).unwrap() {
        let files = fs::read_dir(artefact.unwrap().path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["manifest.json", "policy.safetensors"]);
    }
}

#[test]
fn ctrl_c_keeps_the_epochs_that_are_done() {
    let lab = Lab::new(GRID);
    // Nothing is kept but for the stop.
    let mut sweep = begin(&lab, "3600");
    wait("three epochs of the agent", || log(&lab, "agent", 1).contains("epoch=3 ").then_some(()));
    signal("-INT", &sweep.id().to_string());
    assert!(!sweep.wait().unwrap().success());
    let first = log(&lab, "agent", 1);
    assert_eq!((first.matches("checkpoint epoch=").count(), checkpoints(&lab)), (1, 1));
    lab.sweep(&["--jobs", "1"]);
    let from = resumed(&log(&lab, "agent", 2));
    assert!(from.is_some_and(|epoch| epoch > 3), "{from:?}");
    assert_eq!(checkpoints(&lab), 0);
    assert_eq!(metrics(&lab), undisturbed());
}

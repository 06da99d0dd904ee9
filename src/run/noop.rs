//! Stages that do nothing: they measure what a stage costs by itself, and let tests see what a sweep
//! does when one fails.

use super::protocol::{Failure, Job, Progress};
use super::serve::stop_requested;
use crate::plan::{Cell, Metric, Plan, PlannedStage, Stage, StageInput, StageKey, StageKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Layers of [`plan`]: as deep as the chain from a graph to its ranking metrics.
const LAYERS: usize = 5;

/// Parameters of a noop stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noop {
    /// Makes the stages of a plan differ; the stage's one metric.
    #[serde(default)]
    pub index: u64,
    /// How long the stage takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_ms: Option<u64>,
    /// Fails.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail: bool,
    /// Fails as long as this file exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail_while: Option<PathBuf>,
    /// Finds the disk full as long as this file exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_while: Option<PathBuf>,
    /// A folder in which the stage puts a file while it runs: finding another one there, it runs out of
    /// memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<PathBuf>,
    /// Removes this file, if it exists, and stands still for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<PathBuf>,
    /// Panics.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub panic: bool,
    /// Takes the worker down.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crash: bool,
    /// Goes on when asked to stop.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stubborn: bool,
    /// Metric is not a number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nan: bool,
}

/// Runs a noop stage.
///
/// # Errors
/// As its parameters say, and if they are not those of [`Noop`].
pub fn execute(
    job: &Job,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Vec<Metric>, Failure> {
    let params = Value::Object(job.stage.params.clone());
    let noop: Noop = serde_json::from_value(params)
        .map_err(|e| Failure::new(format!("parameters of a noop stage: {e}")))?;
    // For native code that prints: the protocol must survive it.
    if noop.crash {
        println!("about to crash");
        eprintln!("crashing on request");
        std::process::abort();
    }
    if noop.freeze.is_some_and(|path| fs::remove_file(path).is_ok()) {
        // SAFETY: raise touches no memory.
        unsafe { libc::raise(libc::SIGSTOP) };
    }
    let taken = noop.room.as_deref().map(|room| take_room(room, noop.index)).transpose()?;
    if let Some(ms) = noop.sleep_ms {
        sleep(Duration::from_millis(ms), noop.stubborn, report)?;
    }
    if let Some(taken) = taken {
        fs::remove_file(taken).map_err(|e| Failure::from_error(&e))?;
    }
    if noop.panic {
        panic!("panicking on request");
    }
    if noop.fail || noop.fail_while.is_some_and(|path| path.exists()) {
        eprintln!("failing on request");
        return Err(Failure::new("failing on request"));
    }
    if noop.full_while.is_some_and(|path| path.exists()) {
        return Err(Failure::from_error(&std::io::Error::from_raw_os_error(libc::ENOSPC)));
    }
    let value = if noop.nan { f64::NAN } else { noop.index as f64 };
    let text = format!("{}\n", noop.index);
    fs::write(job.scratch.join("index.txt"), text).map_err(|e| Failure::from_error(&e))?;
    Ok(vec![Metric::new("index", "all", value, 1)])
}

/// A file of its own in the folder, which must hold no other.
fn take_room(room: &Path, index: u64) -> Result<PathBuf, Failure> {
    let fail = |error: std::io::Error| Failure::from_error(&error);
    if fs::read_dir(room).map_err(fail)?.next().is_some() {
        return Err(fail(std::io::Error::from_raw_os_error(libc::ENOMEM)));
    }
    let taken = room.join(index.to_string());
    fs::write(&taken, "").map_err(fail)?;
    Ok(taken)
}

fn sleep(
    time: Duration,
    stubborn: bool,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), Failure> {
    let start = Instant::now();
    while start.elapsed() < time {
        if !stubborn && stop_requested() {
            return Err(Failure::stopped());
        }
        let done = start.elapsed().as_millis() as u64;
        report(Progress { done, total: time.as_millis() as u64, note: "asleep".to_owned() });
        std::thread::sleep(Duration::from_millis(20).min(time));
    }
    Ok(())
}

/// A plan of `count` noop stages in layers; each needs one stage of the layer before, and the
/// stages of the last layer are the results of a cell each. `changes` replaces the parameters of
/// single stages, by index.
pub fn plan(count: usize, changes: &BTreeMap<usize, Noop>) -> Plan {
    let width = count.div_ceil(LAYERS).max(1);
    let mut plan = Plan::default();
    for index in 0..count {
        let mut noop = changes.get(&index).cloned().unwrap_or_default();
        noop.index = index as u64;
        let params = match serde_json::to_value(noop) {
            Ok(Value::Object(params)) => params,
            _ => Map::new(),
        };
        let needs: Vec<usize> = index.checked_sub(width).into_iter().collect();
        let input = |&need: &usize| StageInput {
            role: StageKind::Noop.name().to_owned(),
            key: plan.stages[need].key.clone(),
        };
        let inputs = needs.iter().map(input).collect();
        let stage = Stage::new(StageKind::Noop, params, inputs);
        let key: StageKey = stage.key();
        plan.stages.push(PlannedStage { stage, key, needs, cells: 0 });
    }
    for result in count.saturating_sub(width)..count {
        let mut stages = vec![result];
        while let Some(&need) = stages.last().and_then(|&s| plan.stages[s].needs.first()) {
            stages.push(need);
        }
        for &stage in &stages {
            plan.stages[stage].cells += 1;
        }
        let params = Map::from_iter([("index".to_owned(), Value::from(result))]);
        plan.cells.push(Cell { params: params.into(), axes: vec!["index".to_owned()], stages });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_serves_a_cell_and_needs_only_earlier_ones() {
        for count in [1, 4, 5, 12, 50] {
            let plan = plan(count, &BTreeMap::new());
            assert_eq!(plan.stages.len(), count);
            for (index, stage) in plan.stages.iter().enumerate() {
                assert!(stage.needs.iter().all(|&need| need < index));
                assert_eq!(stage.cells, 1, "stage {index} of {count}");
            }
        }
    }
}

//! A plan as JSON, written as it goes: as one value in memory, that of a hundred thousand cells would take
//! gigabytes.

use super::{Work, counts};
use crate::grid::Grid;
use crate::plan::{Params, Plan, StageKey, StageKind};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::io::{self, BufWriter, Write};

/// Writes a plan, and what there is to do, as one object. Fields are sorted by name everywhere.
///
/// # Errors
/// If the output cannot be written.
pub(super) fn write(
    grid: &Grid,
    plan: &Plan,
    work: &Work<'_>,
    output: impl Write,
) -> io::Result<()> {
    let Work { stored, to_run, estimate, jobs } = *work;
    let key = |stage: &usize| &plan.stages[*stage].key;
    let cells = || {
        plan.cells.iter().map(|cell| Cell {
            axes: &cell.axes,
            params: &cell.params,
            stages: Each(move || cell.stages.iter().map(key)),
        })
    };
    let stages = || {
        plan.stages.iter().zip(stored.iter().zip(to_run)).map(|(planned, (stored, to_run))| Stage {
            cells: planned.cells,
            inputs: Each(|| {
                planned.stage.inputs.iter().map(|i| Input { key: &i.key, role: &i.role })
            }),
            key: &planned.key,
            kind: planned.stage.kind,
            params: &planned.stage.params,
            stored: *stored,
            to_run: *to_run,
        })
    };
    let counts = counts(plan, work).into_iter().map(|count| {
        let known = estimate.kinds.get(&count.kind);
        Count {
            kind: count.kind,
            observations: known.map_or(0, |kind| kind.observations),
            predicted_bytes: known.and_then(|kind| kind.bytes),
            predicted_s: known.and_then(|kind| kind.seconds),
            shared: count.shared,
            stored: count.stored,
            to_run: count.to_run,
            total: count.stages,
        }
    });
    let document = Document {
        cells: Each(cells),
        counts: counts.collect(),
        digest: &grid.digest,
        grid: &grid.name,
        prediction: Prediction {
            bytes: estimate.bytes(),
            jobs,
            observations: estimate.observations(),
            unknown: estimate.unknown().collect(),
            wall_s: estimate.wall_s,
        },
        stages: Each(stages),
    };
    let mut output = BufWriter::new(output);
    serde_json::to_writer_pretty(&mut output, &document)?;
    output.write_all(b"\n")?;
    output.flush()
}

/// A list whose elements are made as they are written.
struct Each<F>(F);

impl<F: Fn() -> I, I: Iterator<Item: Serialize>> Serialize for Each<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((self.0)())
    }
}

#[derive(Serialize)]
struct Document<'a, C: Serialize, S: Serialize> {
    cells: C,
    counts: Vec<Count>,
    digest: &'a str,
    grid: &'a str,
    prediction: Prediction,
    stages: S,
}

#[derive(Serialize)]
struct Cell<'a, S: Serialize> {
    axes: &'a [String],
    params: &'a Params,
    /// Keys.
    stages: S,
}

#[derive(Serialize)]
struct Count {
    kind: StageKind,
    observations: usize,
    predicted_bytes: Option<f64>,
    predicted_s: Option<f64>,
    shared: usize,
    stored: usize,
    to_run: usize,
    total: usize,
}

#[derive(Serialize)]
struct Prediction {
    bytes: f64,
    jobs: usize,
    observations: usize,
    unknown: Vec<StageKind>,
    wall_s: f64,
}

#[derive(Serialize)]
struct Stage<'a, I: Serialize> {
    /// How many use it.
    cells: usize,
    inputs: I,
    key: &'a StageKey,
    kind: StageKind,
    params: &'a Map<String, Value>,
    stored: bool,
    to_run: bool,
}

#[derive(Serialize)]
struct Input<'a> {
    key: &'a StageKey,
    role: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid;
    use crate::plan::NamedSources;
    use crate::run::History;
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn what_is_written_is_what_one_value_in_memory_would_be() {
        let grid = grid::load(Path::new("experiments/quickstart.yaml")).unwrap();
        let mut sources = NamedSources::default();
        sources.datasets.insert("embedded".to_owned(), StageKey::of_bytes(b"embedded"));
        let plan = Plan::build(grid.expand().unwrap(), &sources).unwrap();
        let stored: Vec<bool> = (0..plan.stages.len()).map(|i| i % 3 == 0).collect();
        let to_run = plan.to_run(&stored);
        let estimate = History::default().estimate(&plan, &to_run, 2);
        let work = Work { stored: &stored, to_run: &to_run, estimate: &estimate, jobs: 2 };
        let mut written = Vec::new();
        write(&grid, &plan, &work, &mut written).unwrap();

        let key = |stage: &usize| &plan.stages[*stage].key;
        let cells: Vec<Value> = plan.cells.iter().map(|c| json!({
            "params": c.params, "axes": c.axes, "stages": c.stages.iter().map(key).collect::<Vec<_>>(),
        })).collect();
        let stages: Vec<Value> = plan.stages.iter().enumerate().map(|(i, s)| json!({
            "key": s.key, "kind": s.stage.kind, "params": s.stage.params, "inputs": s.stage.inputs,
            "cells": s.cells, "stored": stored[i], "to_run": to_run[i],
        })).collect();
        let mut whole: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(whole["counts"].as_array().unwrap().len(), counts(&plan, &work).len());
        assert_eq!(whole["prediction"]["jobs"], 2);
        whole["cells"] = cells.into();
        whole["stages"] = stages.into();
        let whole = serde_json::to_string_pretty(&whole).unwrap() + "\n";
        assert!(whole == String::from_utf8(written).unwrap());
    }
}

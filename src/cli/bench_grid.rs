//! `advrec bench --grid`: how long a large grid takes to read, expand and plan, and the memory for it.

use super::bench::Figure;
use super::{Output, exit};
use crate::grid;
use crate::plan::{NamedSources, Plan, StageKey};
use crate::run::serve;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

/// Cells of the grid.
const CELLS: u64 = 100_000;
/// Name of a dataset that is not there: planning asks for its key alone.
const DATASET: &str = "bench";

/// Measures; returns the exit code.
pub fn run(output: Output) -> anyhow::Result<u8> {
    let text = text();
    let mut sources = NamedSources::default();
    sources.datasets.insert(DATASET.to_owned(), StageKey::of_bytes(DATASET.as_bytes()));
    let whole = Instant::now();
    let grid = grid::parse(Path::new("bench.yaml"), &text)?;
    let cells = grid.expand()?;
    let expanded = whole.elapsed().as_secs_f64();
    anyhow::ensure!(cells.len() as u64 == CELLS, "the grid has {} cells", cells.len());
    let start = Instant::now();
    let plan = Plan::build(cells, &sources)?;
    let planned = start.elapsed().as_secs_f64();
    let total = whole.elapsed().as_secs_f64();
    let what = format!("grid, at most {:.0} MiB", serve::peak_mib());
    for (what, count, unit, seconds) in [
        ("grid, checked and expanded", CELLS, "cells", expanded),
        ("grid, planned", plan.stages.len() as u64, "stages", planned),
        (&what, CELLS, "cells", total),
    ] {
        Figure::new(what, count, unit, seconds).print(output)?;
    }
    // The program ends here; giving back what was planned is no part of it.
    std::mem::forget(plan);
    Ok(exit::DONE)
}

/// A grid of [`CELLS`] cells in which every cell has a rollout of its own.
fn text() -> String {
    let mut text = format!("name: bench\ndataset: {DATASET}\nseeds: 10\naxes:\n");
    // Writing to memory cannot fail.
    let _ = writeln!(text, "  agent.epochs: {{range: [1, 10]}}\n  agent.batch: {{range: [1, 10]}}");
    let _ = writeln!(text, "  attack:\n    - none");
    let _ = writeln!(text, "    - {{id: fgsm_l1, epsilon: {{linspace: [0.01, 0.49, 49]}}}}");
    let _ = writeln!(text, "    - {{id: fgsm_l2, epsilon: {{linspace: [0.01, 0.5, 50]}}}}");
    text
}

//! `advrec plan`: what a grid would run, without running it and without writing anything.

use super::sources::{self, Bring};
use super::{Context, Output, exit};
use crate::grid::{self, CATALOGUE, Grid};
use crate::plan::{Plan, StageKind};
use crate::store::ArtefactStore;
use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How many cells are printed without `--all`.
const CELLS_SHOWN: usize = 20;

/// Arguments of `advrec plan`.
#[derive(clap::Args)]
#[command(
    override_usage = "advrec plan [OPTIONS] <GRID>\n       advrec plan --parameters [OPTIONS]"
)]
pub struct Args {
    /// The grid file; `--parameters` lists what it can set
    #[arg(value_name = "GRID", required_unless_present = "parameters")]
    grid: Option<PathBuf>,
    /// Where the folders of datasets in PGPR's format are that the grid names and nobody has imported
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Print every cell and not only the first 20
    #[arg(long)]
    all: bool,
    /// List the parameters that a grid can set, and stop
    #[arg(long, conflicts_with = "grid")]
    parameters: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let Some(path) = &args.grid else {
        write_parameters(context)?;
        return Ok(exit::DONE);
    };
    let (grid, plan) = sources::plan(path, args.data_root.as_deref(), context, Bring::Nothing)?;
    let stored = stored(&plan, &context.store)?;
    let text = match context.output {
        Output::Json => {
            let mut text = serde_json::to_string_pretty(&as_json(&grid, &plan, &stored))?;
            text.push('\n');
            text
        }
        Output::Human => as_text(&grid, &plan, &stored, args.all),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// For each stage, whether the store has it. A store that is not there has nothing.
fn stored(plan: &Plan, root: &Path) -> anyhow::Result<Vec<bool>> {
    // Opening a store makes its folders, and a plan changes nothing.
    if !root.join("artefacts").is_dir() || !root.join("tmp").is_dir() {
        return Ok(vec![false; plan.stages.len()]);
    }
    let store = ArtefactStore::open(root).context("could not open the store")?;
    Ok(plan.stages.iter().map(|s| store.contains(s.stage.kind, &s.key)).collect())
}

/// Counts of the stages of a kind.
struct Count {
    kind: StageKind,
    /// Distinct stages.
    stages: usize,
    /// Of those, used by more than one cell.
    shared: usize,
    stored: usize,
    to_run: usize,
}

fn counts(plan: &Plan, stored: &[bool]) -> Vec<Count> {
    let to_run = plan.to_run(stored);
    let count = |kind| {
        let of_kind = || (0..plan.stages.len()).filter(move |i| plan.stages[*i].stage.kind == kind);
        Count {
            kind,
            stages: of_kind().count(),
            shared: of_kind().filter(|i| plan.stages[*i].cells > 1).count(),
            stored: of_kind().filter(|i| stored[*i]).count(),
            to_run: of_kind().filter(|i| to_run[*i]).count(),
        }
    };
    StageKind::ALL.into_iter().map(count).filter(|c| c.stages > 0).collect()
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

/// A table as text without trailing spaces.
fn lines(table: &Table) -> String {
    table.lines().map(|line| format!("  {}\n", line.trim())).collect()
}

fn as_text(grid: &Grid, plan: &Plan, stored: &[bool], all: bool) -> String {
    let mut text = format!("grid {}: {} cells\n", grid.name, plan.cells.len());
    if let Some(description) = &grid.description {
        text.push_str(&format!("{}\n", description.trim()));
    }
    let mut stages = table(&["stage", "total", "shared", "in the store", "to run"]);
    let counts = counts(plan, stored);
    let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
    let total = [sum(|c| c.stages), sum(|c| c.shared), sum(|c| c.stored), sum(|c| c.to_run)];
    let rows = counts
        .iter()
        .map(|c| (c.kind.name(), [c.stages, c.shared, c.stored, c.to_run]))
        .chain([("all", total)]);
    for (name, numbers) in rows {
        let numbers = numbers.map(|n| n.to_string());
        stages.add_row(std::iter::once(name.to_owned()).chain(numbers));
    }
    for column in stages.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text.push_str(&format!("\nstages\n{}", lines(&stages)));

    let shown = if all { plan.cells.len() } else { plan.cells.len().min(CELLS_SHOWN) };
    let mut axes: Vec<&str> = Vec::new();
    for cell in &plan.cells[..shown] {
        for axis in &cell.axes {
            if !axes.contains(&axis.as_str()) {
                axes.push(axis);
            }
        }
    }
    // The seed stands last, whatever the first cell lacks.
    axes.sort_by_key(|axis| *axis == "seed");
    let mut cells = table(&[&["cell"], axes.as_slice()].concat());
    for (i, cell) in plan.cells[..shown].iter().enumerate() {
        let value = |axis: &&str| cell.params.get(axis).map_or("-".to_owned(), grid::plain);
        cells.add_row(std::iter::once((i + 1).to_string()).chain(axes.iter().map(value)));
    }
    text.push_str(&format!("\ncells\n{}", lines(&cells)));
    if shown < plan.cells.len() {
        let left = plan.cells.len() - shown;
        text.push_str(&format!("  and {left} more; --all prints them\n"));
    }
    text
}

fn as_json(grid: &Grid, plan: &Plan, stored: &[bool]) -> Value {
    let to_run = plan.to_run(stored);
    let stages: Vec<Value> = plan
        .stages
        .iter()
        .enumerate()
        .map(|(i, s)| {
            json!({
                "key": s.key,
                "kind": s.stage.kind,
                "params": s.stage.params,
                "inputs": s.stage.inputs,
                "cells": s.cells,
                "stored": stored[i],
                "to_run": to_run[i],
            })
        })
        .collect();
    let cells: Vec<Value> = plan
        .cells
        .iter()
        .map(|c| {
            let keys: Vec<_> = c.stages.iter().map(|i| &plan.stages[*i].key).collect();
            json!({"params": c.params, "axes": c.axes, "stages": keys})
        })
        .collect();
    let counts: Vec<Value> = counts(plan, stored)
        .iter()
        .map(|c| {
            json!({
                "kind": c.kind,
                "total": c.stages,
                "shared": c.shared,
                "stored": c.stored,
                "to_run": c.to_run,
            })
        })
        .collect();
    json!({
        "grid": grid.name,
        "digest": grid.digest,
        "counts": counts,
        "cells": cells,
        "stages": stages,
    })
}

fn write_parameters(context: &Context) -> anyhow::Result<()> {
    let text = match context.output {
        Output::Json => {
            let parameters: Vec<Value> = CATALOGUE
                .iter()
                .map(|p| {
                    json!({
                        "name": p.name,
                        "values": p.values(),
                        "default": p.default_value(),
                        "meaning": p.doc,
                    })
                })
                .collect();
            serde_json::to_string_pretty(&parameters)? + "\n"
        }
        Output::Human => {
            let mut parameters = table(&["parameter", "default", "values", "meaning"]);
            for p in &CATALOGUE {
                let default = p.default_value().map_or("-".to_owned(), |d| grid::plain(&d));
                parameters.add_row([p.name, &default, &p.values(), p.doc]);
            }
            lines(&parameters)
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

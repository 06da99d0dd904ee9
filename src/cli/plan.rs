//! `advrec plan`: what a grid would run, without running it and without writing anything.

mod json;

use super::sources::{self, Bring};
use super::{Context, Output, exit};
use crate::grid::{self, CATALOGUE, Grid};
use crate::plan::{Plan, StageKind};
use crate::run::{Estimate, History, words};
use crate::store::{ArtefactStore, Database, size};
use anyhow::Context as _;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many cells are printed without `--all`.
const CELLS_SHOWN: usize = 20;

/// Arguments of `advrec plan`.
#[derive(clap::Args)]
#[command(
    override_usage = "advrec plan [OPTIONS] <GRID>\n       advrec plan --parameters [OPTIONS]\n       advrec plan --presets [OPTIONS]"
)]
pub struct Args {
    /// The grid file; `--parameters` lists what it can set
    #[arg(value_name = "GRID", required_unless_present_any = ["parameters", "presets"])]
    grid: Option<PathBuf>,
    /// Where the folders of datasets in PGPR's format are that the grid names and nobody has imported
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// Print every cell and not only the first 20
    #[arg(long)]
    all: bool,
    /// How many workers the predicted time is for [default: one a core]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// List the parameters that a grid can set, and stop
    #[arg(long, conflicts_with = "grid")]
    parameters: bool,
    /// List the presets of the program, which grids name with `extends`, and stop
    #[arg(long, conflicts_with_all = ["grid", "parameters"])]
    presets: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let Some(path) = &args.grid else {
        let text = if args.presets { presets_text(context)? } else { parameters_text(context)? };
        io::stdout().write_all(text.as_bytes())?;
        return Ok(exit::DONE);
    };
    let (grid, plan) = sources::plan(path, args.data_root.as_deref(), context, Bring::Nothing)?;
    let stored = stored(&plan, &context.store)?;
    let to_run = plan.to_run(&stored);
    let history = history(&plan, &to_run, &context.db)?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = args.jobs.map_or_else(cores, usize::from);
    let estimate = history.estimate(&plan, &to_run, jobs);
    let work = Work { stored: &stored, to_run: &to_run, estimate: &estimate, jobs };
    match context.output {
        Output::Json => json::write(&grid, &plan, &work, io::stdout().lock())?,
        Output::Human => {
            io::stdout().write_all(as_text(&grid, &plan, &work, args.all).as_bytes())?;
        }
    }
    // The program ends here; giving back a hundred thousand cells piece by piece takes a tenth of its time.
    std::mem::forget((grid, plan));
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

/// What is known of stages of the kinds that have to run. A database that is not there knows nothing.
fn history(plan: &Plan, to_run: &[bool], path: &Path) -> anyhow::Result<History> {
    let runs = |kind: &StageKind| {
        plan.stages.iter().zip(to_run).any(|(s, &runs)| runs && s.stage.kind == *kind)
    };
    let kinds: Vec<StageKind> = StageKind::ALL.into_iter().filter(runs).collect();
    if kinds.is_empty() || !path.is_file() {
        return Ok(History::default());
    }
    Ok(History::new(&Database::open_tables(path)?.observations(&kinds)?))
}

/// What there is to do.
struct Work<'a> {
    /// For each stage, whether the store has it.
    stored: &'a [bool],
    to_run: &'a [bool],
    estimate: &'a Estimate,
    /// How many workers the estimate is for.
    jobs: usize,
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

fn counts(plan: &Plan, Work { stored, to_run, .. }: &Work<'_>) -> Vec<Count> {
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

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    table
}

/// A table as text without trailing spaces.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| format!("  {}\n", line.trim())).collect()
}

fn as_text(grid: &Grid, plan: &Plan, work: &Work<'_>, all: bool) -> String {
    let mut text = format!("grid {}: {} cells\n", grid.name, plan.cells.len());
    if let Some(description) = &grid.description {
        text.push_str(&format!("{}\n", description.trim()));
    }
    text.push_str(&format!("\nstages\n{}", lines(&stages(plan, work))));
    text.push_str(&prediction(work));

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

/// Stages by kind; with times and sizes where any are known.
fn stages(plan: &Plan, work: &Work<'_>) -> Table {
    let estimate = work.estimate;
    let mut header = vec!["stage", "total", "shared", "in the store", "to run"];
    let predicted = estimate.observations() > 0;
    if predicted {
        header.extend(["time", "disk"]);
    }
    let mut stages = table(&header);
    let counts = counts(plan, work);
    for count in &counts {
        let numbers = [count.stages, count.shared, count.stored, count.to_run];
        let mut row = vec![count.kind.name().to_owned()];
        row.extend(numbers.map(|n| n.to_string()));
        if predicted {
            let known = estimate.kinds.get(&count.kind);
            let say = |what: Option<Option<String>>| match what {
                None => "-".to_owned(),
                Some(value) => value.unwrap_or_else(|| "unknown".to_owned()),
            };
            row.push(say(known.map(|kind| kind.seconds.map(time))));
            row.push(say(known.map(|kind| kind.bytes.map(disk))));
        }
        stages.add_row(row);
    }
    let sum = |of: fn(&Count) -> usize| counts.iter().map(of).sum::<usize>();
    let total = [sum(|c| c.stages), sum(|c| c.shared), sum(|c| c.stored), sum(|c| c.to_run)];
    let mut row = vec!["all".to_owned()];
    row.extend(total.map(|n| n.to_string()));
    if predicted {
        let seconds = estimate.kinds.values().filter_map(|kind| kind.seconds).sum();
        row.extend([time(seconds), disk(estimate.bytes())]);
    }
    stages.add_row(row);
    for column in stages.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    stages
}

fn time(seconds: f64) -> String {
    words(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

fn disk(bytes: f64) -> String {
    size::words(bytes as u64)
}

/// What the stages that have to run will take, as far as it is known.
fn prediction(work: &Work<'_>) -> String {
    let Work { estimate, jobs, .. } = work;
    let unknown: Vec<&str> = estimate.unknown().map(StageKind::name).collect();
    if estimate.kinds.is_empty() {
        return String::new();
    }
    if estimate.observations() == 0 {
        return "  no prediction of time and disk: no such stage has been done with this database\n"
            .to_owned();
    }
    let plural = if *jobs == 1 { "" } else { "s" };
    let mut text = format!(
        "  prediction: {} with {jobs} worker{plural} (--jobs), {} on disk; from {} stages done before\n",
        time(estimate.wall_s),
        disk(estimate.bytes()),
        estimate.observations()
    );
    if !unknown.is_empty() {
        text.push_str(&format!("  without stages never done before: {}\n", unknown.join(", ")));
    }
    text
}

fn presets_text(context: &Context) -> anyhow::Result<String> {
    let presets = grid::built_in();
    Ok(match context.output {
        Output::Json => {
            let json = presets.iter().map(|p| {
                let params: Map<String, Value> = p
                    .params
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), value.clone()))
                    .collect();
                json!({"name": p.name, "description": p.description, "params": params})
            });
            serde_json::to_string_pretty(&json.collect::<Vec<_>>())? + "\n"
        }
        Output::Human => {
            let mut text = String::new();
            for preset in presets {
                let gap = if text.is_empty() { "" } else { "\n" };
                text.push_str(&format!("{gap}{}: {}\n", preset.name, preset.description));
                let mut params = table(&["parameter", "value"]);
                for (name, value) in &preset.params {
                    params.add_row([*name, &grid::plain(value)]);
                }
                text.push_str(&lines(&params));
            }
            text
        }
    })
}

fn parameters_text(context: &Context) -> anyhow::Result<String> {
    Ok(match context.output {
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
    })
}

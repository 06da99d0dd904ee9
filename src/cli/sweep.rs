//! `advrec sweep`.

use super::run_options::RunOptions;
use super::sources::{self, Bring};
use super::{BadInput, Context, Output, exit};
use crate::grid::Grid;
use crate::plan::{Plan, StageKey};
use crate::run::{
    self, Display, Ending, Failure, Outcome, RunError, Settings, WorkerCommand, noop, serve,
};
use crate::store::{Database, GridRow, SweepLock};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `advrec sweep`.
#[derive(clap::Args)]
#[command(override_usage = "advrec sweep [OPTIONS] <GRID>")]
pub struct Args {
    /// The grid file; `advrec plan --parameters` lists what it can set
    #[arg(value_name = "GRID", required_unless_present_any = ["noop", "noop_worker"])]
    grid: Option<PathBuf>,
    #[command(flatten)]
    options: RunOptions,
    /// Runs so many stages that do nothing, instead of a grid
    #[arg(long, hide = true, value_name = "N", conflicts_with = "grid")]
    noop: Option<usize>,
    /// Parameters of single noop stages by index: {"3": {"fail": true}}
    #[arg(long, hide = true, value_name = "JSON", requires = "noop")]
    noop_params: Option<String>,
    /// Serves noop stages to another `advrec sweep`
    #[arg(long, hide = true, exclusive = true)]
    noop_worker: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    if args.noop_worker {
        let unknown = |job: &run::Job, _: &mut (dyn FnMut(run::Progress) + Send)| {
            let kind = job.stage.kind;
            Err(Failure::new(format!("this worker runs noop stages alone, not a {kind} stage")))
        };
        serve::serve(serve::hello(), unknown)?;
        return Ok(exit::DONE);
    }
    let settings = settings(&args)?;
    let (grid, plan) = prepare(&args, context)?;
    let (outcome, db) = run_plan(Some(&grid), &plan, &settings, context)?;
    summarise(&grid, &outcome, &db, context)
}

/// Runs the stages of a plan and records them, as the database's only writer; with the grid that asks
/// for them, if one does.
///
/// # Errors
/// If another sweep has the database, or the database, the store or the worker is of no use.
pub fn run_plan(
    grid: Option<&GridRow>,
    plan: &Plan,
    settings: &Settings,
    context: &Context,
) -> anyhow::Result<(Outcome, Database)> {
    let (store, mut db) = sources::open(context)?;
    let _lock = SweepLock::acquire(&context.db)?;
    store.remove_left_over_scratch();
    let grid = match grid {
        Some(grid) => Some(db.record_grid(grid, plan)?),
        None => {
            db.record_stages(plan)?;
            None
        }
    };
    let mut display = Display::on_stderr();
    let result = run::execute(&mut db, &store, plan, grid, settings, &mut display);
    Ok((result.map_err(run_error)?, db))
}

/// Reads what there is to run: the grid and its plan.
fn prepare(args: &Args, context: &Context) -> anyhow::Result<(GridRow, Plan)> {
    match (args.noop, &args.grid) {
        (Some(count), _) => prepare_noop(count, args.noop_params.as_deref()),
        (None, Some(path)) => {
            let root = args.options.data_root.as_deref();
            let (grid, plan) = sources::plan(path, root, context, Bring::Datasets)?;
            let path = path.display().to_string();
            let Grid { name, digest, text, .. } = grid;
            Ok((GridRow { name, digest, text, path }, plan))
        }
        (None, None) => Err(BadInput("name a grid file".to_owned()).into()),
    }
}

fn prepare_noop(count: usize, params: Option<&str>) -> anyhow::Result<(GridRow, Plan)> {
    let changes: BTreeMap<usize, noop::Noop> = match params {
        Some(text) => serde_json::from_str(text)
            .map_err(|e| BadInput(format!("--noop-params {text}: {e}")))?,
        None => BTreeMap::new(),
    };
    let plan = noop::plan(count, &changes);
    let keys: Vec<&str> = plan.stages.iter().map(|s| s.key.as_str()).collect();
    let grid = GridRow {
        name: format!("noop-{count}"),
        digest: StageKey::of_bytes(keys.join("\n").as_bytes()).to_string(),
        text: String::new(),
        path: String::new(),
    };
    Ok((grid, plan))
}

fn settings(args: &Args) -> anyhow::Result<Settings> {
    args.options.settings(|| match (args.noop, WorkerCommand::from_environment()?) {
        (_, Some(named)) => Ok(named),
        (Some(_), None) => Ok(WorkerCommand {
            program: std::env::current_exe().context("could not find the running program")?,
            args: vec!["sweep".into(), "--noop-worker".into()],
        }),
        (None, None) => Ok(WorkerCommand::find()?),
    })
}

fn summarise(
    grid: &GridRow,
    outcome: &Outcome,
    db: &Database,
    context: &Context,
) -> anyhow::Result<u8> {
    let grids = db.grids(Some(&grid.name))?;
    let status = grids.iter().find(|g| g.digest == grid.digest);
    let (cells, cells_done) = status.map_or((0, 0), |g| (g.cells, g.cells_done));
    let (ending, code) = match &outcome.ending {
        Ending::Finished if outcome.failed == 0 => ("done", exit::DONE),
        Ending::Finished | Ending::FailedFast => ("failed", exit::FAILED),
        Ending::Interrupted => ("interrupted", exit::INTERRUPTED),
        Ending::DiskFull(_) => ("disk_full", exit::FAILED),
    };
    if context.output == Output::Json {
        let summary = json!({
            "grid": grid.name,
            "ending": ending,
            "cells": {"total": cells, "done": cells_done},
            "stages": {
                "total": outcome.total,
                "run": outcome.run,
                "reused": outcome.reused,
                "damaged": outcome.damaged,
                "failed": outcome.failed,
                "blocked": outcome.blocked,
                "not_run": outcome.not_run(),
            },
            "lost_workers": outcome.lost,
            "seconds": outcome.time.as_secs_f64(),
            "database": context.db,
            "store": context.store,
        });
        writeln!(std::io::stdout().lock(), "{summary}")?;
        return Ok(code);
    }
    if code == exit::DONE && outcome.run == 0 {
        eprintln!("nothing to do: all {} stages of grid {} are done", outcome.total, grid.name);
    } else {
        eprintln!("{}", sentence(grid, outcome, cells, cells_done));
    }
    match &outcome.ending {
        Ending::DiskFull(error) => eprintln!(
            "the disk is full ({error}): make room, then run the same command again; it goes on \
             from here"
        ),
        Ending::Interrupted => eprintln!("run the same command again; it goes on from here"),
        _ if outcome.failed > 0 => eprintln!(
            "`advrec status` shows the errors and logs; the same command tries failed stages again"
        ),
        _ => {}
    }
    eprintln!(
        "results: {} (`advrec report` prints them, `advrec query` answers questions)",
        context.db.display()
    );
    Ok(code)
}

/// What a sweep came to: `grid beauty: 12 stages run, 5 reused, 1 failed, …; 3 of 4 cells done`.
fn sentence(grid: &GridRow, outcome: &Outcome, cells: u64, cells_done: u64) -> String {
    let mut parts = vec![format!("{} stages run", outcome.run)];
    for (count, what) in [
        (outcome.reused, "reused"),
        (outcome.failed, "failed"),
        (outcome.blocked, "blocked by them"),
        (outcome.not_run(), "not run"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    format!(
        "grid {}: {} in {}; {cells_done} of {cells} cells done",
        grid.name,
        parts.join(", "),
        run::words(outcome.time)
    )
}

fn bad_input(error: impl std::fmt::Display) -> anyhow::Error {
    BadInput(error.to_string()).into()
}

fn run_error(error: RunError) -> anyhow::Error {
    match error {
        RunError::Input { .. } => bad_input(error),
        // What is wrong is to be found by its type.
        RunError::Database(error) => error.into(),
        RunError::Store(error) => error.into(),
        RunError::Worker(error) => error.into(),
        RunError::Signals(_) => error.into(),
    }
}

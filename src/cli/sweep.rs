//! `advrec sweep`.

use super::on_finish::Notice;
use super::run_options::RunOptions;
use super::sources::{self, Bring};
use super::{BadInput, Context, Output, exit};
use crate::causes;
use crate::grid::Grid;
use crate::plan::{Plan, PlannedStage, StageKey};
use crate::run::{
    self, Display, Ending, Failure, Outcome, RunError, Settings, WorkerCommand, noop, serve,
};
use crate::store::{ArtefactStore, Database, GridId, GridRow, SweepLock};
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
    let settings = settings(&args, context)?;
    let (grid, plan) = prepare(&args, context)?;
    if args.options.slurm.detach {
        return args.options.slurm.submit_orchestrator(context);
    }
    let work = Work { grid: Some((&grid, &plan)), plan: &plan, anew: &[] };
    run_grid(&grid, &work, &settings, args.options.on_finish.as_deref(), context)
}

/// What is to be run.
pub struct Work<'a> {
    /// The grid that asks for it, if one does, with all that it asks for.
    pub grid: Option<(&'a GridRow, &'a Plan)>,
    /// The stages to run, where the store does not have them.
    pub plan: &'a Plan,
    /// Stages whose artefacts are removed first.
    pub anew: &'a [&'a PlannedStage],
}

/// The right to run stages, as the database's only writer.
pub struct Session {
    store: ArtefactStore,
    pub db: Database,
    grid: Option<GridId>,
    _lock: SweepLock,
}

impl Session {
    /// Records what is to be run.
    ///
    /// # Errors
    /// If another sweep has the database, or the database or the store cannot be used.
    pub fn begin(work: &Work<'_>, context: &Context) -> anyhow::Result<Self> {
        let (store, mut db) = sources::open(context)?;
        let lock = SweepLock::acquire(&context.db)?;
        store.remove_left_over_scratch();
        let grid = match work.grid {
            Some((grid, whole)) => Some(db.record_grid(grid, whole)?),
            None => {
                db.record_stages(work.plan)?;
                None
            }
        };
        let session = Self { store, db, grid, _lock: lock };
        session.remove(work.anew)?;
        Ok(session)
    }

    /// Removes the artefacts of stages, and says how many.
    fn remove(&self, stages: &[&PlannedStage]) -> anyhow::Result<()> {
        let (mut removed, mut metrics) = (0, 0);
        for PlannedStage { stage, key, .. } in stages {
            self.store.remove_checkpoint(key);
            if self.store.contains(stage.kind, key) {
                removed += 1;
                metrics += self.db.metric_count(key)?;
                self.store.remove(stage.kind, key)?;
            }
        }
        if removed > 0 {
            tell!("{removed} stages are computed anew, {metrics} metrics are replaced");
        }
        Ok(())
    }

    /// Runs the stages of a plan.
    ///
    /// # Errors
    /// If the database, the store or the worker is of no use.
    pub fn execute(&mut self, plan: &Plan, settings: &Settings) -> anyhow::Result<Outcome> {
        let mut display = Display::on_stderr();
        run::execute(&mut self.db, &self.store, plan, self.grid, settings, &mut display)
            .map_err(run_error)
    }
}

/// Runs stages for a grid, tells what came of it, and gives a command notice of that; returns the exit
/// code.
///
/// # Errors
/// As [`Session::begin`] and [`Session::execute`].
pub fn run_grid(
    grid: &GridRow,
    work: &Work<'_>,
    settings: &Settings,
    on_finish: Option<&str>,
    context: &Context,
) -> anyhow::Result<u8> {
    let mut session = Session::begin(work, context)?;
    let result = session.execute(work.plan, settings);
    // The command may want to begin another sweep.
    let Session { db, _lock: lock, .. } = session;
    drop(lock);
    conclude(grid, &db, result, on_finish, context)
}

/// Tells what came of a grid's stages, and gives a command notice of that; returns the exit code.
///
/// # Errors
/// That of `result`; if the database cannot be read, or standard output not be written.
pub fn conclude(
    grid: &GridRow,
    db: &Database,
    result: anyhow::Result<Outcome>,
    on_finish: Option<&str>,
    context: &Context,
) -> anyhow::Result<u8> {
    // What cannot be counted after an error is not what is wrong.
    let (cells, cells_done) = match (db.cell_count(&grid.digest), &result) {
        (Err(error), Ok(_)) => return Err(error.into()),
        (counts, _) => counts.unwrap_or_default(),
    };
    let failed = result.as_ref().map_or(0, |outcome| outcome.failed);
    let (ending, code, summary) = match &result {
        Ok(outcome) => {
            let (ending, code) = verdict(outcome);
            (ending, code, sentence(grid, outcome, cells, cells_done))
        }
        Err(error) => ("error", super::exit_code(error), causes::message(error.as_ref())),
    };
    let told = match &result {
        Ok(outcome) => tell(grid, outcome, (cells, cells_done), &summary, context),
        Err(_) => Ok(()),
    };
    if let Some(command) = on_finish {
        let (grid, db) = (grid.name.as_str(), context.db.as_path());
        Notice { grid, ending, code, cells_done, cells, failed, db, summary: &summary }
            .give(command);
    }
    result?;
    told?;
    Ok(code)
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

fn settings(args: &Args, context: &Context) -> anyhow::Result<Settings> {
    args.options.settings(context, || match (args.noop, WorkerCommand::from_environment()?) {
        (_, Some(named)) => Ok(named),
        (Some(_), None) => Ok(WorkerCommand {
            program: std::env::current_exe().context("could not find the running program")?,
            args: vec!["sweep".into(), "--noop-worker".into()],
        }),
        (None, None) => Ok(WorkerCommand::find()?),
    })
}

/// How a run ended in a word, and the exit code.
fn verdict(outcome: &Outcome) -> (&'static str, u8) {
    match &outcome.ending {
        Ending::Finished if outcome.failed == 0 => ("done", exit::DONE),
        Ending::Finished | Ending::FailedFast => ("failed", exit::FAILED),
        Ending::Interrupted => ("interrupted", exit::INTERRUPTED),
        Ending::DiskFull(_) => ("disk_full", exit::FAILED),
    }
}

/// Prints what a run came to; `cells` are the grid's and those of them that are done.
fn tell(
    grid: &GridRow,
    outcome: &Outcome,
    cells: (u64, u64),
    sentence: &str,
    context: &Context,
) -> anyhow::Result<()> {
    if context.output == Output::Json {
        let summary = json!({
            "grid": grid.name,
            "ending": verdict(outcome).0,
            "cells": {"total": cells.0, "done": cells.1},
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
        return Ok(());
    }
    tell!("{sentence}");
    match &outcome.ending {
        Ending::DiskFull(error) => tell!(
            "the disk is full ({error}): make room, then run the same command again; it goes on \
             from here"
        ),
        Ending::Interrupted => tell!("run the same command again; it goes on from here"),
        _ if outcome.failed > 0 => tell!(
            "`advrec status` shows the errors and logs; the same command tries failed stages again"
        ),
        _ => {}
    }
    tell!(
        "results: {} (`advrec report` prints them, `advrec query` answers questions)",
        context.db.display()
    );
    Ok(())
}

/// What a sweep came to: `grid beauty: 12 stages run, 5 reused, 1 failed, …; 3 of 4 cells done`.
fn sentence(grid: &GridRow, outcome: &Outcome, cells: u64, cells_done: u64) -> String {
    if outcome.total == 0 {
        return format!(
            "nothing to do: no cell of grid {} that is meant has failed; {cells_done} of {cells} cells \
             are done",
            grid.name
        );
    }
    if outcome.run == 0 && verdict(outcome).1 == exit::DONE {
        return format!(
            "nothing to do: all {} stages of grid {} are done",
            outcome.total, grid.name
        );
    }
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

//! `advrec rerun`: cells of a grid again, from the database alone.

use super::run_options::RunOptions;
use super::sources::{self, Bring};
use super::status::no_grid;
use super::sweep::{Work, conclude, run_grid};
use super::{BadInput, Context};
use crate::grid::{self, CellFilter, FilterError};
use crate::plan::{Cell, PlannedStage};
use crate::run::{Outcome, WorkerCommand};
use crate::store::{Database, GridRow};
use std::path::Path;

/// Arguments of `advrec rerun`.
#[derive(clap::Args)]
#[command(override_usage = "advrec rerun [OPTIONS] [NAME] --failed\n       \
                            advrec rerun [OPTIONS] [NAME] --cells <FILTER>")]
pub struct Args {
    #[command(flatten)]
    choice: Choice,
    /// The grid's name in the database [default: the grid that was swept last]
    #[arg(value_name = "NAME")]
    grid: Option<String>,
    /// Compute the results of the cells anew even where they are done, with all that they alone need
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// Which cells; both: those that are meant by both.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Choice {
    /// Cells with a stage that failed or needs one that did
    #[arg(long)]
    failed: bool,
    /// Cells with these parameters, such as attack=jsma|deepfool,seed=2
    #[arg(long, value_name = "FILTER")]
    cells: Option<String>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let bad = |error: FilterError| BadInput(error.to_string());
    let filter: Option<CellFilter> =
        args.choice.cells.as_deref().map(str::parse).transpose().map_err(bad)?;
    let db = Database::open_to_read(&context.db)?;
    let row = find(&db, args.grid.as_deref(), context)?;
    let settings = args.options.settings(context, || Ok(WorkerCommand::find()?))?;
    let parsed = grid::parse(Path::new(&row.path), &row.text)
        .map_err(|error| BadInput(error.to_string()))?;
    if parsed.digest != row.digest {
        return Err(BadInput(format!(
            "grid {} extends a preset that this version of advrec has with other settings; sweep it from \
             its file {}, or use the version that swept it",
            row.name, row.path
        ))
        .into());
    }
    let root = args.options.data_root.as_deref();
    let (_, whole) = sources::plan_grid(parsed, root, context, Bring::Datasets)?;
    let mut chosen = match &filter {
        Some(filter) => filter.choose(&whole.cells).map_err(bad)?,
        None => vec![true; whole.cells.len()],
    };
    if args.choice.failed {
        keep_failed(&mut chosen, &db, &row, &whole.cells)?;
    }
    let count = chosen.iter().filter(|chosen| **chosen).count();
    let on_finish = args.options.on_finish.as_deref();
    if count == 0 {
        return conclude(&row, &db, Ok(Outcome::of(0)), on_finish, context);
    }
    drop(db);
    tell!("grid {}: {count} of {} cells", row.name, chosen.len());
    let wanted = if args.force { whole.anew(&chosen) } else { Vec::new() };
    let anew = whole.stages.iter().zip(wanted).filter(|(_, wanted)| *wanted);
    let anew: Vec<&PlannedStage> = anew.map(|(stage, _)| stage).collect();
    let plan = whole.only(&chosen);
    let work = Work { grid: Some((&row, &whole)), plan: &plan, anew: &anew };
    if args.options.slurm.detach {
        return args.options.slurm.submit_orchestrator(context);
    }
    run_grid(&row, &work, &settings, on_finish, context)
}

/// The grid to run again, with its text.
fn find(db: &Database, name: Option<&str>, context: &Context) -> anyhow::Result<GridRow> {
    let Some(row) = db.last_grid(name)? else {
        return Err(no_grid(name, db, context)?.into());
    };
    if row.text.is_empty() {
        let (name, path) = (&row.name, context.db.display());
        return Err(BadInput(format!(
            "grid {name} was made without a file, so {path} does not hold what to run again; name \
             another grid"
        ))
        .into());
    }
    Ok(row)
}

/// Drops the cells that have not failed from those chosen.
fn keep_failed(
    chosen: &mut [bool],
    db: &Database,
    grid: &GridRow,
    cells: &[Cell],
) -> anyhow::Result<()> {
    let mut failed = vec![false; cells.len()];
    for ordinal in db.failed_cells(&grid.digest)? {
        if let Some(failed) = failed.get_mut(ordinal) {
            *failed = true;
        }
    }
    chosen.iter_mut().zip(failed).for_each(|(chosen, failed)| *chosen &= failed);
    Ok(())
}

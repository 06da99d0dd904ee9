//! `advrec why`: why a stage is done, will run, or waits.

use super::sources::{self, Bring};
use super::status::no_grid;
use super::{BadInput, Context, Output, exit};
use crate::grid::{self, CellFilter, FilterError, nearest};
use crate::plan::{Cell, Change, Plan, StageKind};
use crate::run::words;
use crate::store::{
    Artefact, ArtefactStore, Database, Explainer, Explanation, Nearest, RecordedAttempt,
    RecordedGrid, Verdict,
};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// How many candidates are listed.
const CANDIDATES_SHOWN: usize = 20;
/// Fewest digits of a key that name a stage.
const DIGITS: usize = 4;

/// Arguments of `advrec why`.
#[derive(clap::Args)]
pub struct Args {
    /// A cell, by its number in `advrec plan` or by values (attack=jsma,seed=2); or a stage, by the first
    /// digits of its key (four or more) or by its kind
    #[arg(value_name = "CELL|STAGE")]
    target: String,
    /// The grid file [default: the grid that was swept last, as it is in the database]
    #[arg(value_name = "GRID")]
    grid: Option<PathBuf>,
    /// Where the folders of datasets in PGPR's format are that the grid names and nobody has imported
    #[arg(long, value_name = "DIR", requires = "grid")]
    data_root: Option<PathBuf>,
}

/// What was asked about.
enum Target {
    Cell(usize),
    Stage(usize),
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let database = match args.grid.is_some() && !context.db.is_file() {
        true => None,
        false => Some(Database::open_to_read(&context.db)?),
    };
    let (name, plan) = match (&args.grid, &database) {
        (Some(path), _) => {
            let root = args.data_root.as_deref();
            let (grid, plan) = sources::plan(path, root, context, Bring::Nothing)?;
            (grid.name, plan)
        }
        (None, Some(database)) => {
            let grid = recorded_grid(database, None, context)?;
            let plan = database.recorded_plan(&grid, None)?;
            (grid.name, plan)
        }
        // Opened where no file is given.
        (None, None) => return Err(BadInput("name a grid file".to_owned()).into()),
    };
    let target = find(&args.target, &name, &plan, database.as_ref())?;
    let mut stages = match target {
        Target::Stage(stage) => vec![stage],
        Target::Cell(cell) => plan.cells[cell].stages.clone(),
    };
    stages.sort_unstable();
    let chain = plan.with_needs(&stages);
    let keys = chain.iter().map(|&stage| &plan.stages[stage].key);
    let records = database.as_ref().map(|database| database.records(keys)).transpose()?;
    let mut records = records.unwrap_or_default();
    records.extend(&plan, chain.iter().copied());
    let artefacts = Artefact::of(&plan, &ArtefactStore::at(&context.store), &stages);
    let there: Vec<bool> = artefacts.iter().map(|found| *found == Artefact::There).collect();
    let to_run = plan.to_run(&there);
    let explainer = Explainer {
        database: database.as_ref(),
        plan: &plan,
        records: &records,
        artefacts: &artefacts,
        to_run: &to_run,
    };
    let explanations: Vec<Explanation> =
        stages.iter().map(|&stage| explainer.explain(stage)).collect::<Result<_, _>>()?;
    let cell = match target {
        Target::Cell(cell) => Some(cell),
        Target::Stage(_) => None,
    };
    let text = match context.output {
        Output::Json => {
            let params = cell.map(|cell| &plan.cells[cell].params);
            let cell = cell.map(|cell| json!({"number": cell + 1, "params": params}));
            format!("{}\n", json!({"grid": name, "cell": cell, "stages": explanations}))
        }
        Output::Human => {
            let mut text = cell.map_or(String::new(), |cell| {
                let done = |e: &&Explanation| matches!(e.verdict, Verdict::Done { .. });
                let done = explanations.iter().filter(done).count();
                format!(
                    "{} of grid {name}: {done} of {} stages are in the store\n",
                    cell_label(&plan.cells, cell),
                    explanations.len()
                )
            });
            text.extend(explanations.iter().map(describe));
            text
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    // The program ends here; giving back a large plan piece by piece takes a while.
    std::mem::forget(plan);
    Ok(exit::DONE)
}

/// The grid of a name, or of all, that was swept last.
///
/// # Errors
/// If there is none, or the database cannot be read.
pub(super) fn recorded_grid(
    database: &Database,
    name: Option<&str>,
    context: &Context,
) -> anyhow::Result<RecordedGrid> {
    match database.latest_grid(name)? {
        Some(grid) => Ok(grid),
        None => Err(no_grid(name, database, context)?.into()),
    }
}

fn find(
    text: &str,
    grid: &str,
    plan: &Plan,
    database: Option<&Database>,
) -> anyhow::Result<Target> {
    if let Some(kind) = StageKind::named(text) {
        let of_kind = |&i: &usize| plan.stages[i].stage.kind == kind;
        let stages: Vec<usize> = (0..plan.stages.len()).filter(of_kind).collect();
        return match stages[..] {
            [] => Err(BadInput(format!("grid {grid} has no {kind} stage")).into()),
            _ => one_stage(text, &stages, plan),
        };
    }
    let is_key = text.len() >= DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = text.parse::<usize>().ok();
    if number.is_some_and(|n| (1..=plan.cells.len()).contains(&n))
        || text.contains('=')
        || (number.is_some() && !is_key)
    {
        return Ok(Target::Cell(one_cell(text, grid, &plan.cells)?));
    }
    if !is_key {
        let kinds = StageKind::ALL.map(StageKind::name);
        let near = nearest(text, kinds.into_iter());
        let near = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        return Err(BadInput(format!(
            "`{text}` is no cell and no stage{near}; name a cell by number or by values \
             (attack=jsma,seed=2), a stage by its kind or by {DIGITS} or more digits of its key"
        ))
        .into());
    }
    let prefix = text.to_lowercase();
    let begins = |&i: &usize| plan.stages[i].key.as_str().starts_with(&prefix);
    let stages: Vec<usize> = (0..plan.stages.len()).filter(begins).collect();
    if stages.is_empty() {
        let elsewhere = database.map(|database| database.stage_beginning(&prefix)).transpose()?;
        let elsewhere = elsewhere.flatten().map_or(String::new(), |(kind, key)| {
            format!("; another grid has {kind} {}", key.short())
        });
        let message = format!("no stage of grid {grid} has a key that begins with {text}");
        return Err(BadInput(message + &elsewhere).into());
    }
    one_stage(text, &stages, plan)
}

/// The place of the one cell that a text means: a number as `advrec plan` prints it, or values of
/// parameters.
///
/// # Errors
/// If there is none, or there are several.
pub(super) fn one_cell(text: &str, grid: &str, cells: &[Cell]) -> Result<usize, BadInput> {
    let found = some_cells(text, grid, cells)?;
    match found[..] {
        [cell] => Ok(cell),
        _ => {
            let candidates = found.iter().map(|&cell| cell_label(cells, cell));
            Err(ambiguous(&format!("{text} means {} cells", found.len()), candidates))
        }
    }
}

/// The places of all cells that a text means, at least one.
///
/// # Errors
/// If there is none.
pub(super) fn some_cells(text: &str, grid: &str, cells: &[Cell]) -> Result<Vec<usize>, BadInput> {
    let count = cells.len();
    if let Ok(number) = text.parse::<usize>() {
        return match (1..=count).contains(&number) {
            true => Ok(vec![number - 1]),
            false => Err(BadInput(format!(
                "there is no cell {number}; grid {grid} has {count}, numbered from 1"
            ))),
        };
    }
    let bad = |error: FilterError| BadInput(error.to_string());
    let chosen = text.parse::<CellFilter>().and_then(|f| f.choose(cells)).map_err(bad)?;
    Ok((0..count).filter(|&cell| chosen[cell]).collect())
}

fn one_stage(text: &str, stages: &[usize], plan: &Plan) -> anyhow::Result<Target> {
    if let [stage] = stages {
        return Ok(Target::Stage(*stage));
    }
    let candidates = stages.iter().map(|&index| {
        let planned = &plan.stages[index];
        let cell = plan.cells.iter().position(|cell| cell.stages.contains(&index));
        let cell = cell.map_or(String::new(), |cell| {
            let more = planned.cells.saturating_sub(1);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(" of {}{more}", cell_label(&plan.cells, cell))
        });
        format!("{} {}{cell}", planned.stage.kind, planned.key.short())
    });
    Err(ambiguous(&format!("{text} means {} stages", stages.len()), candidates).into())
}

fn ambiguous(what: &str, candidates: impl ExactSizeIterator<Item = String>) -> BadInput {
    let left = candidates.len().saturating_sub(CANDIDATES_SHOWN);
    let mut text = format!("{what}; name one of them");
    for candidate in candidates.take(CANDIDATES_SHOWN) {
        let _ = write!(text, "\n  {candidate}");
    }
    if left > 0 {
        let _ = write!(text, "\n  and {left} more");
    }
    BadInput(text)
}

/// A cell for people: `cell 3 (attack=fgsm_l1 seed=1)`.
pub(super) fn cell_label(cells: &[Cell], cell: usize) -> String {
    let label = cells[cell].label();
    let label = if label.is_empty() { label } else { format!(" ({label})") };
    format!("cell {}{label}", cell + 1)
}

/// A stage with all that is known of it, a few lines.
fn describe(explanation: &Explanation) -> String {
    let mut text = format!("{} {}: ", explanation.kind, explanation.key.short());
    let mut details = Vec::new();
    let at = |attempt: &Option<RecordedAttempt>| {
        attempt.as_ref().map_or(String::new(), |attempt| {
            format!(" at {}", attempt.ended.as_ref().unwrap_or(&attempt.started))
        })
    };
    text.push_str(&match &explanation.verdict {
        Verdict::Done { attempt: None } => "done; its artefact is in the store".to_owned(),
        Verdict::Done { attempt: Some(attempt) } => {
            let time = attempt.wall_s.and_then(|s| Duration::try_from_secs_f64(s).ok());
            let time = time.map_or(String::new(), |time| format!(" in {}", words(time)));
            let ended = at(&Some(attempt.clone()));
            format!("done{ended} by attempt {}{time}", attempt.attempt)
        }
        Verdict::NotNeeded => "does not run; what needs it is done".to_owned(),
        Verdict::Running { attempt } => {
            let attempt = attempt.as_ref();
            let since = attempt.map(|a| format!(" since {} on {}", a.started, a.worker));
            format!("is running{}", since.unwrap_or_default())
        }
        Verdict::Failed { attempts, last } => {
            if let Some(last) = last {
                details.push(attempt_line(last));
                details.extend(last.log_path.iter().map(|log| format!("log: {log}")));
            }
            let plural = if *attempts == 1 { "" } else { "s" };
            format!("failed after {attempts} attempt{plural}; the next sweep tries it again")
        }
        Verdict::Damaged { reason } => format!("will run; {reason}"),
        Verdict::Gone { attempt } => {
            format!("will run; it was done{}, and its artefact is gone", at(attempt))
        }
        Verdict::Begun { last, nearest, .. } => {
            details.push(attempt_line(last));
            if let Some(nearest) = nearest {
                details.push(new_line(explanation.kind, nearest));
                details.extend(nearest.changes.iter().map(change_line));
            }
            "will run; it was begun and not done".to_owned()
        }
        Verdict::New { nearest: None } => {
            format!("will run; no {} has been done here yet", explanation.kind)
        }
        Verdict::New { nearest: Some(nearest) } => {
            details.extend(nearest.changes.iter().map(change_line));
            format!("will run; {}", new_line(explanation.kind, nearest))
        }
    });
    text.push('\n');
    details.extend(explanation.waits_for.iter().map(|wait| {
        let error = wait.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
        format!("waits for {} {} ({}{error})", wait.kind, wait.key.short(), wait.state)
    }));
    if !explanation.outdated.is_empty() {
        let kinds: Vec<_> = explanation.outdated.iter().map(|kind| kind.name()).collect();
        details.push(format!(
            "recorded by another version of {}; the next sweep computes it anew",
            kinds.join(", ")
        ));
    }
    for line in details.iter().flat_map(|detail| detail.lines()) {
        let _ = writeln!(text, "    {line}");
    }
    text
}

fn new_line(kind: StageKind, nearest: &Nearest) -> String {
    let done = nearest.done.as_ref().map_or(String::new(), |done| format!(", done at {done},"));
    let key = nearest.key.short();
    match nearest.in_plan {
        false => format!("changed since {kind} {key}{done} in"),
        true => format!("new; of this grid it is nearest to {kind} {key}{done} but for"),
    }
}

fn attempt_line(attempt: &RecordedAttempt) -> String {
    let error = attempt.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
    let time = attempt.ended.as_ref().unwrap_or(&attempt.started);
    format!("attempt {} {} at {time} on {}{error}", attempt.attempt, attempt.state, attempt.worker)
}

/// `agent.epochs: 50 → 60 (by way of rollout, agent)`.
fn change_line(change: &Change) -> String {
    let value = |value: &Value| match value {
        Value::Null => "none".to_owned(),
        value => grid::plain(value),
    };
    let mut text = format!("{}: {} → {}", change.what, value(&change.old), value(&change.new));
    if !change.by.is_empty() {
        let _ = write!(text, " (by way of {})", change.by.join(", "));
    }
    text
}

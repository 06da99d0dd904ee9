//! `advrec status`.

use super::{BadInput, Context, Output, exit};
use crate::grid::nearest;
use crate::live::wording;
use crate::store::{
    CellRow, CellState, Database, FailureRow, GridStatus, StageState, SweepState, SweepStatus,
};
use serde::Serialize;
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// How many failures of a grid people are shown.
const FAILURES_SHOWN: usize = 20;

/// Arguments of `advrec status`.
#[derive(clap::Args)]
pub struct Args {
    /// Only grids with this name
    #[arg(value_name = "NAME")]
    grid: Option<String>,
    /// List the cells: done, failed, running or waiting
    #[arg(long)]
    cells: bool,
}

/// A grid as it is printed.
#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    grid: GridStatus,
    /// With `--cells`.
    #[serde(skip_serializing_if = "Option::is_none")]
    cell_list: Option<Vec<CellRow>>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_to_read(&context.db)?;
    let grids = db.grids(args.grid.as_deref())?;
    if let (true, Some(name)) = (grids.is_empty(), &args.grid) {
        return Err(no_grid(Some(name), &db, context)?.into());
    }
    let sweep = db.last_sweep()?.filter(|sweep| sweep.ended.is_none());
    let list = |grid: GridStatus| -> anyhow::Result<Described> {
        let mut cells = Vec::new();
        if args.cells {
            db.cells(&grid.digest, |cell| cells.push(cell))?;
        }
        Ok(Described { grid, cell_list: args.cells.then_some(cells) })
    };
    let grids = grids.into_iter().map(list).collect::<anyhow::Result<Vec<_>>>()?;
    let text = match context.output {
        Output::Json => format!("{}\n", json!({ "sweep": sweep, "grids": grids })),
        Output::Human => {
            let none = if grids.is_empty() { "no grid has been swept yet\n" } else { "" };
            let grids = grids.iter().map(describe);
            grids.chain(sweep.as_ref().map(describe_sweep)).collect::<String>() + none
        }
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// What to say when there is no grid of a name, or none at all.
///
/// # Errors
/// If the database cannot be read.
pub fn no_grid(name: Option<&str>, db: &Database, context: &Context) -> anyhow::Result<BadInput> {
    let path = context.db.display();
    let names = db.grid_names()?;
    Ok(BadInput(match name.filter(|_| !names.is_empty()) {
        None => format!("no grid has been swept with {path} yet; `advrec sweep` does it"),
        Some(name) => {
            let near = nearest(name, names.iter().map(String::as_str));
            let near = near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
            format!("no grid {name} in {path}{near}; `advrec status` lists all")
        }
    }))
}

/// A sweep that has no end, in a line.
fn describe_sweep(sweep: &SweepStatus) -> String {
    let SweepStatus { process, host, .. } = sweep;
    match sweep.state {
        SweepState::Running => {
            let (time, stages) = (wording::seconds(sweep.seconds), wording::stages(sweep));
            let name = wording::name(sweep);
            format!(
                "a sweep of {name} is running (process {process} on {host}) for {time}: {stages}; \
                 `advrec watch` shows more\n"
            )
        }
        _ => format!("the last sweep of {}\n", wording::end(sweep)),
    }
}

/// A grid for people, with a line break at its end.
fn describe(described: &Described) -> String {
    let Described { grid, cell_list } = described;
    let version = if grid.latest { "" } else { ", an earlier version" };
    let cells = |state: CellState| match (state, grid.cell_states.get(&state)) {
        (CellState::Failed | CellState::Running, Some(count)) => {
            format!(", {count} {}", state.name())
        }
        _ => String::new(),
    };
    let mut text = format!(
        "grid {}{version}, last swept {}: {} of {} cells done{}\n",
        grid.name,
        grid.swept,
        grid.cells_done,
        grid.cells,
        CellState::ALL.map(cells).concat()
    );
    let count = |state: StageState| {
        let count = grid.stages.get(state.name())?;
        Some(format!("{count} {}", state.name()))
    };
    let stages: Vec<String> = StageState::ALL.into_iter().filter_map(count).collect();
    let _ = writeln!(text, "  stages: {}", stages.join(", "));
    for row in cell_list.iter().flatten() {
        let _ = writeln!(text, "  {:>6} {:<7} {}", row.cell, row.state.name(), row.label);
    }
    let earlier = grid.failures.len().saturating_sub(FAILURES_SHOWN);
    if earlier > 0 {
        let _ = writeln!(text, "  {earlier} earlier failures; `--output json` has all");
    }
    for failure in &grid.failures[earlier..] {
        text.push_str(&describe_failure(failure));
    }
    text
}

fn describe_failure(failure: &FailureRow) -> String {
    let plural = if failure.attempts == 1 { "" } else { "s" };
    let mut text = format!(
        "  {}: {} {} after {} attempt{plural}\n",
        failure.state,
        failure.kind,
        failure.stage_key.get(..12).unwrap_or(&failure.stage_key),
        failure.attempts
    );
    let _ = match failure.cells {
        _ if failure.label.is_empty() => writeln!(text, "    for {} cells", failure.cells),
        1 => writeln!(text, "    for the cell {}", failure.label),
        cells => writeln!(text, "    for {cells} cells with {}", failure.label),
    };
    for line in failure.error.as_deref().unwrap_or("no error was recorded").lines() {
        let _ = writeln!(text, "    {line}");
    }
    for line in failure.log_tail.as_deref().unwrap_or_default().lines() {
        let _ = writeln!(text, "    | {line}");
    }
    if !failure.jobs.is_empty() {
        let _ = writeln!(text, "    cluster jobs: {}", failure.jobs.join(", "));
    }
    if let Some(log) = &failure.log_path {
        let _ = writeln!(text, "    log: {log}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Params;
    use std::collections::BTreeMap;

    #[test]
    fn a_grid_is_described_with_its_failures() {
        let grid = GridStatus {
            name: "beauty".to_owned(),
            digest: String::new(),
            path: "beauty.yaml".to_owned(),
            created: String::new(),
            swept: "2026-01-31T12:00:00.000Z".to_owned(),
            latest: true,
            cells: 7,
            cells_done: 3,
            cell_states: BTreeMap::from([(CellState::Done, 3), (CellState::Failed, 4)]),
            stages: BTreeMap::from([("done".to_owned(), 9), ("failed".to_owned(), 1)]),
            failures: vec![FailureRow {
                kind: "agent".to_owned(),
                stage_key: "ab".repeat(32),
                cells: 4,
                label: "seed=1".to_owned(),
                params: serde_json::from_str(r#"{"epochs": 50}"#).unwrap(),
                attempts: 3,
                jobs: vec!["12_0".to_owned(), "12_1".to_owned()],
                state: "lost".to_owned(),
                error: Some("the worker was lost (exit status 1)".to_owned()),
                exit_status: Some(1),
                signal: None,
                log_tail: Some("last words".to_owned()),
                log_path: Some(".advrec/logs/abababababab-3.log".to_owned()),
            }],
        };
        let row = |cell, state, label: &str| CellRow {
            cell,
            state,
            label: label.to_owned(),
            params: Params::default(),
        };
        let cell_list =
            vec![row(1, CellState::Done, "seed=2"), row(2, CellState::Failed, "seed=1")];
        insta::assert_snapshot!(describe(&Described { grid, cell_list: Some(cell_list) }), @r"
        grid beauty, last swept 2026-01-31T12:00:00.000Z: 3 of 7 cells done, 4 failed
          stages: 9 done, 1 failed
               1 done    seed=2
               2 failed  seed=1
          lost: agent abababababab after 3 attempts
            for 4 cells with seed=1
            the worker was lost (exit status 1)
            | last words
            cluster jobs: 12_0, 12_1
            log: .advrec/logs/abababababab-3.log
        ");
    }
}

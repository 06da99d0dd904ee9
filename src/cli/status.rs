//! `advrec status`.

use super::{BadInput, Context, Output, exit};
use crate::store::{Database, FailureRow, GridStatus, StageState};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;

/// Arguments of `advrec status`.
#[derive(clap::Args)]
pub struct Args {
    /// Only grids with this name
    #[arg(value_name = "NAME")]
    grid: Option<String>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let db = Database::open_readonly(&context.db)?;
    let grids = db.grids(args.grid.as_deref())?;
    if let (true, Some(name)) = (grids.is_empty(), &args.grid) {
        let db = context.db.display();
        return Err(BadInput(format!("no grid {name} in {db}; `advrec status` lists all")).into());
    }
    let text = match context.output {
        Output::Json => format!("{}\n", json!({ "grids": grids })),
        Output::Human if grids.is_empty() => "no grid has been swept yet\n".to_owned(),
        Output::Human => grids.iter().map(describe).collect(),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(exit::DONE)
}

/// A grid for people, with a line break at its end.
fn describe(grid: &GridStatus) -> String {
    let version = if grid.latest { "" } else { ", an earlier version" };
    let mut text = format!(
        "grid {}{version}, last swept {}: {} of {} cells done\n",
        grid.name, grid.swept, grid.cells_done, grid.cells
    );
    let count = |state: StageState| {
        let count = grid.stages.get(state.name())?;
        Some(format!("{count} {}", state.name()))
    };
    let stages: Vec<String> = StageState::ALL.into_iter().filter_map(count).collect();
    let _ = writeln!(text, "  stages: {}", stages.join(", "));
    for failure in &grid.failures {
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
    for line in failure.error.as_deref().unwrap_or("no error was recorded").lines() {
        let _ = writeln!(text, "    {line}");
    }
    for line in failure.log_tail.as_deref().unwrap_or_default().lines() {
        let _ = writeln!(text, "    | {line}");
    }
    if let Some(log) = &failure.log_path {
        let _ = writeln!(text, "    log: {log}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
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
            stages: BTreeMap::from([("done".to_owned(), 9), ("failed".to_owned(), 1)]),
            failures: vec![FailureRow {
                kind: "agent".to_owned(),
                stage_key: "ab".repeat(32),
                attempts: 3,
                state: "lost".to_owned(),
                error: Some("the worker was lost (exit status 1)".to_owned()),
                log_tail: Some("last words".to_owned()),
                log_path: Some(".advrec/logs/abababababab-3.log".to_owned()),
            }],
        };
        insta::assert_snapshot!(describe(&grid), @r"
        grid beauty, last swept 2026-01-31T12:00:00.000Z: 3 of 7 cells done
          stages: 9 done, 1 failed
          lost: agent abababababab after 3 attempts
            the worker was lost (exit status 1)
            | last words
            log: .advrec/logs/abababababab-3.log
        ");
    }
}

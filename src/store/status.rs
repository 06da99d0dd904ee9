//! How far the grids are.

use super::{Database, DatabaseError};
use crate::plan::{Cell, Params};
use rusqlite::{Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Of the cells that need a failed stage so many are looked at for what they share.
const COMPARED: i64 = 100;

/// A grid and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GridStatus {
    pub name: String,
    pub digest: String,
    pub path: String,
    pub created: String,
    /// Start of the last sweep.
    pub swept: String,
    /// Whether it is the grid of its name that was swept last, of which reports speak.
    pub latest: bool,
    pub cells: u64,
    /// Cells all of whose stages are done.
    pub cells_done: u64,
    /// How many cells are in each state; states without cells are absent.
    pub cell_states: BTreeMap<CellState, u64>,
    /// How many stages are in each state; states without stages are absent.
    pub stages: BTreeMap<String, u64>,
    pub failures: Vec<FailureRow>,
}

/// How far a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CellState {
    Done,
    /// A stage of it failed, or needs one that did.
    Failed,
    Running,
    /// Some stages are to run, and none does.
    Waiting,
}

impl CellState {
    pub const ALL: [CellState; 4] = [Self::Done, Self::Failed, Self::Running, Self::Waiting];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Running => "running",
            Self::Waiting => "waiting",
        }
    }

    /// From the number that [`CELL_RANK`] gives.
    const fn of_rank(rank: i64) -> Self {
        match rank {
            0 => Self::Done,
            1 => Self::Waiting,
            2 => Self::Running,
            _ => Self::Failed,
        }
    }
}

/// The state of a cell from those of its stages: the worst of them counts.
const CELL_RANK: &str =
    "max(CASE s.state WHEN 'done' THEN 0 WHEN 'pending' THEN 1 WHEN 'running' THEN 2 ELSE 3 END)";

/// A cell and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellRow {
    /// Its place in the grid, from 1.
    pub cell: u64,
    pub state: CellState,
    /// What sets it apart in its grid.
    pub label: String,
    pub params: Params,
}

/// A failed stage with its last attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailureRow {
    pub kind: String,
    pub stage_key: String,
    /// How many cells of the grid need it.
    pub cells: u64,
    /// What sets those cells apart in the grid, as far as they share it; empty where there are very many.
    pub label: String,
    /// The stage's own parameters.
    pub params: Params,
    /// How many attempts were made.
    pub attempts: u64,
    /// Cluster's numbers of the jobs that they ran in.
    pub jobs: Vec<String>,
    /// State of the last one.
    pub state: String,
    pub error: Option<String>,
    /// Of a worker that was lost with it: what it ended with, or the signal that ended it.
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    /// Last lines of its log.
    pub log_tail: Option<String>,
    pub log_path: Option<String>,
}

impl Database {
    /// All grids, or those with a name; those swept last come last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn grids(&self, name: Option<&str>) -> Result<Vec<GridStatus>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, name, digest, path, created, swept,
                 id IN (SELECT id FROM latest_grids) AS latest FROM grids
             WHERE ?1 IS NULL OR name = ?1 ORDER BY swept, id",
        )?;
        let rows = statement.query_map([name], |row| {
            let grid = GridStatus {
                name: row.get("name")?,
                digest: row.get("digest")?,
                path: row.get("path")?,
                created: row.get("created")?,
                swept: row.get("swept")?,
                latest: row.get("latest")?,
                cells: 0,
                cells_done: 0,
                cell_states: BTreeMap::new(),
                stages: BTreeMap::new(),
                failures: Vec::new(),
            };
            Ok((row.get("id")?, grid))
        })?;
        let mut grids = Vec::new();
        for row in rows {
            let (id, mut grid) = row?;
            grid.cell_states = self.cell_states(&grid.digest)?;
            (grid.cells, grid.cells_done) = totals(&grid.cell_states);
            grid.stages = self.stage_states(id)?;
            grid.failures = self.failures(id)?;
            grids.push(grid);
        }
        Ok(grids)
    }

    /// How many cells the grid with this digest has, and how many of them are done.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn cell_count(&self, digest: &str) -> Result<(u64, u64), DatabaseError> {
        Ok(totals(&self.cell_states(digest)?))
    }

    fn cell_states(&self, digest: &str) -> Result<BTreeMap<CellState, u64>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT rank, count(*) FROM (
                 SELECT {CELL_RANK} AS rank
                 FROM grids g JOIN cells c ON c.grid_id = g.id
                 JOIN cell_stages cs ON cs.cell_id = c.id JOIN stages s ON s.key = cs.stage_key
                 WHERE g.digest = ?1 GROUP BY c.id)
             GROUP BY rank"
        ))?;
        let rows = statement.query_map([digest], |row| {
            Ok((CellState::of_rank(row.get(0)?), row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Shows the cells of the grid with this digest, in order.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn cells(&self, digest: &str, mut show: impl FnMut(CellRow)) -> Result<(), DatabaseError> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT c.ordinal, c.params, c.axes, {CELL_RANK} AS rank
             FROM grids g JOIN cells c ON c.grid_id = g.id
             JOIN cell_stages cs ON cs.cell_id = c.id JOIN stages s ON s.key = cs.stage_key
             WHERE g.digest = ?1 GROUP BY c.id ORDER BY c.ordinal"
        ))?;
        let mut rows = statement.query([digest])?;
        let mut before = Params::default();
        while let Some(row) = rows.next()? {
            let cell = read_cell(row)?;
            let label = cell.label();
            let params = cell.params.sharing(&before);
            before = params.clone();
            show(CellRow {
                cell: row.get::<_, i64>("ordinal")?.unsigned_abs() + 1,
                state: CellState::of_rank(row.get("rank")?),
                label,
                params,
            });
        }
        Ok(())
    }

    /// Places in the grid, from 0, of the cells with a stage that failed or needs one that did.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn failed_cells(&self, digest: &str) -> Result<Vec<usize>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT DISTINCT c.ordinal FROM stages s JOIN cell_stages cs ON cs.stage_key = s.key
             JOIN cells c ON c.id = cs.cell_id JOIN grids g ON g.id = c.grid_id
             WHERE s.state IN ('failed', 'blocked') AND g.digest = ?1 ORDER BY c.ordinal",
        )?;
        let rows = statement.query_map([digest], |row| row.get::<_, i64>(0))?;
        rows.map(|row| Ok(usize::try_from(row?).unwrap_or(usize::MAX))).collect()
    }

    fn stage_states(&self, id: i64) -> Result<BTreeMap<String, u64>, DatabaseError> {
        // The rollouts that a detector is trained on may be in no cell. CROSS JOIN keeps SQLite from
        // walking all cells of the grid for each stage.
        const IN_GRID: &str = "EXISTS (
            SELECT 1 FROM cell_stages cs CROSS JOIN cells c ON c.id = cs.cell_id
            WHERE cs.stage_key = s.key AND c.grid_id = ?1)";
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT state, count(*) FROM stages s
             WHERE {IN_GRID} OR key IN (
                 SELECT i.input_key FROM stages s JOIN stage_inputs i ON i.stage_key = s.key
                 WHERE s.kind = 'detector' AND {IN_GRID})
             GROUP BY state"
        ))?;
        let rows = statement
            .query_map([id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn failures(&self, id: i64) -> Result<Vec<FailureRow>, DatabaseError> {
        // From stages that are in no cell (rollouts that a detector is trained on) to those that need them.
        let mut statement = self.connection.prepare_cached(
            "WITH RECURSIVE needing (failed, key) AS (
                 SELECT key, key FROM stages WHERE state = 'failed'
                 UNION
                 SELECT n.failed, i.stage_key FROM needing n
                 JOIN stage_inputs i ON i.input_key = n.key
                 WHERE NOT EXISTS (SELECT 1 FROM cell_stages WHERE stage_key = n.key)),
             found AS MATERIALIZED (
                 SELECT n.failed AS key, min(n.key) AS through, count(DISTINCT c.id) AS cells
                 FROM needing n CROSS JOIN cell_stages cs ON cs.stage_key = n.key
                 CROSS JOIN cells c ON c.id = cs.cell_id AND c.grid_id = ?1
                 GROUP BY n.failed)
             SELECT s.kind, s.key AS stage_key, s.params, f.cells, f.through,
                 coalesce(a.state, 'failed') AS state, a.error, a.exit_status, a.signal, a.log_tail,
                 a.log_path,
                 (SELECT count(*) FROM attempts n WHERE n.stage_key = s.key) AS attempts,
                 (SELECT json_group_array(DISTINCT job) FROM attempts n
                  WHERE n.stage_key = s.key AND job IS NOT NULL) AS jobs
             FROM found f JOIN stages s ON s.key = f.key
             LEFT JOIN attempts a ON a.id = (
                 SELECT max(id) FROM attempts l WHERE l.stage_key = s.key)
             ORDER BY a.id",
        )?;
        let rows = statement.query_and_then(params![id], |row| -> Result<_, DatabaseError> {
            let through: String = row.get("through")?;
            let cells: i64 = row.get("cells")?;
            Ok(FailureRow {
                kind: row.get("kind")?,
                stage_key: row.get("stage_key")?,
                cells: cells.unsigned_abs(),
                label: if cells <= COMPARED {
                    self.shared_label(id, &through)?
                } else {
                    String::new()
                },
                params: parsed(row, "params")?,
                attempts: row.get::<_, i64>("attempts")?.unsigned_abs(),
                jobs: parsed(row, "jobs")?,
                state: row.get("state")?,
                error: row.get("error")?,
                exit_status: row.get("exit_status")?,
                signal: row.get("signal")?,
                log_tail: row.get("log_tail")?,
                log_path: row.get("log_path")?,
            })
        })?;
        rows.collect()
    }

    /// What sets the cells of a grid that have a stage apart, as far as they share it.
    fn shared_label(&self, grid: i64, stage: &str) -> Result<String, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT c.params, c.axes FROM cell_stages cs CROSS JOIN cells c ON c.id = cs.cell_id
             WHERE cs.stage_key = ?1 AND c.grid_id = ?2 ORDER BY c.ordinal",
        )?;
        let mut cells = statement.query_and_then(params![stage, grid], read_cell)?;
        let Some(mut shared) = cells.next().transpose()? else { return Ok(String::new()) };
        for cell in cells {
            let cell = cell?;
            shared.axes.retain(|axis| cell.params.get(axis) == shared.params.get(axis));
        }
        Ok(shared.label())
    }
}

/// How many cells there are, and how many are done.
fn totals(states: &BTreeMap<CellState, u64>) -> (u64, u64) {
    (states.values().sum(), states.get(&CellState::Done).copied().unwrap_or(0))
}

/// A cell from the columns `params` and `axes`, without its stages.
fn read_cell(row: &Row<'_>) -> Result<Cell, DatabaseError> {
    let (params, axes) = (parsed(row, "params")?, parsed(row, "axes")?);
    Ok(Cell { params, axes, stages: Vec::new() })
}

/// The value of a column that holds JSON.
pub(super) fn parsed<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T, DatabaseError> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| DatabaseError::Malformed {
        what: format!("the column {column} with {text:?}"),
        reason: error.to_string(),
    })
}

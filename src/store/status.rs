//! How far the grids are.

use super::{Database, DatabaseError};
use rusqlite::params;
use serde::Serialize;
use std::collections::BTreeMap;

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
    /// How many stages are in each state; states without stages are absent.
    pub stages: BTreeMap<String, u64>,
    pub failures: Vec<FailureRow>,
}

/// A failed stage with its last attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailureRow {
    pub kind: String,
    pub stage_key: String,
    /// How many attempts were made.
    pub attempts: u64,
    /// State of the last one.
    pub state: String,
    pub error: Option<String>,
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
                stages: BTreeMap::new(),
                failures: Vec::new(),
            };
            Ok((row.get("id")?, grid))
        })?;
        let mut grids = Vec::new();
        for row in rows {
            let (id, mut grid) = row?;
            self.count(id, &mut grid)?;
            grid.failures = self.failures(id)?;
            grids.push(grid);
        }
        Ok(grids)
    }

    fn count(&self, id: i64, grid: &mut GridStatus) -> Result<(), DatabaseError> {
        let (cells, done): (i64, i64) = self.connection.query_row(
            "SELECT count(*), coalesce(sum(NOT EXISTS (
                 SELECT 1 FROM cell_stages cs JOIN stages s ON s.key = cs.stage_key
                 WHERE cs.cell_id = c.id AND s.state <> 'done')), 0)
             FROM cells c WHERE c.grid_id = ?1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        (grid.cells, grid.cells_done) = (cells.unsigned_abs(), done.unsigned_abs());
        let mut statement = self.connection.prepare_cached(
            "SELECT state, count(*) FROM stages WHERE key IN (
                 SELECT cs.stage_key FROM cells c JOIN cell_stages cs ON cs.cell_id = c.id
                 WHERE c.grid_id = ?1)
             GROUP BY state",
        )?;
        let rows = statement
            .query_map([id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        grid.stages = rows.collect::<Result<_, _>>()?;
        Ok(())
    }

    fn failures(&self, id: i64) -> Result<Vec<FailureRow>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT s.kind, s.key AS stage_key, coalesce(a.state, 'failed') AS state, a.error,
                 a.log_tail, a.log_path, (SELECT count(*) FROM attempts n WHERE n.stage_key = s.key) AS attempts
             FROM stages s
             LEFT JOIN attempts a ON a.id = (
                 SELECT max(id) FROM attempts l WHERE l.stage_key = s.key)
             WHERE s.state = 'failed' AND s.key IN (
                 SELECT cs.stage_key FROM cells c JOIN cell_stages cs ON cs.cell_id = c.id
                 WHERE c.grid_id = ?1)
             ORDER BY a.id",
        )?;
        let rows = statement.query_map(params![id], |row| {
            Ok(FailureRow {
                kind: row.get("kind")?,
                stage_key: row.get("stage_key")?,
                attempts: row.get::<_, i64>("attempts")?.unsigned_abs(),
                state: row.get("state")?,
                error: row.get("error")?,
                log_tail: row.get("log_tail")?,
                log_path: row.get("log_path")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

//! The sweep that runs, or was the last to: how far it is, what its workers do, what failed. Each answer
//! is one short read, so that nobody waits for whoever watches.

use super::lock::host;
use super::status::parsed;
use super::{Database, DatabaseError, SweepCounts, SweepLock};
use crate::plan::Params;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// A sweep of this machine that was not heard of for so many seconds, and whose lock is free, was killed.
const SILENT_S: f64 = 30.0;
/// The speed is that of the last minutes, taken from no more than the last attempts.
const WINDOW_S: f64 = 180.0;
const WINDOW_ATTEMPTS: i64 = 20_000;
/// How many failures of a running sweep are shown.
const FAILURES: i64 = 5;

/// How a sweep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepState {
    Running,
    Finished,
    FailedFast,
    Interrupted,
    DiskFull,
    Error,
    /// Its process is gone, and it said nothing of an end.
    Killed,
}

/// A sweep and how far it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepStatus {
    pub id: i64,
    /// The grid's name; `None` where no grid asked for the stages.
    pub grid: Option<String>,
    pub state: SweepState,
    pub process: i64,
    pub host: String,
    /// The cluster's number of the job that the orchestrator itself runs as.
    pub job: Option<String>,
    pub launcher: String,
    /// How many stages can run at a time.
    pub slots: u64,
    pub started: String,
    pub ended: Option<String>,
    /// Seconds from its start until now or its end.
    pub seconds: f64,
    /// Seconds since it was heard of.
    pub silent_s: f64,
    /// Of stages, renewed every few seconds; all zero at its very beginning.
    pub counts: SweepCounts,
    /// Stages that are done a minute, over the last minutes, while it runs.
    pub per_minute: Option<f64>,
    /// By slot, while it runs.
    pub running: Vec<AttemptRow>,
    /// The last ones, the latest first.
    pub failures: Vec<AttemptRow>,
}

impl SweepStatus {
    /// Stages that are done.
    pub fn done(&self) -> usize {
        self.counts.reused + self.counts.run
    }

    /// Stages that wait for a worker or for others.
    pub fn pending(&self) -> usize {
        let SweepCounts { total, failed, blocked, .. } = self.counts;
        total.saturating_sub(self.done() + failed + blocked + self.running.len())
    }
}

/// An attempt at a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttemptRow {
    pub attempt: i64,
    pub kind: String,
    pub stage_key: String,
    pub params: Params,
    /// `running`, `done`, `failed`, `lost` or `interrupted`.
    pub state: String,
    pub slot: Option<i64>,
    /// Host, process and device.
    pub worker: String,
    /// The cluster's number of the worker's job.
    pub job: Option<String>,
    pub ended: Option<String>,
    /// So far, or until its end.
    pub seconds: f64,
    pub progress_done: Option<i64>,
    /// 0 where it is not known.
    pub progress_total: Option<i64>,
    pub progress_note: Option<String>,
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    pub error: Option<String>,
    /// Last lines of its log, where it did not succeed.
    pub log_tail: Option<String>,
    pub log_path: Option<String>,
}

impl AttemptRow {
    /// What the worker computes on: `cpu`, or `cuda` with the GPU's number.
    pub fn device(&self) -> &str {
        self.worker.splitn(3, '/').nth(2).unwrap_or("unknown")
    }
}

impl Database {
    /// The sweep that began last, if there was one.
    ///
    /// # Errors
    /// If the database cannot be read; also when it is locked ([`DatabaseError::is_busy`]), as on a shared
    /// file system while the sweep writes.
    pub fn last_sweep(&self) -> Result<Option<SweepStatus>, DatabaseError> {
        self.sweep(None)
    }

    /// The sweep with this number.
    ///
    /// # Errors
    /// As [`Database::last_sweep`].
    pub fn sweep_numbered(&self, id: i64) -> Result<Option<SweepStatus>, DatabaseError> {
        self.sweep(Some(id))
    }

    fn sweep(&self, id: Option<i64>) -> Result<Option<SweepStatus>, DatabaseError> {
        // All from one moment. It only reads: letting go of it undoes nothing.
        let moment = self.connection.unchecked_transaction()?;
        let mut statement = moment.prepare_cached(
            "SELECT w.*, g.name AS grid,
                 86400 * (julianday(coalesce(w.ended, 'now')) - julianday(w.started)) AS seconds,
                 86400 * (julianday('now') - julianday(w.heard)) AS silent_s
             FROM sweeps w LEFT JOIN grids g ON g.id = w.grid_id
             WHERE w.id = coalesce(?1, (SELECT max(id) FROM sweeps))",
        )?;
        let found = statement.query_row([id], |row| read_sweep(row, self.path())).optional()?;
        let Some(mut sweep) = found else { return Ok(None) };
        if sweep.state == SweepState::Running {
            let now = "a.sweep_id = ?1 AND a.state = 'running' ORDER BY a.slot";
            sweep.running = attempts(&moment, now, sweep.id, 0)?;
            sweep.per_minute = per_minute(&moment, &sweep)?;
        }
        if sweep.counts.failed + sweep.counts.lost > 0 {
            let last =
                "a.sweep_id = ?1 AND a.state IN ('failed', 'lost') ORDER BY a.id DESC LIMIT ?2";
            sweep.failures = attempts(&moment, last, sweep.id, FAILURES)?;
        }
        Ok(Some(sweep))
    }

    /// How a sweep's attempts are at a moment.
    ///
    /// # Errors
    /// As [`Database::last_sweep`].
    pub fn attempts_so_far(&self, sweep: i64) -> Result<AttemptsSoFar, DatabaseError> {
        let sql = "SELECT coalesce(sum(state = 'done'), 0), coalesce(max(id) + 1, 0),
                 json_group_array(id) FILTER (WHERE state = 'running')
             FROM attempts WHERE sweep_id = ?1";
        self.connection.query_row_and_then(sql, [sweep], |row| {
            let done = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(0);
            Ok(AttemptsSoFar { done, next: row.get(1)?, running: ids(&row.get::<_, String>(2)?) })
        })
    }

    /// The attempts of a sweep that are among some `running` ones, or begin with the number `next`, in
    /// the order of their beginning.
    ///
    /// # Errors
    /// As [`Database::last_sweep`].
    pub fn attempts_since(
        &self,
        sweep: i64,
        AttemptsSoFar { running, next, .. }: &AttemptsSoFar,
    ) -> Result<Vec<AttemptRow>, DatabaseError> {
        let known: Vec<String> = running.iter().map(i64::to_string).collect();
        let condition = format!(
            "a.sweep_id = ?1 AND (a.id >= ?2 OR a.id IN ({})) ORDER BY a.id",
            known.join(", ")
        );
        attempts(&self.connection, &condition, sweep, *next)
    }
}

/// Attempts of a sweep: which have ended, which run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttemptsSoFar {
    /// How many are done.
    pub done: usize,
    /// Later ones have this number or a greater one.
    pub next: i64,
    pub running: BTreeSet<i64>,
}

/// Numbers from an array of JSON that SQLite made.
fn ids(json: &str) -> BTreeSet<i64> {
    serde_json::from_str(json).unwrap_or_default()
}

fn read_sweep(row: &Row<'_>, database: &Path) -> rusqlite::Result<SweepStatus> {
    let count = |name: &str| -> rusqlite::Result<usize> {
        Ok(usize::try_from(row.get::<_, i64>(name)?).unwrap_or(0))
    };
    let (process, machine): (i64, String) = (row.get("process")?, row.get("host")?);
    let (ended, ending): (Option<String>, Option<String>) = (row.get("ended")?, row.get("ending")?);
    let silent_s: f64 = row.get("silent_s")?;
    // Of another machine's processes nothing is known here. The number of one of this machine may be
    // another's by now; its lock is nobody else's.
    let gone = || !SweepLock::is_held(database);
    let state = match ending {
        // What the database allows is what the type knows.
        Some(name) => serde_json::from_value(Value::from(name)).unwrap_or(SweepState::Error),
        None if silent_s > SILENT_S && machine == host() && gone() => SweepState::Killed,
        None => SweepState::Running,
    };
    Ok(SweepStatus {
        id: row.get("id")?,
        grid: row.get("grid")?,
        state,
        process,
        host: machine,
        job: row.get("job")?,
        launcher: row.get("launcher")?,
        slots: row.get::<_, i64>("slots")?.unsigned_abs(),
        started: row.get("started")?,
        ended,
        seconds: row.get::<_, f64>("seconds")?.max(0.0),
        silent_s: silent_s.max(0.0),
        counts: SweepCounts {
            total: count("total")?,
            reused: count("reused")?,
            damaged: count("damaged")?,
            run: count("run")?,
            failed: count("failed")?,
            blocked: count("blocked")?,
            lost: count("lost")?,
            left_s: row.get("left_s")?,
        },
        per_minute: None,
        running: Vec::new(),
        failures: Vec::new(),
    })
}

/// The attempts that meet a condition on a sweep `?1` and another number `?2`.
fn attempts(
    connection: &Connection,
    condition: &str,
    sweep: i64,
    number: i64,
) -> Result<Vec<AttemptRow>, DatabaseError> {
    // The condition may name attempts: a statement of its own, not to be kept.
    let mut statement = connection.prepare(&format!(
        "SELECT a.*, s.kind, s.params,
             coalesce(a.wall_s, 86400 * (julianday('now') - julianday(a.started))) AS seconds
         FROM attempts a JOIN stages s ON s.key = a.stage_key WHERE ?2 IS NOT NULL AND {condition}"
    ))?;
    let rows =
        statement.query_and_then(params![sweep, number], |row| -> Result<_, DatabaseError> {
            Ok(AttemptRow {
                attempt: row.get("id")?,
                kind: row.get("kind")?,
                stage_key: row.get("stage_key")?,
                params: parsed(row, "params")?,
                state: row.get("state")?,
                slot: row.get("slot")?,
                worker: row.get("worker")?,
                job: row.get("job")?,
                ended: row.get("ended")?,
                seconds: row.get::<_, f64>("seconds")?.max(0.0),
                progress_done: row.get("progress_done")?,
                progress_total: row.get("progress_total")?,
                progress_note: row.get("progress_note")?,
                exit_status: row.get("exit_status")?,
                signal: row.get("signal")?,
                error: row.get("error")?,
                log_tail: row.get("log_tail")?,
                log_path: row.get("log_path")?,
            })
        })?;
    rows.collect()
}

/// Stages that a running sweep does a minute; `None` where it did none of late.
fn per_minute(connection: &Connection, sweep: &SweepStatus) -> Result<Option<f64>, DatabaseError> {
    let done: i64 = connection
        .prepare_cached(
            "SELECT count(*) FROM attempts
             WHERE id > (SELECT max(id) FROM attempts) - ?3 AND sweep_id = ?1 AND state = 'done'
                 AND 86400 * (julianday('now') - julianday(ended)) <= ?2",
        )?
        .query_row(params![sweep.id, WINDOW_S, WINDOW_ATTEMPTS], |row| row.get(0))?;
    let minutes = sweep.seconds.clamp(1.0, WINDOW_S) / 60.0;
    Ok((done > 0).then(|| done as f64 / minutes))
}

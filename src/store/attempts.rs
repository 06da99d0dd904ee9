//! Stages' states and the attempts to run them.

use super::datasets::stage_key;
use super::{Batch, Database, DatabaseError, Manifest, SweepId, database::json};
use crate::plan::StageKey;
use rusqlite::params;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::path::PathBuf;

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StageState {
    Pending,
    Running,
    /// Its artefact is in the store and its metrics are in the database.
    Done,
    Failed,
    /// Needs a stage that failed.
    Blocked,
}

impl StageState {
    pub const ALL: [StageState; 5] =
        [Self::Done, Self::Running, Self::Pending, Self::Failed, Self::Blocked];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptState {
    Done,
    /// The stage reported an error.
    Failed,
    /// The worker ended without a report: killed, crashed.
    Lost,
    /// The sweep was stopped.
    Interrupted,
}

impl AttemptState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A row of the table `attempts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId(i64);

impl AttemptId {
    /// The number after this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What is known of an attempt at its start.
#[derive(Clone, Debug)]
pub struct AttemptStart {
    pub id: AttemptId,
    pub sweep: SweepId,
    pub key: StageKey,
    /// Host, process and device.
    pub worker: String,
    pub slot: usize,
    /// The cluster's number of the worker's job.
    pub job: Option<String>,
    pub log: PathBuf,
    /// When it began, as the database writes times.
    pub started: String,
}

/// What is known of an attempt at its end.
#[derive(Clone, Debug)]
pub struct AttemptEnd {
    pub state: AttemptState,
    /// When it ended, as the database writes times.
    pub ended: String,
    pub wall_s: f64,
    pub cpu_s: Option<f64>,
    pub peak_mib: Option<f64>,
    pub exit_status: Option<i32>,
    pub signal: Option<i32>,
    pub error: Option<String>,
    /// Whether the log holds anything; the path of an empty one is dropped.
    pub has_log: bool,
    /// Last lines of the log, where the attempt did not succeed.
    pub log_tail: Option<String>,
    pub provenance: Option<Map<String, Value>>,
}

impl AttemptEnd {
    /// An end of which only the state and the times are known.
    pub fn new(state: AttemptState, ended: String, wall_s: f64) -> Self {
        Self {
            state,
            ended,
            wall_s,
            cpu_s: None,
            peak_mib: None,
            exit_status: None,
            signal: None,
            error: None,
            has_log: true,
            log_tail: None,
            provenance: None,
        }
    }
}

impl Batch<'_> {
    /// Sets a stage's state.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_stage_state(&self, key: &StageKey, state: StageState) -> Result<(), DatabaseError> {
        self.transaction
            .prepare_cached("UPDATE stages SET state = ?2 WHERE key = ?1")?
            .execute(params![key.as_str(), state.name()])?;
        Ok(())
    }

    /// Begins an attempt: the stage is then running.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn start_attempt(&self, start: &AttemptStart) -> Result<(), DatabaseError> {
        self.set_stage_state(&start.key, StageState::Running)?;
        self.transaction
            .prepare_cached(
                "INSERT INTO attempts (id, stage_key, worker, state, log_path, sweep_id, slot, job,
                     started)
                 VALUES (?1, ?2, ?3, 'running', ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                start.id.0,
                start.key.as_str(),
                start.worker,
                start.log.to_string_lossy(),
                start.sweep.0,
                start.slot as i64,
                start.job,
                start.started,
            ])?;
        Ok(())
    }

    /// Records how far a running attempt is.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn set_progress(
        &self,
        id: AttemptId,
        done: u64,
        total: u64,
        note: &str,
    ) -> Result<(), DatabaseError> {
        let [done, total] = [done, total].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        self.transaction
            .prepare_cached(
                "UPDATE attempts SET progress_done = ?2, progress_total = ?3, progress_note = ?4
                 WHERE id = ?1",
            )?
            .execute(params![id.0, done, total, note])?;
        Ok(())
    }

    /// Ends an attempt. The stage's state is the caller's to set: a lost attempt may be followed by
    /// another.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_attempt(&self, id: AttemptId, end: &AttemptEnd) -> Result<(), DatabaseError> {
        self.transaction
            .prepare_cached(
                "UPDATE attempts SET state = ?2, wall_s = ?3, cpu_s = ?4, peak_mib = ?5,
                     exit_status = ?6, signal = ?7, error = ?8,
                     log_path = CASE WHEN ?9 THEN log_path END, provenance = ?10, log_tail = ?11,
                     ended = ?12
                 WHERE id = ?1",
            )?
            .execute(params![
                id.0,
                end.state.name(),
                end.wall_s,
                end.cpu_s,
                end.peak_mib,
                end.exit_status,
                end.signal,
                end.error,
                end.has_log,
                end.provenance.as_ref().map(json).transpose()?,
                end.log_tail,
                end.ended,
            ])?;
        Ok(())
    }

    /// Records a stage as done from its artefact's manifest, unless it already is. The attempt that
    /// made the artefact is written again from the provenance where the database has none.
    ///
    /// # Errors
    /// If the database cannot be written or a metric is not finite.
    pub fn record_artefact(&self, manifest: &Manifest) -> Result<(), DatabaseError> {
        let key = &manifest.key;
        let (done, attempted): (bool, bool) = self
            .transaction
            .prepare_cached(
                "SELECT state = 'done',
                     EXISTS (SELECT 1 FROM attempts WHERE stage_key = key AND state = 'done')
                 FROM stages WHERE key = ?1",
            )?
            .query_row([key.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if !done {
            self.transaction
                .prepare_cached("UPDATE stages SET state = 'done', bytes = ?2 WHERE key = ?1")?
                .execute(params![
                    key.as_str(),
                    i64::try_from(manifest.bytes()).unwrap_or(i64::MAX)
                ])?;
            self.write_metrics(key, &manifest.metrics)?;
            self.write_projection(key, manifest.projection.as_ref())?;
            self.unblock(key)?;
        }
        if !attempted {
            let text = |name: &str| manifest.provenance.get(name).and_then(Value::as_str);
            let number = |name: &str| manifest.provenance.get(name).and_then(Value::as_f64);
            self.transaction
                .prepare_cached(
                    "INSERT INTO attempts (stage_key, worker, state, started, ended, wall_s, cpu_s,
                         peak_mib, provenance)
                     VALUES (?1, ?2, 'done', coalesce(
                             strftime('%Y-%m-%dT%H:%M:%fZ', ?3, printf('-%f seconds', ?4)), ?3,
                             strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
                         ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    key.as_str(),
                    text("worker").unwrap_or("unknown"),
                    text("ended"),
                    number("wall_s"),
                    number("cpu_s"),
                    number("peak_mib"),
                    json(&manifest.provenance)?,
                ])?;
        }
        Ok(())
    }
}

impl Batch<'_> {
    /// A stage is done: those that were blocked, and need nothing any more that failed or is blocked, are
    /// pending. A sweep of some cells knows nothing of the others.
    fn unblock(&self, done: &StageKey) -> Result<(), DatabaseError> {
        let mut statement = self.transaction.prepare_cached(
            "UPDATE stages SET state = 'pending'
             WHERE state = 'blocked' AND key IN (
                 SELECT stage_key FROM stage_inputs WHERE input_key = ?1)
             AND NOT EXISTS (
                 SELECT 1 FROM stage_inputs i JOIN stages s ON s.key = i.input_key
                 WHERE i.stage_key = stages.key AND s.state IN ('failed', 'blocked'))
             RETURNING key",
        )?;
        let mut open = vec![done.clone()];
        while let Some(key) = open.pop() {
            let freed = statement.query_map([key.as_str()], |row| row.get(0))?;
            for key in freed {
                open.push(stage_key(key?)?);
            }
        }
        Ok(())
    }
}

impl Database {
    /// Ends what a killed sweep left running: its attempts are interrupted, its stages pending. They
    /// ended when the sweep was last heard of, as far as anybody knows.
    /// Returns how many attempts that were. Only for the holder of the sweep lock.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_left_over_attempts(&mut self) -> Result<usize, DatabaseError> {
        self.batch(|batch| {
            let ended = batch.transaction.execute(
                "UPDATE attempts SET state = 'interrupted',
                     error = 'the sweep ended before the stage did', ended = w.heard,
                     wall_s = max(0, 86400 * (julianday(w.heard) - julianday(attempts.started)))
                 FROM (SELECT a.id, s.heard FROM attempts a LEFT JOIN sweeps s ON s.id = a.sweep_id
                       WHERE a.state = 'running') w
                 WHERE attempts.id = w.id",
                [],
            )?;
            batch
                .transaction
                .execute("UPDATE stages SET state = 'pending' WHERE state = 'running'", [])?;
            Ok(ended)
        })
    }

    /// The number of the next attempt. Only the holder of the sweep lock adds any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn next_attempt(&self) -> Result<AttemptId, DatabaseError> {
        let last =
            self.connection
                .query_row("SELECT coalesce(max(id), 0) FROM attempts", [], |row| row.get(0))?;
        Ok(AttemptId(last).next())
    }

    /// How many attempts there are at each stage that has any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn attempt_counts(&self) -> Result<HashMap<StageKey, u64>, DatabaseError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT stage_key, count(*) FROM attempts GROUP BY stage_key")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?.unsigned_abs()))
        })?;
        rows.map(|row| {
            let (key, count) = row?;
            Ok((stage_key(key)?, count))
        })
        .collect()
    }
}

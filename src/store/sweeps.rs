//! Sweeps: who ran stages, since when, and how far it is.

use super::{Batch, DatabaseError, GridId, database::json, lock::host};
use rusqlite::params;
use serde::Serialize;

/// A row of the table `sweeps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepId(pub(super) i64);

/// What is known of a sweep at its start.
#[derive(Clone, Debug, Default)]
pub struct SweepStart {
    /// `None` where no grid asks for the stages.
    pub grid: Option<GridId>,
    /// `local` or `slurm`.
    pub launcher: &'static str,
    /// The cluster's number of the job that this process runs as.
    pub job: Option<String>,
    /// How many stages can run at a time.
    pub slots: usize,
    /// The command line after the program's name.
    pub arguments: Vec<String>,
}

/// How far a sweep is. Counts are of stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SweepCounts {
    pub total: usize,
    pub reused: usize,
    pub damaged: usize,
    pub run: usize,
    pub failed: usize,
    pub blocked: usize,
    /// Attempts that lost their worker.
    pub lost: usize,
    /// Predicted seconds to the end.
    pub left_s: Option<f64>,
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepEnding {
    Finished,
    FailedFast,
    Interrupted,
    DiskFull,
    /// The database, the store or the worker program was of no use.
    Error,
}

impl SweepEnding {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::FailedFast => "failed_fast",
            Self::Interrupted => "interrupted",
            Self::DiskFull => "disk_full",
            Self::Error => "error",
        }
    }
}

impl Batch<'_> {
    /// Records that this process begins a sweep. Sweeps that were left without an end were killed. Only
    /// for the holder of the sweep lock.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn start_sweep(&self, start: &SweepStart) -> Result<SweepId, DatabaseError> {
        self.transaction.execute(
            "UPDATE sweeps SET ended = heard, ending = 'killed' WHERE ended IS NULL",
            [],
        )?;
        self.transaction.execute(
            "INSERT INTO sweeps (grid_id, process, host, job, launcher, slots, arguments, version,
                 git_commit, git_dirty)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                start.grid.map(|grid| grid.0),
                std::process::id(),
                host(),
                start.job,
                start.launcher,
                start.slots as i64,
                json(&start.arguments)?,
                env!("CARGO_PKG_VERSION"),
                env!("ADVREC_GIT_COMMIT"),
                env!("ADVREC_GIT_DIRTY") == "true",
            ],
        )?;
        Ok(SweepId(self.transaction.last_insert_rowid()))
    }

    /// Records how far a sweep is, and that it lives.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn update_sweep(&self, id: SweepId, counts: &SweepCounts) -> Result<(), DatabaseError> {
        let n = |count: usize| count as i64;
        self.transaction
            .prepare_cached(
                "UPDATE sweeps SET total = ?2, reused = ?3, damaged = ?4, run = ?5, failed = ?6,
                     blocked = ?7, lost = ?8, left_s = ?9,
                     heard = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
                 WHERE id = ?1",
            )?
            .execute(params![
                id.0,
                n(counts.total),
                n(counts.reused),
                n(counts.damaged),
                n(counts.run),
                n(counts.failed),
                n(counts.blocked),
                n(counts.lost),
                counts.left_s,
            ])?;
        Ok(())
    }

    /// Records that a sweep is over.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn end_sweep(&self, id: SweepId, ending: SweepEnding) -> Result<(), DatabaseError> {
        self.transaction.execute(
            "UPDATE sweeps SET ended = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), ending = ?2,
                 left_s = NULL
             WHERE id = ?1",
            params![id.0, ending.name()],
        )?;
        Ok(())
    }
}

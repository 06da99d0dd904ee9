//! How a plan is to be run, and what running it came to.

use super::device::Slot;
use super::slurm::Launcher;
use super::worker::{WorkerCommand, WorkerError};
use crate::plan::StageKind;
use crate::store::{ArtefactError, DatabaseError, SweepCounts, SweepEnding};
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// Why a sweep could not go on. What failed inside a stage is no such error, but part of the
/// [`Outcome`].
#[derive(Debug, Error)]
pub enum RunError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] ArtefactError),
    #[error(transparent)]
    Worker(#[from] WorkerError),
    #[error(
        "a {stage} stage needs the {role} {key}, which cannot be used: {reason}; import it again"
    )]
    Input { stage: StageKind, role: String, key: String, reason: String },
    #[error("could not listen for ctrl-c: {0}")]
    Signals(#[source] io::Error),
}

/// How a plan is run.
#[derive(Clone, Debug)]
pub struct Settings {
    pub launcher: Launcher,
    pub slots: Vec<Slot>,
    /// Cores of the machine, for the stages that run alone.
    pub cores: usize,
    pub worker: WorkerCommand,
    /// Start nothing more after the first failure.
    pub fail_fast: bool,
    /// Another order among the stages that are ready; results must not depend on it.
    pub order_seed: Option<u64>,
    /// How long running stages have to stop after an interrupt.
    pub grace: Duration,
    pub limits: Limits,
    /// The command line after the program's name, for the record.
    pub arguments: Vec<String>,
}

/// When attempts are given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// A stage over which so many workers are lost has failed.
    pub crash_limit: u32,
    /// A worker that gives no sign of life for so long is killed.
    pub stall: Duration,
    /// The wait before the second attempt at a stage that lost its worker; it doubles each time.
    pub back_off: Duration,
    /// How long a stage of each kind may run; none, where there is no entry.
    pub timeouts: BTreeMap<StageKind, Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            crash_limit: 3,
            stall: Duration::from_secs(120),
            back_off: Duration::from_secs(1),
            timeouts: BTreeMap::new(),
        }
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nothing was left to run.
    Finished,
    /// At the first failure, as asked for.
    FailedFast,
    Interrupted,
    /// With what found it full.
    DiskFull(String),
}

/// What a run came to. Counts are of stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub total: usize,
    /// Were there before, whole.
    pub reused: usize,
    /// Were there before, damaged; they are removed and count among the others, too.
    pub damaged: usize,
    pub run: usize,
    pub failed: usize,
    /// Not run because they need a failed one.
    pub blocked: usize,
    /// Attempts whose worker was lost.
    pub lost: usize,
    pub ending: Ending,
    pub time: Duration,
}

impl Ending {
    /// As the database records it.
    pub fn record(&self) -> SweepEnding {
        match self {
            Self::Finished => SweepEnding::Finished,
            Self::FailedFast => SweepEnding::FailedFast,
            Self::Interrupted => SweepEnding::Interrupted,
            Self::DiskFull(_) => SweepEnding::DiskFull,
        }
    }
}

impl Outcome {
    /// Of a plan with so many stages, before anything is known.
    pub fn of(total: usize) -> Self {
        Self {
            total,
            reused: 0,
            damaged: 0,
            run: 0,
            failed: 0,
            blocked: 0,
            lost: 0,
            ending: Ending::Finished,
            time: Duration::ZERO,
        }
    }

    /// For the database, with the predicted time to the end.
    pub fn counts(&self, left: Option<Duration>) -> SweepCounts {
        let Self { total, reused, damaged, run, failed, blocked, lost, .. } = *self;
        let left_s = left.map(|time| time.as_secs_f64());
        SweepCounts { total, reused, damaged, run, failed, blocked, lost, left_s }
    }

    /// Stages that are neither done nor failed nor blocked.
    pub fn not_run(&self) -> usize {
        self.total - self.reused - self.run - self.failed - self.blocked
    }
}

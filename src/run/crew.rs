//! What the scheduler and the workers of a sweep say to each other, whatever starts the workers.

use super::death::Death;
use super::protocol::{Failure, Job, Progress};
use super::worker::WorkerError;
use crate::plan::StageKey;
use crate::store::Manifest;
use serde::{Deserialize, Serialize};

/// The workers of a sweep, by slot.
pub trait Crew {
    /// Starts the workers of some slots; [`Event::Ready`] or [`Event::CannotStart`] follows for each.
    fn start(&mut self, slots: &[usize]);

    /// Hands a stage's job to an idle slot; the scratch folder is made there. [`Event::Free`] and
    /// [`Event::Ended`] follow.
    fn run(&mut self, slot: usize, stage: usize, job: Job);

    /// Asks all running stages to stop.
    fn ask_to_stop(&mut self);

    /// Kills the worker of a slot, which may be started again.
    fn kill_one(&mut self, slot: usize);

    /// Kills all workers for good.
    fn kill(&mut self);

    /// Lets the idle workers leave. `starting` are killed: nobody waits for their greeting.
    fn dismiss(&mut self, starting: &[usize]);
}

/// What the scheduler hears.
#[derive(Debug)]
pub enum Event {
    /// A worker has greeted.
    Ready {
        slot: usize,
        /// Its name in the database: host, process and device.
        worker: String,
        /// The cluster's number of its job.
        job: Option<String>,
    },
    CannotStart {
        slot: usize,
        error: WorkerError,
    },
    Progress {
        stage: usize,
        progress: Progress,
    },
    /// A slot has nothing more to do with its job, and still has its worker or not.
    Free {
        slot: usize,
        has_worker: bool,
    },
    /// The job of a stage has ended, and what it made is in the store.
    Ended {
        stage: usize,
        end: Box<JobEnd>,
    },
    /// A line for people.
    Note(String),
    Interrupt,
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
pub struct JobEnd {
    pub result: JobResult,
    pub wall_s: f64,
    /// Whether the log holds anything.
    pub has_log: bool,
    /// Last lines of the log, where the job did not succeed.
    pub log_tail: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub enum JobResult {
    /// The artefact is in the store.
    Done {
        manifest: Box<Manifest>,
        wall_s: f64,
        cpu_s: f64,
        peak_mib: f64,
    },
    Failed(Failure),
    /// The stage came to nothing, because this artefact that it reads is missing or damaged.
    Unreadable {
        key: StageKey,
        reason: String,
    },
    Lost {
        death: Death,
        error: String,
        /// Whether the system killed for want of memory meanwhile, or the log says so.
        out_of_memory: bool,
    },
}

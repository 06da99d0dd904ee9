//! A job as the orchestrator knows it, and the node that runs in it.

use super::super::spool::Report;
use crate::run::protocol::Progress;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A job: a task of an array.
pub struct Task {
    pub array: String,
    /// The scheduler's slot that its worker stands for.
    pub slot: Option<usize>,
    pub submitted: Instant,
    /// In Slurm's queue, when it was last asked.
    pub state: String,
    pub absences: u32,
    /// When its time limit is reached.
    pub until: Option<Instant>,
    pub node: Option<Node>,
    /// Nothing more comes of the node.
    pub over: bool,
    /// Restarts of the job before the last node that is no more.
    pub ended: Option<u32>,
}

/// What runs in a job, and how far it is.
pub struct Node {
    pub folder: PathBuf,
    pub restarts: u32,
    pub found: Instant,
    pub report: Report,
    /// When the report's count changed last, or could not.
    pub heard: Instant,
    pub look_at: Instant,
    pub pause: Duration,
    /// Number of the last order.
    pub order: u64,
    pub running: Option<Running>,
    /// The progress that the scheduler has heard of.
    pub told: Option<Progress>,
}

/// The stage that was handed to a node.
pub struct Running {
    pub stage: usize,
    pub since: Instant,
    pub log: PathBuf,
    pub checkpoint: PathBuf,
}

impl Task {
    /// A job that waits.
    pub fn submitted(array: &str) -> Self {
        Self {
            array: array.to_owned(),
            slot: None,
            submitted: Instant::now(),
            state: "PD".to_owned(),
            absences: 0,
            until: None,
            node: None,
            over: false,
            ended: None,
        }
    }

    /// Whether its node runs a stage.
    pub fn runs(&self) -> bool {
        self.node.as_ref().is_some_and(|node| node.running.is_some())
    }

    /// Whether its node has given no sign of life for so long.
    pub fn silent_for(&self, stall: Duration) -> bool {
        self.node.as_ref().is_some_and(|node| node.heard.elapsed() > stall)
    }
}

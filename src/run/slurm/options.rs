//! What a sweep asks of Slurm.

use std::path::PathBuf;
use std::time::Duration;

/// What starts the workers of a sweep.
#[derive(Clone, Debug, Default)]
pub enum Launcher {
    /// This process, on this machine.
    #[default]
    Local,
    Slurm(Options),
}

/// How the workers are submitted.
#[derive(Clone, Debug)]
pub struct Options {
    /// The database that the results go to, absolute: whose sweep this is.
    pub database: PathBuf,
    /// Arguments of sbatch: `--partition=gpu`, `--time=2:00:00`, …
    pub requests: Vec<String>,
    /// A job without work for so long ends.
    pub idle: Duration,
    /// A job whose orchestrator has given no sign of life for so long ends.
    pub orphaned: Duration,
}

impl Launcher {
    /// As the database records it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Slurm(_) => "slurm",
        }
    }

    /// Whether all workers share the cores and the memory of one machine.
    pub const fn shares_machine(&self) -> bool {
        matches!(self, Self::Local)
    }

    /// The number of the Slurm job that this process runs in, where it submits others.
    pub fn own_job(&self) -> Option<String> {
        match self {
            Self::Local => None,
            Self::Slurm(_) => std::env::var("SLURM_JOB_ID").ok(),
        }
    }
}

//! `advrec node`: what the Slurm jobs of a sweep run. Not for people.

use super::{BadInput, exit};
use crate::run::slurm::{self, NodeError};
use std::path::PathBuf;

/// Arguments of `advrec node`.
#[derive(clap::Args)]
pub struct Args {
    /// The folder by which the sweep and its jobs talk
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    match slurm::serve(&args.spool) {
        Ok(()) => Ok(exit::DONE),
        Err(error @ NodeError::NotAJob) => Err(BadInput(error.to_string()).into()),
        Err(error) => Err(error.into()),
    }
}

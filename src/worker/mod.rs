//! The worker program: serves the stages that need libtorch.

use crate::run::{Failure, Job, Progress, serve};
use std::process::ExitCode;

/// Serves jobs over standard input and output until the orchestrator is done.
pub fn main() -> ExitCode {
    let execute = |job: &Job, _report: &mut dyn FnMut(Progress)| {
        Err(Failure::new(format!("this worker cannot run a {} stage", job.stage.kind)))
    };
    match serve::serve(serve::hello(), execute) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `advrec bench --overhead`: what a sweep costs beside the work of its stages.

use super::bench::{Figure, Scratch};
use super::{Output, exit};
use anyhow::Context as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Stages that are run.
const STAGES: u64 = 2_000;
/// Stages of a finished sweep that is run again.
const FINISHED: u64 = 10_000;

/// Measures with so many workers (by default two); returns the exit code.
pub fn run(jobs: Option<usize>, output: Output) -> anyhow::Result<u8> {
    let jobs = jobs.unwrap_or(2);
    let folder = Scratch::new()?;
    if output == Output::Human {
        writeln!(io::stdout(), "stages that do nothing, {jobs} workers")?;
    }
    let seconds = sweep(&folder.0, "run", STAGES, jobs)?;
    Figure::new("sweep, each stage new", STAGES, "stages", seconds).print(output)?;
    sweep(&folder.0, "finished", FINISHED, jobs)?;
    let seconds = sweep(&folder.0, "finished", FINISHED, jobs)?;
    Figure::new("the same sweep again, all done", FINISHED, "stages", seconds).print(output)?;
    Ok(exit::DONE)
}

/// Seconds of a whole sweep, from the start of the program to its end.
fn sweep(folder: &Path, name: &str, stages: u64, jobs: usize) -> anyhow::Result<f64> {
    let program = std::env::current_exe().context("could not find the running program")?;
    let start = Instant::now();
    let output = Command::new(program)
        .args(["sweep", "--noop", &stages.to_string(), "--jobs", &jobs.to_string()])
        .arg("--db")
        .arg(folder.join(format!("{name}.db")))
        .arg("--store")
        .arg(folder.join(name))
        .env_remove("ADVREC_WORKER")
        .stdin(Stdio::null())
        .output()
        .context("could not start another advrec")?;
    let seconds = start.elapsed().as_secs_f64();
    anyhow::ensure!(
        output.status.success(),
        "a sweep of stages that do nothing failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(seconds)
}

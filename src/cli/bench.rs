//! `advrec bench`: the program's speed on this machine.

use super::{Context, Output, exit, sources};
use crate::run::{self, WorkerCommand};
use anyhow::Context as _;
use serde_json::Value;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Arguments of `advrec bench`.
#[derive(clap::Args)]
pub struct Args {
    /// The dataset to measure on
    #[arg(long, default_value = "embedded", value_name = "NAME")]
    dataset: String,
    /// Where folders of datasets in PGPR's format are
    #[arg(long, value_name = "DIR")]
    data_root: Option<PathBuf>,
    /// How many users the beam searches walk for, if the dataset has so many
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    users: u32,
    /// How many cores to keep busy [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Measure on this GPU instead of the CPU
    #[arg(long, value_name = "INDEX")]
    gpu: Option<u32>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let found = sources::find(&args.dataset, args.data_root.as_deref(), context)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or(cores, usize::from);
    let worker = WorkerCommand::find()?;
    // A measurement leaves nothing behind, neither a database nor artefacts.
    let folder = Scratch::new()?;
    found.load(context)?.save(&folder.0)?;
    let visible = args.gpu.map_or_else(String::new, |gpu| gpu.to_string());
    let mut child = Command::new(&worker.program)
        .args(&worker.args)
        .arg("--bench")
        .arg(&folder.0)
        .arg(args.users.to_string())
        .envs(run::environment(threads, &visible))
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start the worker; try `advrec doctor`")?;
    let output = child.stdout.take().context("the worker has no standard output")?;
    if context.output == Output::Human {
        writeln!(io::stdout(), "dataset {}, {threads} of {cores} cores", args.dataset)?;
    }
    for line in BufReader::new(output).lines() {
        let line = line?;
        match context.output {
            Output::Json => writeln!(io::stdout(), "{line}")?,
            Output::Human => {
                let figure: Value = serde_json::from_str(&line)?;
                writeln!(
                    io::stdout(),
                    "{:<32} {:>9} {:<11} in {:>8.2} s  {:>10.0} a second",
                    figure["what"].as_str().unwrap_or_default(),
                    figure["count"],
                    figure["unit"].as_str().unwrap_or_default(),
                    figure["seconds"].as_f64().unwrap_or_default(),
                    figure["per_second"].as_f64().unwrap_or_default(),
                )?;
            }
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(
        status.success(),
        "the worker ended with {status}; `advrec doctor` says whether it can be used"
    );
    Ok(exit::DONE)
}

/// A folder among the system's temporary ones, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("advrec-bench-{}", std::process::id()));
        fs::create_dir(&path)
            .with_context(|| format!("could not make the folder {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If it stays, it only takes room.
        let _ = fs::remove_dir_all(&self.0);
    }
}

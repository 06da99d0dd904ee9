//! `advrec bench`: the program's speed on this machine.

use super::{Context, Output, exit, sources};
use crate::plan::StageKind;
use crate::run::{self, WorkerCommand};
use crate::store::ArtefactStore;
use anyhow::Context as _;
use serde_json::Value;
use std::io::{BufRead, BufReader};
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
    /// How many users the beam searches walk for
    #[arg(long, default_value_t = 1000, value_name = "N")]
    users: u32,
    /// Cores to keep busy; all of them unless said
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Measure on this GPU instead of the CPU
    #[arg(long, value_name = "INDEX")]
    gpu: Option<u32>,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    let key = sources::dataset(&args.dataset, args.data_root.as_deref(), context)?;
    let store = ArtefactStore::open(&context.store)?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores);
    let worker = WorkerCommand::find()?;
    let visible = args.gpu.map_or_else(String::new, |gpu| gpu.to_string());
    let mut child = Command::new(&worker.program)
        .args(&worker.args)
        .arg("--bench")
        .arg(store.path(StageKind::Dataset, &key))
        .arg(args.users.to_string())
        .envs(run::environment(threads, &visible))
        .stdout(Stdio::piped())
        .spawn()
        .context("could not start the worker; try `advrec doctor`")?;
    let output = child.stdout.take().context("the worker has no standard output")?;
    if context.output == Output::Human {
        println!("dataset {}, {threads} of {cores} cores", args.dataset);
    }
    for line in BufReader::new(output).lines() {
        let line = line?;
        match context.output {
            Output::Json => println!("{line}"),
            Output::Human => {
                let figure: Value = serde_json::from_str(&line)?;
                println!(
                    "{:<32} {:>9} {:<11} in {:>8.2} s  {:>10.0} a second",
                    figure["what"].as_str().unwrap_or_default(),
                    figure["count"],
                    figure["unit"].as_str().unwrap_or_default(),
                    figure["seconds"].as_f64().unwrap_or_default(),
                    figure["per_second"].as_f64().unwrap_or_default(),
                );
            }
        }
    }
    let status = child.wait()?;
    anyhow::ensure!(status.success(), "the worker ended with {status}");
    Ok(exit::DONE)
}

//! `advrec bench`: the program's speed on this machine.

use super::{Context, Output, exit, sources};
use crate::run::{self, WorkerCommand};
use anyhow::Context as _;
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
    /// Measure what a sweep costs beside its stages' work, with stages that do nothing
    #[arg(long, conflicts_with_all = ["dataset", "users", "gpu"])]
    overhead: bool,
    /// Measure how long a grid of 100,000 cells takes to expand and plan, and the memory for it
    #[arg(long, conflicts_with_all = ["dataset", "users", "gpu", "overhead", "threads"])]
    grid: bool,
}

/// Something that was measured.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Figure {
    pub what: String,
    pub count: u64,
    pub unit: String,
    pub seconds: f64,
    pub per_second: f64,
}

impl Figure {
    pub(super) fn new(what: &str, count: u64, unit: &str, seconds: f64) -> Self {
        let per_second = count as f64 / seconds;
        Self { what: what.to_owned(), count, unit: unit.to_owned(), seconds, per_second }
    }

    /// Prints the figure as a line.
    pub(super) fn print(&self, output: Output) -> anyhow::Result<()> {
        let Self { what, count, unit, seconds, per_second } = self;
        match output {
            Output::Json => writeln!(io::stdout(), "{}", serde_json::to_string(self)?)?,
            Output::Human => writeln!(
                io::stdout(),
                "{what:<32} {count:>9} {unit:<11} in {seconds:>8.2} s  {per_second:>10.0} a second"
            )?,
        }
        Ok(())
    }
}

/// Runs the command; returns the exit code.
pub fn run(args: Args, context: &Context) -> anyhow::Result<u8> {
    if args.grid {
        return super::bench_grid::run(context.output);
    }
    if args.overhead {
        return super::bench_overhead::run(args.threads.map(usize::from), context.output);
    }
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
        serde_json::from_str::<Figure>(&line)?.print(context.output)?;
    }
    let status = child.wait()?;
    anyhow::ensure!(
        status.success(),
        "the worker ended with {status}; `advrec doctor` says whether it can be used"
    );
    Ok(exit::DONE)
}

/// A folder among the system's temporary ones, removed in the end.
pub(super) struct Scratch(pub PathBuf);

impl Scratch {
    pub(super) fn new() -> anyhow::Result<Self> {
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

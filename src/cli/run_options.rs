//! How stages are run: the options that `sweep` and `rerun` share.

use super::limits::LimitArgs;
use super::slurm::SlurmArgs;
use super::{BadInput, Context};
use crate::run::slurm::Launcher;
use crate::run::{Devices, Limits, Settings, WorkerCommand};
use std::path::PathBuf;
use std::time::Duration;

/// Options of every command that runs a grid's stages.
#[derive(clap::Args)]
pub struct RunOptions {
    /// Where the folders of datasets in PGPR's format are that the grid names and nobody has imported
    #[arg(long, value_name = "DIR")]
    pub data_root: Option<PathBuf>,
    /// How many stages run at a time [default: one a core, or one a GPU]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Where stages run: cpu, cuda (all GPUs), or a list such as cuda:0,1
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
    /// Start nothing more after the first stage that fails
    #[arg(long)]
    fail_fast: bool,
    /// A shell command to run when the sweep has ended in whatever way, at most 60 s; ADVREC_SUMMARY,
    /// ADVREC_ENDING, ADVREC_EXIT_CODE, ADVREC_GRID, ADVREC_CELLS_DONE, ADVREC_CELLS, ADVREC_FAILED and
    /// ADVREC_DB tell it how
    #[arg(long, value_name = "COMMAND")]
    pub on_finish: Option<String>,
    /// Another order among the stages that are ready, which must not change any number
    #[arg(long, hide = true, value_name = "N")]
    order_seed: Option<u64>,
    /// How many workers share each GPU
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs_per_gpu: u16,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    pub slurm: SlurmArgs,
}

impl RunOptions {
    /// The settings that the options ask for, with the worker program that `find` finds.
    ///
    /// # Errors
    /// If there are no such devices, if Slurm would not take the jobs, and those of `find`.
    pub fn settings(
        &self,
        context: &Context,
        find: impl FnOnce() -> anyhow::Result<WorkerCommand>,
    ) -> anyhow::Result<Settings> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let of_this_machine = [
            ("--jobs", self.jobs.is_some(), "--max-jobs"),
            ("--device", self.device != "cpu", "--gres, such as --gres gpu:1"),
            ("--jobs-per-gpu", self.jobs_per_gpu != 1, "--gres, such as --gres shard:1"),
        ];
        let given = of_this_machine.iter().find(|(_, given, _)| *given && self.slurm.is_asked());
        if let Some((option, _, instead)) = given {
            return Err(BadInput(format!(
                "{option} is for workers of this machine; with --launcher slurm use {instead}"
            ))
            .into());
        }
        let devices: Devices = self.device.parse().map_err(bad_input)?;
        let (jobs, per_gpu) = (self.jobs.map(usize::from), usize::from(self.jobs_per_gpu));
        let slots = devices.slots(jobs, per_gpu, cores).map_err(bad_input)?;
        let mut settings = Settings {
            launcher: Launcher::Local,
            slots,
            cores,
            worker: find()?,
            fail_fast: self.fail_fast,
            order_seed: self.order_seed,
            grace: self.limits.grace(),
            limits: self.limits.limits(),
            arguments: arguments(),
        };
        self.slurm.apply(&mut settings, context)?;
        Ok(settings)
    }
}

/// Settings for a plan that no grid asks for: on the CPU, one worker with all cores.
///
/// # Errors
/// If there is no worker program.
pub fn plain_settings() -> anyhow::Result<Settings> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Settings {
        launcher: Launcher::Local,
        slots: Devices::Cpu.slots(Some(1), 1, cores).map_err(bad_input)?,
        cores,
        worker: WorkerCommand::find()?,
        fail_fast: true,
        order_seed: None,
        grace: Duration::from_secs(10),
        limits: Limits::default(),
        arguments: arguments(),
    })
}

/// The command line after the program's name.
fn arguments() -> Vec<String> {
    std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect()
}

fn bad_input(error: impl std::fmt::Display) -> anyhow::Error {
    BadInput(error.to_string()).into()
}

//! `advrec sweep --launcher slurm`: what it asks of Slurm, and the orchestrator as a job of its own.

use super::{BadInput, Context, exit};
use crate::run::device::Slot;
use crate::run::slurm::{Detached, Launcher, Options, Submission, check_requests, quoted};
use crate::run::{Settings, WorkerError};
use anyhow::Context as _;
use clap::ValueEnum;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const HEADING: &str = "Slurm";
/// How many jobs run at a time where nobody says.
const MAX_JOBS: u16 = 10;
/// A job ends when its orchestrator has been silent for so long.
const ORPHANED: Duration = Duration::from_secs(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LauncherName {
    Local,
    Slurm,
}

/// Options of what starts the workers.
#[derive(clap::Args)]
pub struct SlurmArgs {
    /// What starts the workers: this process, or jobs of Slurm (docs/slurm.md)
    #[arg(long, value_enum, default_value = "local", help_heading = HEADING)]
    launcher: LauncherName,
    /// The jobs' partition
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    partition: Option<String>,
    /// What each job gets beside cores and memory, such as gpu:1
    #[arg(long, value_name = "LIST", help_heading = HEADING)]
    gres: Option<String>,
    /// The time limit of each job, such as 2:00:00; more are submitted while there is work
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    time: Option<String>,
    /// How many jobs run at a time, a stage each [default: 10]
    #[arg(long, value_name = "N", help_heading = HEADING, value_parser = clap::value_parser!(u16).range(1..))]
    max_jobs: Option<u16>,
    /// Cores of each job
    #[arg(long, value_name = "N", help_heading = HEADING, value_parser = clap::value_parser!(u16).range(1..))]
    cpus_per_task: Option<u16>,
    /// Memory of each job, such as 8G
    #[arg(long, value_name = "SIZE", help_heading = HEADING)]
    mem: Option<String>,
    /// The account that the jobs are charged to
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    account: Option<String>,
    /// The jobs' quality of service
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    qos: Option<String>,
    /// Features that the jobs' machines must have
    #[arg(long, value_name = "LIST", help_heading = HEADING)]
    constraint: Option<String>,
    /// Any other option of sbatch for the jobs, after `=`; may be repeated
    #[arg(long, value_name = "OPTION", help_heading = HEADING, allow_hyphen_values = true)]
    sbatch_arg: Vec<String>,
    /// Seconds without work after which a job ends [default: 60]
    #[arg(long, value_name = "SECONDS", help_heading = HEADING, value_parser = clap::value_parser!(u32).range(1..))]
    idle: Option<u32>,
    /// Run the orchestrator itself as a job, and return at once
    #[arg(long, help_heading = HEADING)]
    pub detach: bool,
    /// The time limit of the orchestrator's job; it begins again when that is reached
    #[arg(long, value_name = "TIME", help_heading = HEADING, requires = "detach")]
    orchestrator_time: Option<String>,
    /// Any other option of sbatch for the orchestrator's job, after `=`; may be repeated
    #[arg(long, value_name = "OPTION", help_heading = HEADING, requires = "detach", allow_hyphen_values = true)]
    orchestrator_arg: Vec<String>,
}

impl SlurmArgs {
    /// Whether workers are to be jobs of Slurm.
    pub fn is_asked(&self) -> bool {
        self.launcher == LauncherName::Slurm
    }

    /// Puts what they say into the settings of a sweep. Asks Slurm whether it would take the jobs.
    ///
    /// # Errors
    /// If Slurm would not, or they make no sense without it.
    pub fn apply(&self, settings: &mut Settings, context: &Context) -> anyhow::Result<()> {
        let requests = self.requests();
        if self.launcher == LauncherName::Local {
            let alone = self.max_jobs.is_some() || self.idle.is_some() || self.detach;
            return match requests.first() {
                None if !alone => Ok(()),
                _ => Err(BadInput(
                    "options of Slurm need --launcher slurm; without it stages run here".to_owned(),
                )
                .into()),
            };
        }
        let cores = self.cpus_per_task.map_or(1, usize::from);
        let jobs = usize::from(self.max_jobs.unwrap_or(MAX_JOBS));
        let slot = |index| Slot { index, visible: String::new(), threads: cores };
        settings.slots = (0..jobs).map(slot).collect();
        settings.cores = jobs * cores;
        settings.worker.program = std::path::absolute(&settings.worker.program)?;
        check_requests(&requests).map_err(WorkerError::Slurm)?;
        Submission {
            name: "advrec",
            array: Some(jobs),
            logs: &std::env::temp_dir(),
            log: "slurm-%A_%a.log",
            signal: crate::run::slurm::WARNING,
            requests: &requests,
            script: "#!/bin/sh\n",
        }
        .test()
        .map_err(WorkerError::Slurm)?;
        settings.launcher = Launcher::Slurm(Options {
            database: std::path::absolute(&context.db)?,
            requests,
            idle: Duration::from_secs(self.idle.unwrap_or(60).into()),
            orphaned: ORPHANED,
        });
        Ok(())
    }

    fn requests(&self) -> Vec<String> {
        let cores = self.cpus_per_task.map(|n| n.to_string());
        let named = [
            ("partition", &self.partition),
            ("gres", &self.gres),
            ("time", &self.time),
            ("cpus-per-task", &cores),
            ("mem", &self.mem),
            ("account", &self.account),
            ("qos", &self.qos),
            ("constraint", &self.constraint),
        ];
        let value = |(name, value): (&str, &Option<String>)| {
            value.as_ref().map(|value| format!("--{name}={value}"))
        };
        named.into_iter().filter_map(value).chain(self.sbatch_arg.iter().cloned()).collect()
    }

    /// Submits this very command, without `--detach`, as a job.
    ///
    /// # Errors
    /// If Slurm does not take it.
    pub fn submit_orchestrator(&self, context: &Context) -> anyhow::Result<u8> {
        let store = std::path::absolute(&context.store)?;
        let database = std::path::absolute(&context.db)?;
        let logs = store.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("could not make {}", logs.display()))?;
        let value = |name: &str, value: &Option<String>| {
            value.as_ref().map(|value| format!("--{name}={value}"))
        };
        let requests: Vec<String> = [
            value("partition", &self.partition),
            value("account", &self.account),
            value("qos", &self.qos),
            value("time", &self.orchestrator_time),
        ]
        .into_iter()
        .flatten()
        .chain(self.orchestrator_arg.iter().cloned())
        .collect();
        check_requests(&requests).map_err(WorkerError::Slurm)?;
        let stem = context.db.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = format!("advrec-{}-orchestrator", crate::run::slurm::plain(&stem));
        let program = std::env::current_exe().context("could not find the running program")?;
        let job = Submission {
            name: &name,
            array: None,
            logs: &logs,
            log: "orchestrator-%j.log",
            // The shell hears it, stops the sweep and begins anew.
            signal: "B:USR1@120",
            requests: &requests,
            script: &script(&program),
        }
        .submit()
        .map_err(WorkerError::Slurm)?;
        Detached { job: job.clone(), name, database }.record(&store).with_context(|| {
            format!("could not write below {}; `scancel {job}` cancels the sweep", store.display())
        })?;
        writeln!(io::stdout(), "{job}")?;
        let [db, store] = [&context.db, &context.store].map(|p| quoted(&p.display().to_string()));
        tell!(
            "the orchestrator is Slurm job {job}; its log: {store}/logs/orchestrator-{job}.log\n\
             `advrec watch --db {db}` shows how far it is, `advrec cancel --db {db} --store {store}` stops it"
        );
        Ok(exit::DONE)
    }
}

/// Runs the arguments of this process. A signal before the time limit stops the sweep in good order, and
/// the job begins again; the signal of scancel reaches the sweep by itself.
fn script(program: &Path) -> String {
    let arguments = std::env::args_os().skip(1).filter(|arg| arg != "--detach");
    let words = [PathBuf::from(program).into_os_string()].into_iter().chain(arguments);
    let words: Vec<String> = words.map(|word| quoted(&word.to_string_lossy())).collect();
    // Whether sbatch passes the environment on is the cluster's choice and the user's.
    let exports: String = std::env::vars()
        .filter(|(name, _)| name.starts_with("ADVREC_"))
        .map(|(name, value)| format!("export {name}={}\n", quoted(&value)))
        .collect();
    format!(
        "#!/bin/sh\n{exports}\
         again=\n\
         trap 'again=yes; kill -TERM \"$sweep\"' USR1\n\
         trap : TERM\n\
         {} &\n\
         sweep=$!\n\
         wait \"$sweep\"\n\
         code=$?\n\
         while kill -0 \"$sweep\" 2>/dev/null; do wait \"$sweep\"; code=$?; done\n\
         [ -z \"$again\" ] || scontrol requeue \"$SLURM_JOB_ID\"\n\
         exit \"$code\"\n",
        words.join(" ")
    )
}

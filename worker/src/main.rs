//! The worker program: serves the stages of a sweep to the orchestrator, one at a time.

use advrec::plan::Findings;
use advrec::run::{Failure, Hello, Job, Progress, device, serve};
use advrec::store::checkpoint;
use advrec_worker::work::{StageError, Work};
use advrec_worker::{bench, libtorch, stages};
use rayon::ThreadPoolBuilder;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Serves jobs over standard input and output until the orchestrator is done; with `--probe` or
/// `--bench` answers `advrec doctor` and `advrec bench` instead.
fn main() -> ExitCode {
    // Cores are used across batches; one thread a matrix product makes its bits repeatable.
    tch::set_num_threads(1);
    tch::set_num_interop_threads(1);
    // Standard error is the log of the running stage.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_env_filter(
            EnvFilter::try_from_env("ADVREC_LOG").unwrap_or_else(|_| EnvFilter::new("info")),
        )
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        [] => serve(),
        ["--probe"] => {
            println!("{}", libtorch::probe());
            Ok(())
        }
        ["--bench", dataset, users] => run_bench(dataset, users),
        _ => Err("advrec-worker is started by advrec; see `advrec --help`".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), String> {
    let keep_every = checkpoint_interval()?;
    serve::serve(hello(), |job, report| execute(job, keep_every, report)).map_err(|e| e.to_string())
}

/// Environment variable with the seconds after which a training is kept anew; 0 for every epoch. For
/// tests, and for file systems to which a checkpoint is much.
const CHECKPOINT_SECONDS: &str = "ADVREC_CHECKPOINT_SECONDS";

fn checkpoint_interval() -> Result<Duration, String> {
    let Some(text) = std::env::var_os(CHECKPOINT_SECONDS).filter(|text| !text.is_empty()) else {
        return Ok(checkpoint::INTERVAL);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    let interval = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    interval
        .ok_or_else(|| format!("{CHECKPOINT_SECONDS} is {text:?}; it must be seconds, 0 or more"))
}

fn hello() -> Hello {
    let mut hello = serve::hello();
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let device = if visible.is_empty() { "cpu".to_owned() } else { format!("cuda:{visible}") };
    let cuda = if visible.is_empty() { None } else { libtorch::cuda_version() };
    for (name, value) in [
        ("libtorch", libtorch::version()),
        ("cuda", cuda),
        ("device", Some(device)),
        ("device_name", device::model(&visible)),
    ] {
        hello.details.insert(name.to_owned(), value.map_or(Value::Null, Value::from));
    }
    hello
}

fn execute(
    job: &Job,
    keep_every: Duration,
    report: &mut (dyn FnMut(Progress) + Send),
) -> Result<Findings, Failure> {
    let Job { stage, inputs, scratch, checkpoint, .. } = job;
    let work = Work { stage, inputs, scratch, checkpoint, keep_every };
    let mut progress = |done, total, note| report(Progress { done, total, note });
    // A stage that runs alone is given all cores.
    let pool = ThreadPoolBuilder::new().num_threads(job.threads).build();
    let result = match pool {
        Ok(pool) => pool.install(|| stages::execute(&work, &mut progress)),
        Err(error) => return Err(Failure::new(format!("could not start threads: {error}"))),
    };
    result.map_err(|error| match error {
        StageError::Stopped => Failure::stopped(),
        error => Failure::from_error(&error),
    })
}

fn run_bench(dataset: &str, users: &str) -> Result<(), String> {
    let users = users.parse().map_err(|e| format!("number of users {users:?}: {e}"))?;
    bench::run(Path::new(dataset), users, &mut |figure| {
        // Numbers and strings alone: JSON holds them.
        println!("{}", serde_json::to_string(figure).unwrap_or_default());
    })
    .map_err(|e| e.to_string())
}

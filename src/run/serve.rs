//! A worker's loop: reads jobs, runs them, measures them, answers. What a stage computes is handed
//! in, so that this file needs no libtorch.

use super::noop;
use super::protocol::{Failure, FromWorker, Hello, Job, Progress, ToWorker};
use crate::causes;
use crate::plan::{Findings, StageKind};
use serde_json::{Map, Value};
use std::any::Any;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

/// How often a worker says that it lives. Less than any sensible `--stall-after`.
const ALIVE_EVERY: Duration = Duration::from_secs(1);

/// Progress is for people: not more often than they can read.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

static STOP: AtomicBool = AtomicBool::new(false);
/// Whether a stage runs.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Whether the running stage was asked to stop. Long stages look now and then (between epochs,
/// between batches) and return [`Failure::stopped`]; one that does not look is killed after a while.
pub fn stop_requested() -> bool {
    STOP.load(Ordering::Relaxed)
}

/// Serves jobs until the orchestrator says `exit` or closes the pipe. `execute` runs a stage: it
/// reads the inputs, writes files into [`Job::scratch`], calls the function that it is given with
/// its progress, and returns the metrics. Noop stages are run here.
///
/// Standard output carries the protocol: from here on the process's own descriptor 1 leads to
/// standard error, and standard input is empty, so that native code which prints or reads does no
/// harm. Standard error goes to the log of the running job.
///
/// # Errors
/// If the pipes to the orchestrator break.
pub fn serve(
    hello: Hello,
    mut execute: impl FnMut(&Job, &mut (dyn FnMut(Progress) + Send)) -> Result<Findings, Failure>,
) -> io::Result<()> {
    let (input, output) = take_standard_streams()?;
    let output = Arc::new(Mutex::new(output));
    send(&output, &FromWorker::Hello(hello.clone()))?;
    let heart = output.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(ALIVE_EVERY);
            if BUSY.load(Ordering::Relaxed) && send(&heart, &FromWorker::Alive {}).is_err() {
                break;
            }
        }
    });
    let (sender, jobs) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(input).lines() {
            let Ok(line) = line else { break };
            match serde_json::from_str(&line) {
                Ok(ToWorker::Run(job)) => {
                    if sender.send(Ok(job)).is_err() {
                        break;
                    }
                }
                Ok(ToWorker::Exit {}) => break,
                Err(e) => {
                    // Nobody can be served who cannot be understood.
                    let _ = sender.send(Err(io::Error::other(format!("bad message: {e}"))));
                    break;
                }
            }
        }
        STOP.store(true, Ordering::Relaxed);
    });
    for job in jobs {
        let job = job?;
        BUSY.store(true, Ordering::Relaxed);
        let answer = run(&job, &hello, &mut execute, &output);
        BUSY.store(false, Ordering::Relaxed);
        send(&output, &answer)?;
    }
    Ok(())
}

fn run(
    job: &Job,
    hello: &Hello,
    execute: &mut impl FnMut(&Job, &mut (dyn FnMut(Progress) + Send)) -> Result<Findings, Failure>,
    output: &Mutex<File>,
) -> FromWorker {
    if let Err(e) = redirect_to_log(&job.log) {
        let failure = Failure::from_error(&e);
        let error = format!("could not write the log {}: {}", job.log.display(), failure.error);
        return FromWorker::Failed(Failure { error, ..failure });
    }
    let (kind, key) = (job.stage.kind, job.key.short());
    let params = Value::Object(job.stage.params.clone());
    tracing::info!(%kind, key, %params, threads = job.threads, "stage begins");
    let start = Instant::now();
    let cpu = cpu_s();
    reset_peak();
    let mut last: Option<Instant> = None;
    let mut report = |progress: Progress| {
        let due = last.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        let complete = progress.total > 0 && progress.done == progress.total;
        tracing::debug!(done = progress.done, total = progress.total, note = progress.note);
        if due || complete {
            last = Some(Instant::now());
            // A broken pipe shows when the answer is sent.
            let _ = send(output, &FromWorker::Progress(progress));
        }
    };
    let result = catch_unwind(AssertUnwindSafe(|| match job.stage.kind {
        StageKind::Noop => noop::execute(job, &mut report).map(Findings::from),
        _ => execute(job, &mut report),
    }));
    let findings = match result {
        Ok(Ok(findings)) => findings,
        Ok(Err(failure)) => return FromWorker::Failed(failure),
        Err(panic) => {
            let error = panic_message(&*panic);
            // libtorch's errors come as panics where a call has no other way to fail.
            let out_of_memory = causes::says_out_of_memory(&error);
            return FromWorker::Failed(Failure { out_of_memory, ..Failure::new(error) });
        }
    };
    if let Some(error) = fault(&findings) {
        return FromWorker::Failed(Failure::new(error));
    }
    let mut provenance = hello.details.clone();
    provenance.insert("version".to_owned(), hello.version.clone().into());
    provenance.insert("threads".to_owned(), job.threads.into());
    FromWorker::Done {
        findings,
        provenance,
        wall_s: start.elapsed().as_secs_f64(),
        cpu_s: cpu_s() - cpu,
        peak_mib: peak_mib(),
    }
}

/// Why findings cannot be stored.
fn fault(findings: &Findings) -> Option<String> {
    let mut seen = BTreeSet::new();
    for m in &findings.metrics {
        if [Some(m.value), m.lower, m.upper].into_iter().flatten().any(|v| !v.is_finite()) {
            return Some(format!("metric {}/{} is not finite: {}", m.name, m.split, m.value));
        }
        if !seen.insert((&m.name, &m.split)) {
            return Some(format!("metric {}/{} is reported twice", m.name, m.split));
        }
    }
    let projection = findings.projection.as_ref();
    projection.is_some_and(|p| !p.is_finite()).then(|| "the projection is not finite".to_owned())
}

/// Details of a worker that every kind of worker knows of itself.
pub fn host_details() -> Map<String, Value> {
    Map::from_iter([
        ("host".to_owned(), Value::from(crate::store::lock::host())),
        ("os".to_owned(), Value::from(std::env::consts::OS)),
        ("arch".to_owned(), Value::from(std::env::consts::ARCH)),
        ("git_commit".to_owned(), Value::from(env!("ADVREC_GIT_COMMIT"))),
        ("git_dirty".to_owned(), Value::from(env!("ADVREC_GIT_DIRTY") == "true")),
    ])
}

/// A greeting without anything of libtorch.
pub fn hello() -> Hello {
    Hello { version: env!("CARGO_PKG_VERSION").to_owned(), details: host_details() }
}

fn send(output: &Mutex<File>, message: &FromWorker) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    output.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line)
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    format!("the stage panicked: {text}")
}

/// Moves the protocol off descriptors 0 and 1.
fn take_standard_streams() -> io::Result<(File, File)> {
    let input = duplicate(libc::STDIN_FILENO)?;
    let output = duplicate(libc::STDOUT_FILENO)?;
    replace(&File::open("/dev/null")?, libc::STDIN_FILENO)?;
    // SAFETY: descriptor 2 is open for the whole life of the process.
    if unsafe { libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((input, output))
}

fn redirect_to_log(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let log = OpenOptions::new().create(true).append(true).open(path)?;
    replace(&log, libc::STDERR_FILENO)?;
    replace(&log, libc::STDOUT_FILENO)
}

/// A second descriptor for the same stream, closed in programs that this one starts.
fn duplicate(fd: RawFd) -> io::Result<File> {
    // SAFETY: fcntl touches no memory; the new descriptor has no other owner.
    unsafe {
        match libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) {
            -1 => Err(io::Error::last_os_error()),
            copy => Ok(File::from_raw_fd(copy)),
        }
    }
}

fn replace(file: &File, fd: RawFd) -> io::Result<()> {
    // SAFETY: dup2 touches no memory; `file` is open.
    match unsafe { libc::dup2(file.as_raw_fd(), fd) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Processor time of all threads so far.
fn cpu_s() -> f64 {
    let usage = usage();
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 * 1e-6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

fn usage() -> libc::rusage {
    // SAFETY: rusage is plain numbers, for which zero is a value, and getrusage writes one.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}

/// Starts a new measurement of the largest resident memory. Where the system does not let us, the
/// figure is the largest since the worker began.
fn reset_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

pub(crate) fn peak_mib() -> f64 {
    let high_water = fs::read_to_string("/proc/self/status").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
    });
    high_water.unwrap_or_else(|| usage().ru_maxrss as f64) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Cloud, Metric, Projection};

    #[test]
    fn metrics_that_cannot_be_stored_are_found() {
        let metric = |split, value| Metric::new("ndcg", split, value, 1);
        let fault = |metrics: &[Metric]| fault(&metrics.to_vec().into());
        assert_eq!(fault(&[metric("valid", 1.0), metric("all_users", 1.0)]), None);
        let twice = fault(&[metric("valid", 1.0), metric("valid", 2.0)]);
        insta::assert_snapshot!(twice.unwrap(), @"metric ndcg/valid is reported twice");
        let mut wide = metric("valid", 1.0);
        wide.upper = Some(f64::INFINITY);
        assert!(fault(&[wide]).is_some());
    }

    #[test]
    fn a_projection_that_cannot_be_stored_is_found() {
        let with = |number: f64| {
            let cloud = |x| Cloud { sequences: 1, points: vec![[x, 0.0]] };
            let projection =
                Projection { shares: [1.0, 0.0], rollout: cloud(1.0), other: cloud(number) };
            fault(&Findings { metrics: Vec::new(), projection: Some(projection) })
        };
        assert_eq!(with(2.0), None);
        assert!(with(f64::NAN).is_some());
    }

    #[test]
    fn the_figures_of_this_process_are_plausible() {
        reset_peak();
        let peak = peak_mib();
        assert!(peak > 1.0 && peak < 100_000.0, "{peak} MiB");
        assert!(cpu_s() > 0.0);
    }
}

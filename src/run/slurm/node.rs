//! What runs in a Slurm job: a node, which has one worker and gives it the orchestrator's orders.

use super::spool::{self, Order, Report, Spool, Sweep};
use crate::causes;
use crate::run::crew::{Crew, Event, JobResult};
use crate::run::device::Slot;
use crate::run::interrupt::Interrupts;
use crate::run::local::LocalCrew;
use crate::run::protocol::Failure;
use crate::store::{ArtefactError, ArtefactStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};
use thiserror::Error;

/// How often a node says that it lives.
const BEAT: Duration = Duration::from_secs(2);
/// How often it looks whether the sweep goes on, and tells how far a stage is.
const LOOK: Duration = Duration::from_secs(1);
/// How long the first order is waited for at least: a network file system may show a new node late.
const FIRST_ORDER: Duration = Duration::from_secs(120);
/// After so long without a turn (the file server let it wait) nothing is concluded from silence.
const HELD_UP: Duration = Duration::from_secs(10);
/// Between two looks for an order: short after a stage, longer while there is none.
const EAGER: Duration = Duration::from_millis(10);

/// Why there is no node.
#[derive(Debug, Error)]
pub enum NodeError {
    #[error(
        "`advrec node` is run by the Slurm jobs of a sweep; see `advrec sweep --launcher slurm`"
    )]
    NotAJob,
    #[error("could not use the folder {folder} of the sweep: {source}", folder = folder.display())]
    Spool { folder: PathBuf, source: io::Error },
    #[error(transparent)]
    Store(#[from] ArtefactError),
    #[error("could not listen for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("{0}")]
    Worker(String),
}

/// Serves the sweep whose spool is in `folder` until there is nothing more to do, the sweep is over, or
/// Slurm ends the job. The stage that runs then is asked to stop.
///
/// # Errors
/// If this is no Slurm job, or the spool, the store or the worker is of no use.
pub fn serve(folder: &Path) -> Result<(), NodeError> {
    let (job, restarts) = own_job().ok_or(NodeError::NotAJob)?;
    let spool = Spool::at(folder);
    let io = |source| NodeError::Spool { folder: folder.to_owned(), source };
    let sweep = spool::read::<Sweep>(&spool.sweep()).map_err(io)?;
    let Some(sweep) = sweep.filter(|sweep| !sweep.leave) else {
        eprintln!("the sweep is over");
        return Ok(());
    };
    let folder = spool.node(&job, restarts);
    match std::fs::create_dir(&folder) {
        // The spool is going, and must not be made again.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            eprintln!("the sweep is over");
            return Ok(());
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    // Another machine sees at once that a file was replaced, but perhaps late that there is one.
    spool::write(&spool::order(&folder), &Order::default()).map_err(io)?;
    spool::write(&spool::report(&folder), &Report::default()).map_err(io)?;
    let (sender, events) = channel();
    let for_signals = sender.clone();
    let _interrupts = Interrupts::listen(move || {
        // Without a listener the node is about to end.
        let _ = for_signals.send(Event::Interrupt);
    })
    .map_err(NodeError::Signals)?;
    let store = ArtefactStore::open(&sweep.store)?;
    store.remove_left_over_scratch();
    let slot = Slot { index: 0, visible: devices(), threads: threads() };
    let mut node = Node {
        job,
        folder,
        spool,
        threads: slot.threads,
        crew: LocalCrew::new(&[slot], &sweep.worker, sweep.stall, &store, &sender),
        report: Report::default(),
        running: false,
        asked: false,
        due: true,
        written: Instant::now(),
        looked: Instant::now(),
        orchestrator: (sweep.alive, Instant::now()),
        idle: Instant::now(),
        pause: EAGER,
        sweep,
    };
    let ours = env!("CARGO_PKG_VERSION");
    if node.sweep.version == ours {
        node.crew.start(&[0]);
        node.work(&events);
        node.crew.dismiss(&[]);
    } else {
        let theirs = &node.sweep.version;
        node.report.cannot =
            Some(format!("its advrec is version {ours} and the orchestrator's is {theirs}"));
    }
    node.report.gone = true;
    node.write();
    node.report.cannot.map_or(Ok(()), |error| Err(NodeError::Worker(error)))
}

/// The job as squeue names it, and how often Slurm has restarted it.
fn own_job() -> Option<(String, u32)> {
    let value = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let job = match (value("SLURM_ARRAY_JOB_ID"), value("SLURM_ARRAY_TASK_ID")) {
        (Some(array), Some(task)) => format!("{array}_{task}"),
        _ => value("SLURM_JOB_ID")?,
    };
    let restarts = value("SLURM_RESTART_COUNT").and_then(|text| text.parse().ok()).unwrap_or(0);
    Some((job, restarts))
}

/// The GPUs that Slurm gave to the job.
fn devices() -> String {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    // What Slurm writes where a job has none.
    if visible == "NoDevFiles" { String::new() } else { visible }
}

fn threads() -> usize {
    let value = |name: &str| std::env::var(name).ok()?.parse::<usize>().ok();
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    value("SLURM_CPUS_PER_TASK")
        .or_else(|| value("SLURM_CPUS_ON_NODE"))
        .unwrap_or_else(cores)
        .max(1)
}

struct Node {
    job: String,
    folder: PathBuf,
    spool: Spool,
    sweep: Sweep,
    threads: usize,
    crew: LocalCrew,
    report: Report,
    /// Whether a stage runs.
    running: bool,
    /// Whether it was asked to stop.
    asked: bool,
    /// Whether the report is to be written at once.
    due: bool,
    written: Instant,
    looked: Instant,
    /// The orchestrator's count, and when it changed last.
    orchestrator: (u64, Instant),
    /// Since when no stage runs.
    idle: Instant,
    pause: Duration,
}

impl Node {
    fn work(&mut self, events: &Receiver<Event>) {
        loop {
            let beat = BEAT.saturating_sub(self.written.elapsed());
            let wait = if self.running { LOOK } else { self.pause };
            // Cannot be disconnected: the crew holds a sender.
            let first = events.recv_timeout(wait.min(beat)).ok();
            for event in first.into_iter().chain(events.try_iter()) {
                self.hear(event);
            }
            self.look_at_sweep();
            if self.report.leaving.is_none() && !self.running && self.report.worker.is_some() {
                self.look_for_orders();
            }
            if self.report.leaving.is_some() {
                if !self.running {
                    return;
                }
                if !self.asked {
                    self.asked = true;
                    self.crew.ask_to_stop();
                }
            }
            let tells = self.report.progress.is_some() && self.running;
            let age = self.written.elapsed();
            if self.due || age >= BEAT || (tells && age >= LOOK) {
                self.write();
            }
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Ready { worker, .. } => {
                self.report.worker = Some(worker);
                self.idle = Instant::now();
                self.due = true;
            }
            Event::CannotStart { error, .. } => {
                self.report.cannot = Some(causes::message(&error));
                self.leave("its worker cannot be started".to_owned());
            }
            Event::Progress { progress, .. } => self.report.progress = Some(progress),
            Event::Ended { end, .. } => {
                let mut end = *end;
                let unfinished =
                    matches!(&end.result, JobResult::Failed(_) | JobResult::Lost { .. });
                if let JobResult::Lost { .. } = end.result {
                    self.report.worker = None;
                }
                if let Some(reason) = &self.report.leaving
                    && unfinished
                {
                    // Not the stage's fault, whatever it said last.
                    let stopped = Failure { error: reason.clone(), ..Failure::stopped() };
                    end.result = JobResult::Failed(stopped);
                }
                self.report.end = Some(end);
                self.running = false;
                self.idle = Instant::now();
                self.pause = EAGER;
                self.due = true;
            }
            Event::Free { has_worker: false, .. } if self.report.leaving.is_none() => {
                self.report.worker = None;
                self.crew.start(&[0]);
            }
            Event::Free { .. } => {}
            Event::Note(text) => eprintln!("{text}"),
            Event::Interrupt => self.leave(format!(
                "its Slurm job {} was cancelled or preempted, or reaches its time limit",
                self.job
            )),
        }
    }

    fn leave(&mut self, reason: String) {
        if self.report.leaving.is_none() {
            eprintln!("leaving: {reason}");
            self.report.leaving = Some(reason);
            self.due = true;
        }
    }

    fn look_at_sweep(&mut self) {
        let since = self.looked.elapsed();
        if since < LOOK {
            return;
        }
        if since >= HELD_UP {
            self.orchestrator.1 = Instant::now();
        }
        self.looked = Instant::now();
        match spool::read::<Sweep>(&self.spool.sweep()) {
            Ok(Some(sweep)) if sweep.leave => self.leave("the sweep ends".to_owned()),
            Ok(Some(sweep)) if sweep.alive != self.orchestrator.0 => {
                self.orchestrator = (sweep.alive, Instant::now());
            }
            // It may be read again later.
            Ok(Some(_)) | Err(_) => {}
            Ok(None) => self.leave("the sweep is over".to_owned()),
        }
        let silence = self.orchestrator.1.elapsed();
        if silence >= self.sweep.orphaned {
            let seconds = silence.as_secs();
            self.leave(format!("the orchestrator has given no sign of life for {seconds} s"));
        }
        let first = if self.report.taken == 0 { FIRST_ORDER } else { Duration::ZERO };
        let idle = self.sweep.idle.max(first);
        if !self.running && self.report.worker.is_some() && self.idle.elapsed() >= idle {
            self.leave(format!("there was nothing to do for {} s", idle.as_secs()));
        }
    }

    fn look_for_orders(&mut self) {
        // One that cannot be read now may be readable later.
        let order: Option<Order> = spool::read(&spool::order(&self.folder)).ok().flatten();
        match order {
            Some(Order { number, job: Some(mut job) }) if number > self.report.taken => {
                job.threads = self.threads;
                (self.report.taken, self.running) = (number, true);
                (self.report.progress, self.report.end) = (None, None);
                self.crew.run(0, 0, *job);
            }
            _ => self.pause = (self.pause * 5 / 4).min(LOOK),
        }
    }

    fn write(&mut self) {
        self.report.alive += 1;
        self.written = Instant::now();
        match spool::write(&spool::report(&self.folder), &self.report) {
            Ok(()) => self.due = false,
            // The next beat tries again; where none gets through, the orchestrator takes the node for
            // lost.
            Err(error) => eprintln!("could not write in {}: {error}", self.folder.display()),
        }
    }
}

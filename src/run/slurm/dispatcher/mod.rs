//! The orchestrator's end of the spool: the dispatcher submits jobs, hands out stages, and hears what nodes
//! and Slurm say. One thread, so that all happens in one order.

mod queue;
mod reports;
mod submission;
mod task;
#[cfg(test)]
mod tests;

use super::absolute;
use super::commands::{self, Queued, SlurmError};
use super::spool::{self, Order, Report, Spool, Sweep, Wish};
use crate::causes;
use crate::run::crew::{Event, JobResult};
use crate::run::death::Death;
use crate::run::local::ended;
use crate::run::protocol::{Failure, Job};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use task::{Running, Task};

/// How often the orchestrator says that it lives, and looks for new nodes and wishes.
const BEAT: Duration = Duration::from_secs(1);
/// After so long without a turn (the file server or Slurm let it wait) nothing is concluded from silence.
const HELD_UP: Duration = Duration::from_secs(10);
/// Between two looks at a node: short after an order, longer while a stage runs.
const EAGER: Duration = Duration::from_millis(10);
/// How long nodes have to leave by themselves at the end.
const LEAVING: Duration = Duration::from_secs(5);

/// What the dispatcher hears from the scheduler and from Slurm.
pub(super) enum Message {
    Start(Vec<usize>),
    Run { slot: usize, stage: usize, job: Box<Job> },
    Stop,
    KillOne(usize),
    Kill,
    Dismiss,
    Queue { began: Instant, jobs: Result<Vec<Queued>, SlurmError> },
}

pub(super) struct Dispatcher {
    spool: Spool,
    sweep: Sweep,
    requests: Vec<String>,
    /// No more jobs than this are in Slurm's queue at a time.
    max_jobs: usize,
    events: Sender<Event>,
    /// All jobs that Slurm's queue may hold.
    tasks: BTreeMap<String, Task>,
    /// Slots that are promised a worker.
    waiting: VecDeque<usize>,
    ready: bool,
    stopping: bool,
    cancelled: bool,
    killed: bool,
    submitted_any: bool,
    /// Whether a worker was ever ready.
    any_ready: bool,
    submit_after: Option<Instant>,
    /// Arrays whose jobs ended before a worker greeted, since the last that did.
    failed_rounds: Vec<String>,
    refusals: u32,
    /// Why jobs wait, as far as people were told.
    reasons_told: BTreeSet<String>,
    /// Since when Slurm does not say what is in its queue, and whether people were told.
    queue_unknown: Option<(Instant, bool)>,
    /// How often each stage was stopped at a time limit without having anything to go on from.
    limits: BTreeMap<usize, u32>,
    beaten: Option<Instant>,
    /// Why the last sign of life could not be written.
    unwritten: Option<String>,
}

impl Dispatcher {
    pub(super) fn new(
        spool: Spool,
        sweep: Sweep,
        requests: Vec<String>,
        max_jobs: usize,
        events: Sender<Event>,
    ) -> Self {
        Self {
            spool,
            sweep,
            requests,
            max_jobs,
            events,
            tasks: BTreeMap::new(),
            waiting: VecDeque::new(),
            ready: false,
            stopping: false,
            cancelled: false,
            killed: false,
            submitted_any: false,
            any_ready: false,
            submit_after: None,
            failed_rounds: Vec::new(),
            refusals: 0,
            reasons_told: BTreeSet::new(),
            queue_unknown: None,
            limits: BTreeMap::new(),
            beaten: None,
            unwritten: None,
        }
    }

    pub(super) fn work(mut self, inbox: &Receiver<Message>) {
        loop {
            let first = match inbox.recv_timeout(self.patience()) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Message::Dismiss),
            };
            for message in first.into_iter().chain(inbox.try_iter()) {
                if matches!(message, Message::Dismiss) {
                    return self.dismiss();
                }
                self.hear(message);
            }
            self.submit();
            self.beat();
            self.look();
        }
    }

    fn tell(&self, event: Event) {
        // Without a listener the sweep is over.
        let _ = self.events.send(event);
    }

    fn note(&self, text: String) {
        self.tell(Event::Note(text));
    }

    fn patience(&self) -> Duration {
        let nodes = self.tasks.values().filter(|t| !t.over).filter_map(|t| t.node.as_ref());
        let now = Instant::now();
        let next = nodes.map(|n| n.look_at.saturating_duration_since(now)).min();
        let beat = BEAT.saturating_sub(self.beaten.map_or(BEAT, |at| at.elapsed()));
        next.unwrap_or(BEAT).min(beat).max(Duration::from_millis(1))
    }

    fn hear(&mut self, message: Message) {
        match message {
            Message::Start(slots) => self.waiting.extend(slots),
            Message::Run { slot, stage, job } => self.run(slot, stage, job),
            Message::Stop => self.stop(),
            Message::KillOne(slot) => {
                if let Some(id) = self.holder(slot) {
                    self.cancel(std::slice::from_ref(&id));
                    self.conclude(&id, lost("the worker was killed".to_owned()));
                }
            }
            Message::Kill => {
                self.killed = true;
                self.stop();
                if let Err(error) = commands::cancel_all(&self.sweep.name) {
                    self.note(error.to_string());
                }
                for id in self.ids() {
                    self.conclude(&id, lost("the worker was killed".to_owned()));
                }
            }
            Message::Dismiss => {}
            Message::Queue { began, jobs: Ok(jobs) } => {
                self.queue_unknown = None;
                self.compare(began, &jobs);
            }
            Message::Queue { began, jobs: Err(error) } => self.do_not_know(began, &error),
        }
    }

    fn ids(&self) -> Vec<String> {
        self.tasks.keys().cloned().collect()
    }

    fn holder(&self, slot: usize) -> Option<String> {
        self.tasks.iter().find(|(_, t)| t.slot == Some(slot)).map(|(id, _)| id.clone())
    }

    fn cancel(&self, ids: &[String]) {
        if !ids.is_empty()
            && let Err(error) = commands::cancel(ids)
        {
            self.note(format!("could not cancel the Slurm jobs {}: {error}", ids.join(", ")));
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.waiting.clear();
        self.sweep.leave = true;
        self.beaten = None;
        self.beat();
    }

    fn run(&mut self, slot: usize, stage: usize, mut job: Box<Job>) {
        let since = Instant::now();
        job.log = absolute(&job.log);
        let (log, checkpoint) = (job.log.clone(), job.checkpoint.clone());
        let task = self.tasks.values_mut().find(|t| t.slot == Some(slot));
        let Some(node) = task.and_then(|t| t.node.as_mut()) else {
            // It left meanwhile, and the scheduler has heard or is about to hear so.
            let stopped = stopped("its Slurm job had ended");
            return self.tell(ended(stage, &log, since, stopped));
        };
        node.order += 1;
        let order = Order { number: node.order, job: Some(job) };
        match spool::write(&spool::order(&node.folder), &order) {
            Ok(()) => {
                node.running = Some(Running { stage, since, log, checkpoint });
                node.told = None;
                (node.pause, node.look_at) = (EAGER, since + EAGER);
            }
            Err(error) if causes::is_disk_full(&error) => {
                let failed = JobResult::Failed(Failure::from_error(&error));
                self.tell(ended(stage, &log, since, failed));
                self.tell(Event::Free { slot, has_worker: true });
            }
            // Not the stage's fault; the node cannot be reached.
            Err(error) => {
                let text = format!("could not write in {}: {error}", node.folder.display());
                node.running = Some(Running { stage, since, log, checkpoint });
                if let Some(id) = self.holder(slot) {
                    self.cancel(std::slice::from_ref(&id));
                    self.conclude(&id, lost(text));
                }
            }
        }
    }

    /// Ends what a node runs and lets its slot go.
    fn conclude(&mut self, id: &str, result: JobResult) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        task.over = true;
        let running = task.node.as_mut().and_then(|node| node.running.take());
        let slot = task.slot.take();
        if let Some(Running { stage, since, log, .. }) = running {
            self.tell(ended(stage, &log, since, result));
        }
        if let Some(slot) = slot {
            self.tell(Event::Free { slot, has_worker: false });
        }
    }

    fn beat(&mut self) {
        if !self.ready || self.beaten.is_some_and(|at| at.elapsed() < BEAT) {
            return;
        }
        if self.beaten.is_some_and(|at| at.elapsed() >= HELD_UP) {
            self.excuse_silence();
        }
        self.beaten = Some(Instant::now());
        self.sweep.alive += 1;
        match spool::write(&self.spool.sweep(), &self.sweep) {
            Ok(()) => self.unwritten = None,
            Err(error) => self.cannot_write(&error),
        }
        let wish: Option<Wish> = spool::read(&self.spool.wish()).ok().flatten();
        if wish.is_some_and(|wish| wish.cancel) && !self.cancelled {
            self.cancelled = true;
            self.tell(Event::Interrupt);
        }
        self.find_nodes();
    }

    /// The nodes may have been unable to write, or this thread to read, for a while.
    fn excuse_silence(&mut self) {
        let now = Instant::now();
        self.tasks.values_mut().filter_map(|t| t.node.as_mut()).for_each(|node| node.heard = now);
    }

    /// The nodes hear nothing from here, and most likely cannot write either. Where the spool is gone they end.
    fn cannot_write(&mut self, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.excuse_silence();
        }
        let text = format!("could not write in {}: {error}", self.spool.path().display());
        if self.unwritten.as_ref() != Some(&text) {
            self.note(text.clone());
            self.unwritten = Some(text);
        }
        if causes::is_disk_full(error) && !self.stopping {
            // What ends a sweep on one machine, too.
            for id in self.ids() {
                if self.tasks.get(&id).is_some_and(Task::runs) {
                    self.conclude(&id, JobResult::Failed(Failure::from_error(error)));
                }
            }
        }
    }

    fn dismiss(mut self) {
        if !self.ready {
            return;
        }
        self.stop();
        // Also those whose number sbatch did not get to say.
        if let Err(error) = commands::cancel_waiting(&self.sweep.name) {
            self.note(format!("could not cancel the Slurm jobs that wait: {error}"));
        }
        let silent = |t: &Task| t.node.is_none() && !t.over;
        let silent = self.tasks.iter().filter(|(_, t)| silent(t));
        self.cancel(&silent.map(|(id, _)| id.clone()).collect::<Vec<_>>());
        let start = Instant::now();
        let patience = if self.killed { Duration::ZERO } else { LEAVING };
        while !self.all_gone() {
            if start.elapsed() < patience {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            let cancelled = commands::cancel_all(&self.sweep.name);
            let wait = "waiting for the Slurm jobs to end";
            if self.killed || cancelled.is_err() || !self.wait_for_end(&self.sweep.name, wait) {
                // The next sweep finds the spool, and waits for the jobs.
                return;
            }
            break;
        }
        self.spool.remove();
    }

    /// Whether all nodes have said their last word.
    fn all_gone(&self) -> bool {
        let gone = |folder| {
            let report: Option<Report> = spool::read(&spool::report(folder)).ok().flatten();
            report.is_some_and(|report| report.gone)
        };
        self.tasks.values().filter_map(|task| task.node.as_ref()).all(|node| gone(&node.folder))
    }
}

fn stopped(reason: &str) -> JobResult {
    JobResult::Failed(Failure { error: reason.to_owned(), ..Failure::stopped() })
}

fn lost(error: String) -> JobResult {
    let death = Death { exit_status: None, signal: None };
    JobResult::Lost { death, error, out_of_memory: false }
}

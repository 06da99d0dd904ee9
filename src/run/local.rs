//! Workers on this machine: one thread a slot, which starts the slot's worker when it is first needed
//! and hands it jobs, and a few threads that publish what the workers make: waiting for the disk
//! keeps no worker from its next stage.

use super::clock::utc;
use super::crew::{Crew, Event, JobEnd, JobResult};
use super::device::Slot;
use super::link::Link;
use super::log::{keep_log, tail};
use super::memory;
use super::protocol::{Failure, FromWorker, Job};
use super::worker::{Heard, Worker, WorkerCommand, WorkerError};
use crate::causes;
use crate::plan::Findings;
use crate::store::{ArtefactStore, Verified, lock::host};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

enum Order {
    Start,
    Run { stage: usize, job: Box<Job> },
}

struct Member {
    orders: Option<Sender<Order>>,
    link: Arc<Link>,
    thread: Option<JoinHandle<()>>,
}

/// All slots of a sweep. Dropping it kills what still runs.
pub struct LocalCrew {
    members: Vec<Member>,
    publishers: Vec<JoinHandle<()>>,
}

impl LocalCrew {
    /// Makes the slots; no worker is started yet. One that is silent for `stall` during a stage is killed.
    pub fn new(
        slots: &[Slot],
        command: &WorkerCommand,
        stall: Duration,
        store: &ArtefactStore,
        events: &Sender<Event>,
    ) -> Self {
        // Two a slot, because concurrent writes to a disk share its waits; with a bound, so that slow
        // disks slow the workers down and do not fill the memory.
        let count = (2 * slots.len()).clamp(2, 8);
        let (parcels, shelf) = sync_channel::<Parcel>(count);
        let shelf = Arc::new(Mutex::new(shelf));
        let publisher = |_| {
            let (shelf, store, events) = (shelf.clone(), store.clone(), events.clone());
            std::thread::spawn(move || publish_all(&shelf, &store, &events))
        };
        let publishers = (0..count).map(publisher).collect();
        let verified = Arc::new(Verified::default());
        let member = |slot: &Slot| {
            let (orders, inbox) = channel();
            let link = Arc::new(Link::default());
            let desk = Desk {
                slot: slot.clone(),
                command: command.clone(),
                stall,
                store: store.clone(),
                events: events.clone(),
                link: link.clone(),
                parcels: parcels.clone(),
                verified: verified.clone(),
            };
            let thread = std::thread::spawn(move || desk.work(&inbox));
            Member { orders: Some(orders), link, thread: Some(thread) }
        };
        Self { members: slots.iter().map(member).collect(), publishers }
    }

    fn order(&self, slot: usize, order: Order) {
        if let Some(orders) = self.members.get(slot).and_then(|m| m.orders.as_ref()) {
            // A thread that is gone has panicked; joining it says so.
            let _ = orders.send(order);
        }
    }

    fn join(&mut self) {
        for member in &mut self.members {
            member.orders = None;
        }
        // The publishers end when the last slot, which feeds them, has ended.
        let slots = self.members.iter_mut().filter_map(|m| m.thread.take());
        for thread in slots.chain(self.publishers.drain(..)) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Crew for LocalCrew {
    fn start(&mut self, slots: &[usize]) {
        slots.iter().for_each(|&slot| self.order(slot, Order::Start));
    }

    fn run(&mut self, slot: usize, stage: usize, job: Job) {
        self.order(slot, Order::Run { stage, job: Box::new(job) });
    }

    fn ask_to_stop(&mut self) {
        self.members.iter().for_each(|m| m.link.ask_to_stop());
    }

    fn kill_one(&mut self, slot: usize) {
        if let Some(member) = self.members.get(slot) {
            member.link.kill_current();
        }
    }

    fn kill(&mut self) {
        self.members.iter().for_each(|m| m.link.kill());
    }

    fn dismiss(&mut self, starting: &[usize]) {
        for &slot in starting {
            self.members[slot].link.kill();
        }
        self.join();
    }
}

impl Drop for LocalCrew {
    fn drop(&mut self) {
        if self.members.iter().any(|m| m.thread.is_some()) {
            self.kill();
            self.join();
        }
    }
}

/// What the thread of a slot has.
struct Desk {
    slot: Slot,
    command: WorkerCommand,
    stall: Duration,
    store: ArtefactStore,
    events: Sender<Event>,
    link: Arc<Link>,
    parcels: SyncSender<Parcel>,
    verified: Arc<Verified>,
}

/// A stage's files and figures on their way to the store.
struct Parcel {
    stage: usize,
    job: Box<Job>,
    findings: Findings,
    provenance: Map<String, Value>,
    wall_s: f64,
    cpu_s: f64,
    peak_mib: f64,
    since: Instant,
}

/// What a worker made of a job.
enum Answer {
    Done {
        findings: Findings,
        provenance: Map<String, Value>,
        wall_s: f64,
        cpu_s: f64,
        peak_mib: f64,
    },
    Not(JobResult),
}

impl Desk {
    fn tell(&self, event: Event) {
        // Without a listener the sweep is over.
        let _ = self.events.send(event);
    }

    fn work(self, inbox: &Receiver<Order>) {
        let slot = self.slot.index;
        let mut worker: Option<Worker> = None;
        for order in inbox {
            match order {
                Order::Start => match self.start() {
                    Ok(started) => {
                        let device = match self.slot.visible.as_str() {
                            "" => "cpu".to_owned(),
                            gpu => format!("cuda {gpu}"),
                        };
                        let name = format!("{}/{}/{device}", host(), started.pid());
                        worker = Some(started);
                        self.tell(Event::Ready { slot, worker: name, job: None });
                    }
                    Err(error) => self.tell(Event::CannotStart { slot, error }),
                },
                Order::Run { stage, job } => {
                    let lost = match worker.as_mut() {
                        Some(worker) => self.run(worker, stage, job),
                        None => false,
                    };
                    if lost {
                        worker = None;
                    }
                }
            }
        }
        if let Some(worker) = worker {
            worker.leave();
        }
    }

    fn start(&self) -> Result<Worker, WorkerError> {
        let log = self.store.root().join("logs").join(format!(
            "worker-{}-{}-{}.log",
            host(),
            std::process::id(),
            self.slot.index
        ));
        if let Some(folder) = log.parent() {
            // If it cannot be made, the log cannot, and that is reported.
            let _ = fs::create_dir_all(folder);
        }
        let worker = Worker::start(&self.command, &self.slot, &log, &self.link)?;
        keep_log(&log);
        Ok(worker)
    }

    /// Runs a job; returns whether the worker was lost over it.
    fn run(&self, worker: &mut Worker, stage: usize, mut job: Box<Job>) -> bool {
        let since = Instant::now();
        let answer = match self.check_inputs(&job).and_then(|()| self.scratch()) {
            Ok(scratch) => {
                job.scratch = scratch;
                self.exchange(worker, stage, &job)
            }
            Err(result) => Answer::Not(result),
        };
        let lost = matches!(answer, Answer::Not(JobResult::Lost { .. }));
        // What was damaged while the stage read it explains a failure, and spoils a result.
        let answer = match self.check_inputs(&job) {
            Err(result @ JobResult::Unreadable { .. }) => Answer::Not(result),
            _ => answer,
        };
        let free = Event::Free { slot: self.slot.index, has_worker: !lost };
        match answer {
            Answer::Done { findings, provenance, wall_s, cpu_s, peak_mib } => {
                let parcel =
                    Parcel { stage, job, findings, provenance, wall_s, cpu_s, peak_mib, since };
                self.tell(free);
                // The publishers live as long as there is a sender; one that panicked says so when
                // it is joined.
                let _ = self.parcels.send(parcel);
            }
            Answer::Not(result) => {
                // Half-written files are of no use; if they stay, they only take room.
                let _ = fs::remove_dir_all(&job.scratch);
                // In this order, so that a failure that stops the sweep is heard before the slot asks
                // for more.
                self.tell(ended(stage, &job.log, since, result));
                self.tell(free);
            }
        }
        lost
    }

    /// Verifies the artefacts that a job reads; those that have not changed since are not read again.
    fn check_inputs(&self, job: &Job) -> Result<(), JobResult> {
        for input in &job.stage.inputs {
            let Some(folder) = job.inputs.get(&input.role) else { continue };
            self.verified.check(folder, &input.key).map_err(|error| match error.is_damage() {
                true => JobResult::Unreadable { key: input.key.clone(), reason: error.to_string() },
                false => JobResult::Failed(Failure::from_error(&error)),
            })?;
        }
        Ok(())
    }

    fn scratch(&self) -> Result<PathBuf, JobResult> {
        self.store.scratch().map_err(|error| JobResult::Failed(Failure::from_error(&error)))
    }

    fn exchange(&self, worker: &mut Worker, stage: usize, job: &Job) -> Answer {
        let kills = memory::kills();
        let mut problem = worker.send(job).err();
        while problem.is_none() {
            match worker.hear(self.stall) {
                Ok(Heard::Message(FromWorker::Alive {})) => {}
                Ok(Heard::Message(FromWorker::Progress(progress))) => {
                    self.tell(Event::Progress { stage, progress });
                }
                Ok(Heard::Message(FromWorker::Failed(failure))) => {
                    return Answer::Not(JobResult::Failed(failure));
                }
                Ok(Heard::Message(FromWorker::Done {
                    findings,
                    mut provenance,
                    wall_s,
                    cpu_s,
                    peak_mib,
                })) => {
                    describe(&mut provenance, worker, [wall_s, cpu_s, peak_mib], &self.slot);
                    return Answer::Done { findings, provenance, wall_s, cpu_s, peak_mib };
                }
                Ok(Heard::Message(FromWorker::Hello(_))) => {
                    problem = Some(std::io::Error::other("it greeted in the middle of a stage"));
                }
                Ok(Heard::Silence) => {
                    let seconds = self.stall.as_secs_f64();
                    problem = Some(std::io::Error::other(format!(
                        "it gave no sign of life for {seconds} s and was killed"
                    )));
                }
                Ok(Heard::End) => break,
                Err(error) => problem = Some(error),
            }
        }
        let death = worker.end();
        let broken = problem.filter(|e| e.kind() != std::io::ErrorKind::BrokenPipe);
        let killed = broken.is_none() && death.signal == Some(libc::SIGKILL);
        let out_of_memory =
            (killed && memory::kills() > kills) || causes::says_out_of_memory(&tail(&job.log));
        let reason = broken.map_or_else(|| death.to_string(), |e| e.to_string());
        let error = format!("the worker was lost ({reason})");
        Answer::Not(JobResult::Lost { death, error, out_of_memory })
    }
}

fn publish_all(shelf: &Mutex<Receiver<Parcel>>, store: &ArtefactStore, events: &Sender<Event>) {
    loop {
        // One waits with the lock, the others for it.
        let next = shelf.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(parcel) = next else { return };
        let Parcel { stage, job, findings, provenance, wall_s, cpu_s, peak_mib, since } = parcel;
        let published = store.publish(&job.scratch, &job.stage, &job.key, findings, provenance);
        let result = match published {
            Ok(manifest) => {
                store.remove_checkpoint(&job.key);
                JobResult::Done { manifest: Box::new(manifest), wall_s, cpu_s, peak_mib }
            }
            Err(error) => {
                // As of a stage that failed; what stays only takes room.
                let _ = fs::remove_dir_all(&job.scratch);
                JobResult::Failed(Failure::from_error(&error))
            }
        };
        // Without a listener the sweep is over.
        let _ = events.send(ended(stage, &job.log, since, result));
    }
}

/// The end of a job with this log, which began then.
pub(super) fn ended(stage: usize, log: &Path, since: Instant, result: JobResult) -> Event {
    let wall_s = since.elapsed().as_secs_f64();
    let has_log = keep_log(log);
    let succeeded = matches!(result, JobResult::Done { .. });
    let log_tail = (has_log && !succeeded).then(|| tail(log).trim_start().to_owned());
    Event::Ended { stage, end: Box::new(JobEnd { result, wall_s, has_log, log_tail }) }
}

fn describe(
    provenance: &mut Map<String, Value>,
    worker: &Worker,
    [wall_s, cpu_s, peak_mib]: [f64; 3],
    slot: &Slot,
) {
    let device = if slot.visible.is_empty() { "cpu" } else { "cuda" };
    for (name, value) in [
        ("wall_s", Value::from(wall_s)),
        ("cpu_s", Value::from(cpu_s)),
        ("peak_mib", Value::from(peak_mib)),
        ("device", Value::from(device)),
        ("worker", Value::from(format!("{}/{}/{device}", host(), worker.pid()))),
        ("ended", Value::from(utc(SystemTime::now()))),
    ] {
        provenance.insert(name.to_owned(), value);
    }
}

//! Workers in Slurm jobs. A sweep submits arrays of jobs; each runs a node (`advrec node`), which has one
//! worker, and takes stages and reports through files on the shared folder (`spool`).

mod commands;
mod dispatcher;
mod node;
mod options;
mod spool;

pub use commands::{SlurmError, Submission, cancel, cancel_all, check_requests, queue, quoted};
pub use node::{NodeError, serve};
pub use options::{Launcher, Options};
pub use spool::{Detached, Spool, Sweep, Wish, write};

use super::clock::utc;
use super::crew::{Crew, Event};
use super::outcome::Settings;
use super::protocol::Job;
use crate::store::{ArtefactStore, lock::host};
use dispatcher::{Dispatcher, Message};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How often Slurm is asked for its queue: its administrators count such questions.
const QUEUE_EVERY: Duration = Duration::from_secs(5);
/// How long before a job's end its node is told: time for the stage to write down where it is.
pub const WARNING: &str = "B:TERM@90";

/// The jobs of a sweep. Dropping it cancels what is left of them.
pub struct SlurmCrew {
    messages: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl SlurmCrew {
    /// Makes the slots; nothing is submitted yet.
    pub fn new(
        options: &Options,
        settings: &Settings,
        store: &ArtefactStore,
        events: &Sender<Event>,
    ) -> Self {
        let root = absolute(store.root());
        let time: String =
            utc(SystemTime::now()).chars().take(19).filter(|c| !"-:".contains(*c)).collect();
        let folder = format!("{time}-{}-{}", host(), std::process::id());
        let stem = options.database.file_stem().unwrap_or_default().to_string_lossy();
        let sweep = Sweep {
            alive: 0,
            leave: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            database: options.database.clone(),
            store: root.clone(),
            name: format!("advrec-{}-{folder}", plain(&stem)),
            worker: settings.worker.clone(),
            stall: settings.limits.stall,
            idle: options.idle,
            orphaned: options.orphaned,
        };
        let spool = Spool::at(&root.join("slurm").join(folder));
        let (messages, inbox) = channel();
        watch_queue(sweep.name.clone(), messages.clone());
        let dispatcher = Dispatcher::new(
            spool,
            sweep,
            options.requests.clone(),
            settings.slots.len(),
            events.clone(),
        );
        let thread = std::thread::spawn(move || dispatcher.work(&inbox));
        Self { messages, thread: Some(thread) }
    }

    fn send(&self, message: Message) {
        // A thread that is gone has panicked; joining it says so.
        let _ = self.messages.send(message);
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && let Err(panic) = thread.join()
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Crew for SlurmCrew {
    fn start(&mut self, slots: &[usize]) {
        self.send(Message::Start(slots.to_vec()));
    }

    fn run(&mut self, slot: usize, stage: usize, job: Job) {
        self.send(Message::Run { slot, stage, job: Box::new(job) });
    }

    fn ask_to_stop(&mut self) {
        self.send(Message::Stop);
    }

    fn kill_one(&mut self, slot: usize) {
        self.send(Message::KillOne(slot));
    }

    fn kill(&mut self) {
        self.send(Message::Kill);
    }

    fn dismiss(&mut self, _starting: &[usize]) {
        self.send(Message::Dismiss);
        self.join();
    }
}

impl Drop for SlurmCrew {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.dismiss(&[]);
        }
    }
}

/// Asks Slurm now and then, in a thread of its own: its controller may take its time.
fn watch_queue(name: String, messages: Sender<Message>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(QUEUE_EVERY);
            let began = std::time::Instant::now();
            let jobs = queue(&name);
            if messages.send(Message::Queue { began, jobs }).is_err() {
                break;
            }
        }
    });
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A part of a job's name: scancel and squeue take commas for lists.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' })
        .collect()
}

//! New jobs, and what is left of old ones.

use super::super::commands::{self, SlurmError, Submission};
use super::super::spool::Spool;
use super::super::{WARNING, quoted};
use super::Dispatcher;
use super::task::Task;
use crate::run::crew::Event;
use crate::run::log::tail;
use crate::run::worker::WorkerError;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long jobs have to end when they are cancelled.
const CANCELLING: Duration = Duration::from_secs(45);
/// The largest power of two by which that wait is multiplied.
const DOUBLINGS: u32 = 6;
/// Rounds of jobs that end before a worker greets: then something is wrong with all of them.
const FAILED_ROUNDS: usize = 3;
/// The wait before jobs are submitted again after Slurm refused them or they failed; doubles each time.
const BACK_OFF: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Submits as many jobs as slots wait for beyond those that are on their way, and as there is room for:
    /// a job that ends keeps its place until Slurm's queue shows that it has not been requeued.
    pub(super) fn submit(&mut self) {
        let on_the_way = |t: &&Task| t.slot.is_none() && !t.over;
        let coming = self.tasks.values().filter(on_the_way).count();
        let room = self.max_jobs.saturating_sub(self.tasks.len());
        let wanted = self.waiting.len().saturating_sub(coming).min(room);
        if wanted == 0 || self.stopping || self.submit_after.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.submit_after = None;
        let submitted = self.prepare().and_then(|()| {
            let logs = self.sweep.store.join("logs");
            let program = std::env::current_exe().unwrap_or_else(|_| "advrec".into());
            let script = format!(
                "#!/bin/sh\nexec {} node --spool {}\n",
                quoted(&program.display().to_string()),
                quoted(&self.spool.path().display().to_string())
            );
            let submission = Submission {
                name: &self.sweep.name,
                array: Some(wanted),
                logs: &logs,
                log: "slurm-%A_%a.log",
                signal: WARNING,
                requests: &self.requests,
                script: &script,
            };
            submission.submit()
        });
        match submitted {
            Ok(array) => {
                let plural = if wanted == 1 { "" } else { "s" };
                self.note(format!("Slurm job {array}: {wanted} worker{plural} submitted"));
                (self.submitted_any, self.refusals) = (true, 0);
                for index in 0..wanted {
                    self.tasks.insert(format!("{array}_{index}"), Task::submitted(&array));
                }
            }
            // Limits on what a user may submit come and go.
            Err(error) if self.submitted_any => {
                let wait = BACK_OFF * 2u32.pow(self.refusals.min(DOUBLINGS));
                self.refusals += 1;
                self.submit_after = Some(Instant::now() + wait);
                self.note(format!("{error}; trying again in {} s", wait.as_secs()));
            }
            Err(error) => self.cannot_start(error),
        }
    }

    pub(super) fn cannot_start(&mut self, error: SlurmError) {
        if let Some(slot) = self.waiting.pop_front() {
            self.tell(Event::CannotStart { slot, error: WorkerError::Slurm(error) });
        }
    }

    /// Makes the spool, once; cancels what a killed orchestrator left behind.
    fn prepare(&mut self) -> Result<(), SlurmError> {
        if self.ready {
            return Ok(());
        }
        // Whoever sweeps with this database holds its lock, so that the others are dead.
        for (spool, sweep) in Spool::of_database(&self.sweep.store, &self.sweep.database) {
            commands::cancel_all(&sweep.name)?;
            let wait = "waiting for the Slurm jobs of an earlier sweep to end";
            if !self.wait_for_end(&sweep.name, wait) {
                self.note(format!(
                    "Slurm jobs of an earlier sweep ({}) were cancelled and have not ended",
                    sweep.name
                ));
            }
            spool.remove();
        }
        let failure = |path: PathBuf| move |source: io::Error| SlurmError::Spool { path, source };
        let logs = self.sweep.store.join("logs");
        std::fs::create_dir_all(&logs).map_err(failure(logs.clone()))?;
        let path = self.spool.path().to_owned();
        self.spool.create(&self.sweep).map_err(|source| {
            self.spool.remove();
            failure(path)(source)
        })?;
        self.ready = true;
        Ok(())
    }

    /// A job ended before there was a node: others are submitted after a while, but not for ever.
    pub(super) fn failed_start(&mut self, id: &str, array: String, state: String) {
        if !self.failed_rounds.contains(&array) {
            self.failed_rounds.push(array);
            let log = tail(&self.sweep.store.join("logs").join(format!("slurm-{id}.log")));
            let error = SlurmError::Ended { job: id.to_owned(), state, log };
            let rounds = self.failed_rounds.len();
            // Where others work, it is the machines on which these ran.
            let others = self.tasks.values().any(|task| task.slot.is_some());
            if rounds >= FAILED_ROUNDS && !others {
                return self.cannot_start(error);
            }
            let wait = BACK_OFF * 2u32.pow((rounds as u32 - 1).min(DOUBLINGS));
            self.submit_after = Some(Instant::now() + wait);
            self.note(format!("{error}; trying again in {} s", wait.as_secs()));
        }
    }

    /// Waits until jobs that were cancelled are out of Slurm's queue; whether they are after a while. People
    /// are told `note` where it takes longer.
    pub(super) fn wait_for_end(&self, name: &str, note: &str) -> bool {
        let start = Instant::now();
        let mut told = false;
        loop {
            if commands::queue(name).is_ok_and(|jobs| jobs.is_empty()) {
                return true;
            }
            if start.elapsed() >= CANCELLING {
                return false;
            }
            if !told && start.elapsed() > Duration::from_secs(2) {
                told = true;
                self.note(note.to_owned());
            }
            std::thread::sleep(Duration::from_millis(300));
        }
    }
}

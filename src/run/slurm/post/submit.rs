//! New jobs, and what is left of old ones.

use super::super::commands::{self, SlurmError, Submission};
use super::super::spool::Spool;
use super::super::{WARNING, quoted};
use super::Post;
use super::task::Task;
use crate::run::crew::Event;
use crate::run::worker::{WorkerError, tail};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long jobs have to end when they are cancelled.
const CANCELLING: Duration = Duration::from_secs(45);
/// Rounds of jobs that end before a worker greets: then something is wrong with all of them.
const FAILED_ROUNDS: usize = 3;
/// The wait before jobs are submitted again after Slurm refused them or they failed; doubles each time.
const BACK_OFF: Duration = Duration::from_secs(5);

impl Post {
    /// Submits as many jobs as slots wait for beyond those that are on their way.
    pub(super) fn submit(&mut self) {
        let on_the_way = |t: &&Task| t.slot.is_none() && !t.over;
        let coming = self.tasks.values().filter(on_the_way).count();
        let wanted = self.waiting.len().saturating_sub(coming);
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
                output: &logs.join("slurm-%A_%a.log"),
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
                    let task = Task {
                        array: array.clone(),
                        slot: None,
                        submitted: Instant::now(),
                        state: "PD".to_owned(),
                        absences: 0,
                        until: None,
                        node: None,
                        over: false,
                        ended: None,
                    };
                    self.tasks.insert(format!("{array}_{index}"), task);
                }
            }
            // Limits on what a user may submit come and go.
            Err(error) if self.submitted_any => {
                let wait = BACK_OFF * 2u32.pow(self.refusals.min(6));
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
            let left = wait_for_end(&sweep.name, || {
                self.note("waiting for the Slurm jobs of an earlier sweep to end".to_owned());
            });
            if left > 0 {
                self.note(format!("{left} Slurm jobs of an earlier sweep ({}) run on", sweep.name));
            }
            spool.remove();
        }
        let failure = |path: PathBuf| move |source: io::Error| SlurmError::Spool { path, source };
        let logs = self.sweep.store.join("logs");
        std::fs::create_dir_all(&logs).map_err(failure(logs.clone()))?;
        let path = self.spool.path().to_owned();
        self.spool.create(&self.sweep).map_err(failure(path))?;
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
            if rounds >= FAILED_ROUNDS {
                return self.cannot_start(error);
            }
            let wait = BACK_OFF * 2u32.pow(rounds as u32 - 1);
            self.submit_after = Some(Instant::now() + wait);
            self.note(format!("{error}; trying again in {} s", wait.as_secs()));
        }
    }
}

/// Waits for cancelled jobs; how many are left after a while. `waiting` is called where it takes longer.
pub(super) fn wait_for_end(name: &str, waiting: impl FnOnce()) -> usize {
    let start = Instant::now();
    let mut waiting = Some(waiting);
    loop {
        let left = commands::queue(name).map_or(usize::MAX, |jobs| jobs.len());
        if left == 0 || start.elapsed() >= CANCELLING {
            return left;
        }
        if start.elapsed() > Duration::from_secs(2)
            && let Some(waiting) = waiting.take()
        {
            waiting();
        }
        std::thread::sleep(Duration::from_millis(300));
    }
}

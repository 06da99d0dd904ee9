//! What nodes say.

use super::super::commands::SlurmError;
use super::super::spool::{self, Report};
use super::task::Node;
use super::{BEAT, Dispatcher, EAGER, lost, stopped};
use crate::run::crew::{Event, JobResult};
use crate::run::protocol::Failure;
use std::time::{Duration, Instant};

/// A job that is stopped with less than this left is taken to have reached its time limit.
const NEAR_LIMIT: Duration = Duration::from_secs(600);
/// So many times a stage may be stopped there without having anything to go on from.
const LIMITS: u32 = 3;

impl Dispatcher {
    /// Looks for nodes that are new.
    pub(super) fn find_nodes(&mut self) {
        for (job, restarts) in self.spool.present() {
            let Some(task) = self.tasks.get_mut(&job) else { continue };
            match &task.node {
                _ if task.ended.is_some_and(|ended| ended >= restarts) => continue,
                Some(node) if node.restarts >= restarts => continue,
                // Slurm has restarted the job: its node is another one.
                Some(_) => self.conclude(&job, stopped("Slurm has restarted its job")),
                None => {}
            }
            let now = Instant::now();
            let folder = self.spool.node(&job, restarts);
            if let Some(task) = self.tasks.get_mut(&job) {
                task.over = false;
                task.node = Some(Node {
                    folder,
                    restarts,
                    found: now,
                    report: Report::default(),
                    heard: now,
                    look_at: now,
                    pause: EAGER,
                    order: 0,
                    running: None,
                    told: None,
                });
            }
        }
    }

    /// Reads the reports that are due.
    pub(super) fn look(&mut self) {
        for id in self.ids() {
            let now = Instant::now();
            let stall = self.sweep.stall;
            let Some(task) = self.tasks.get_mut(&id).filter(|t| !t.over) else { continue };
            let suspended = matches!(task.state.as_str(), "S" | "ST");
            let Some(node) = task.node.as_mut().filter(|n| n.look_at <= now) else { continue };
            // While nobody is waiting for it, a node need not be looked at often.
            node.pause = (node.pause * 5 / 4).min(BEAT);
            node.look_at = now + node.pause;
            if suspended {
                node.heard = now;
            }
            let silent = node.heard.elapsed() > stall;
            self.read_report(&id);
            if silent && self.tasks.get(&id).is_some_and(|t| !t.over && t.silent_for(stall)) {
                self.cancel(std::slice::from_ref(&id));
                let seconds = stall.as_secs_f64();
                self.conclude(
                    &id,
                    lost(format!(
                        "the worker was lost (its Slurm job {id} gave no sign of life for {seconds} s \
                         and was cancelled)"
                    )),
                );
            }
        }
    }

    pub(super) fn read_report(&mut self, id: &str) {
        let Some(task) = self.tasks.get_mut(id) else { return };
        let Some(node) = task.node.as_mut() else { return };
        // It is not there yet, or can be read the next time.
        let Ok(Some(report)) = spool::read::<Report>(&spool::report(&node.folder)) else { return };
        if report.alive != node.report.alive {
            node.heard = Instant::now();
        }
        node.report = report;
        let report = &mut node.report;
        let mut news = Vec::new();
        if report.taken == node.order
            && let Some(mut end) = report.end.take()
            && let Some(running) = node.running.take()
        {
            let lost = matches!(end.result, JobResult::Lost { .. });
            let has_worker = !lost && report.leaving.is_none();
            let near = task.until.is_some_and(|at| Instant::now() + NEAR_LIMIT >= at);
            if let JobResult::Failed(failure) = &mut end.result
                && (failure.stopped && near && !self.stopping && !running.checkpoint.exists())
            {
                let count = self.limits.entry(running.stage).or_default();
                *count += 1;
                if *count >= LIMITS {
                    *failure = Failure::new(format!(
                        "it was stopped at the time limit of {LIMITS} Slurm jobs and has nothing to go \
                         on from; give the jobs more time (--time)"
                    ));
                }
            }
            news.push(Event::Ended { stage: running.stage, end: Box::new(end) });
            if let Some(slot) = task.slot {
                news.push(Event::Free { slot, has_worker });
            }
            if !has_worker {
                task.slot = None;
            }
        } else if report.taken == node.order
            && let Some(running) = &node.running
            && report.progress != node.told
        {
            node.told = report.progress.clone();
            let progress = report.progress.clone();
            news.extend(
                progress.map(|progress| Event::Progress { stage: running.stage, progress }),
            );
        }
        let cannot = report.cannot.take();
        let reason = report.leaving.clone();
        let (gone, worker) = (report.gone, report.worker.clone());
        let idle = node.running.is_none();
        let never_ready = worker.is_none() && node.order == 0 && !self.stopping;
        let without_slot = task.slot.is_none();
        news.into_iter().for_each(|event| self.tell(event));
        if let Some(reason) = cannot {
            self.conclude(id, stopped("its worker cannot be started"));
            let array = self.tasks.get(id).map(|task| task.array.clone());
            match array {
                // Other machines did better.
                Some(array) if self.any_ready => self.failed_start(id, array, reason),
                _ => self.cannot_start(SlurmError::NoWorker { job: id.to_owned(), reason }),
            }
        } else if gone || (reason.is_some() && idle) {
            let reason = reason.unwrap_or_else(|| format!("its Slurm job {id} had ended"));
            self.conclude(id, stopped(&reason));
            if never_ready && let Some(task) = self.tasks.get(id) {
                self.failed_start(id, task.array.clone(), reason);
            }
        } else if let Some(worker) = worker
            && without_slot
            && let Some(slot) = self.waiting.pop_front()
        {
            self.failed_rounds.clear();
            self.any_ready = true;
            if let Some(task) = self.tasks.get_mut(id) {
                task.slot = Some(slot);
            }
            self.tell(Event::Ready { slot, worker, job: Some(id.to_owned()) });
        }
    }
}

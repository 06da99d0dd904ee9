//! What Slurm's queue says.

use super::super::commands::{self, Queued, SlurmError};
use super::task::Task;
use super::{Dispatcher, lost, stopped};
use std::time::{Duration, Instant};

/// A job that has not said its last word is gone when Slurm's queue lacks it so many times in a row.
const ABSENCES: u32 = 2;
/// How long Slurm may not answer before people are told.
const UNKNOWN: Duration = Duration::from_secs(60);
/// How long a job may wait before people are told why.
const WAITING: Duration = Duration::from_secs(20);

impl Dispatcher {
    /// Compares Slurm's queue with what is known.
    pub(super) fn compare(&mut self, began: Instant, jobs: &[Queued]) {
        for id in self.ids() {
            let Some(task) = self.tasks.get_mut(&id).filter(|t| t.submitted < began) else {
                continue;
            };
            let Some(queued) = jobs.iter().find(|queued| queued.job == id) else {
                task.absences += 1;
                if task.over || task.absences >= ABSENCES {
                    self.ended_in_slurm(&id);
                }
                continue;
            };
            task.absences = 0;
            task.state.clone_from(&queued.state);
            task.until = queued.left.filter(|_| queued.state != "PD").map(|left| began + left);
            let requeued = queued.state == "PD";
            if requeued && task.node.as_ref().is_some_and(|node| node.found < began) {
                self.read_report(&id);
                self.conclude(&id, stopped(&format!("Slurm has requeued its job {id}")));
                if let Some(task) = self.tasks.get_mut(&id) {
                    // Its next node is awaited.
                    task.over = false;
                    task.ended = task.node.take().map(|node| node.restarts);
                }
            } else if requeued
                && task.submitted.elapsed() > WAITING
                && queued.reason != "None"
                && self.reasons_told.insert(queued.reason.clone())
            {
                self.note(format!("the Slurm job {id} waits: {}", queued.reason));
            }
        }
        // Jobs of which sbatch could not say that it had submitted them.
        for queued in jobs.iter().filter(|queued| !queued.job.contains('[')) {
            let array = queued.job.split('_').next().unwrap_or_default();
            self.tasks.entry(queued.job.clone()).or_insert_with(|| Task::submitted(array));
        }
    }

    /// Slurm's controller is busy or restarts. Jobs go on meanwhile, and none counts as gone.
    pub(super) fn do_not_know(&mut self, began: Instant, error: &SlurmError) {
        let (since, told) = self.queue_unknown.get_or_insert((began, false));
        if !*told && since.elapsed() >= UNKNOWN {
            *told = true;
            self.note(format!("{error}; jobs go on meanwhile"));
        }
    }

    fn ended_in_slurm(&mut self, id: &str) {
        if self.tasks.get(id).is_some_and(|t| !t.over) {
            // The last word of a node whose file came late.
            self.read_report(id);
        }
        let Some(task) = self.tasks.get(id) else { return };
        let (array, over) = (task.array.clone(), task.over);
        let had_node = task.node.is_some() || task.ended.is_some();
        let leaving = task.node.as_ref().and_then(|node| node.report.leaving.clone());
        if !over {
            let state = commands::ending(id).unwrap_or_else(|| "Slurm knows no more".to_owned());
            let result = match leaving {
                Some(reason) => stopped(&reason),
                None => lost(format!("the worker was lost (its Slurm job {id} is gone: {state})")),
            };
            self.conclude(id, result);
            if !had_node && !self.stopping {
                self.failed_start(id, array, state);
            }
        }
        if let Some(task) = self.tasks.remove(id) {
            let restarts = task.node.map(|node| node.restarts).max(task.ended);
            self.spool.remove_nodes(id, restarts);
        }
    }
}

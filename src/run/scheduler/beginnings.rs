//! How stages begin: workers are started, and idle ones are handed a job.

use super::{Running, Sweep, label};
use crate::plan::{StageKey, StageKind};
use crate::run::clock::utc;
use crate::run::outcome::Settings;
use crate::run::progress::Display;
use crate::run::protocol::Job;
use crate::run::stocktake::kind_of_role;
use crate::store::{AttemptId, AttemptStart};
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

impl Sweep<'_> {
    /// Starts as many workers as there are stages waiting for one.
    pub(super) fn start_workers(&mut self) {
        if self.stop.is_some() || self.start_again.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.start_again = None;
        let wanted = self.queue.ready() + usize::from(self.retries.wants_all());
        let coming = self.idle.len() + self.starting.len();
        let free = |slot: &usize| self.workers[*slot].is_none() && !self.starting.contains(slot);
        let slots: Vec<usize> =
            (0..self.workers.len()).filter(free).take(wanted.saturating_sub(coming)).collect();
        if !slots.is_empty() {
            self.starting.extend(&slots);
            self.crew.start(&slots);
        }
    }

    /// The next stage for an idle slot, and whether it is to run alone.
    fn next(&mut self) -> Option<(usize, bool)> {
        if self.running.values().any(|running| running.alone) {
            return None;
        }
        if !self.retries.wants_all() {
            return self.queue.next().map(|stage| (stage, false));
        }
        // What runs is to end first.
        let next = self.running.is_empty().then(|| self.retries.next_alone()).flatten();
        next.map(|stage| (stage, true))
    }

    /// Hands stages to idle slots.
    pub(super) fn begin(&mut self, display: &mut Display) {
        let mut pairs = Vec::new();
        while self.stop.is_none()
            && let Some(&slot) = self.idle.last()
            && let Some((stage, alone)) = self.next()
        {
            self.idle.pop();
            let attempt = self.note_start(slot, stage);
            let kind = self.plan.stages[stage].stage.kind;
            let since = Instant::now();
            let running = Running {
                attempt,
                slot,
                since,
                deadline: self.settings.limits.timeouts.get(&kind).map(|&limit| since + limit),
                timed_out: false,
                beside: false,
                alone,
            };
            self.running.insert(stage, running);
            pairs.push((slot, stage, alone));
        }
        if self.running.len() > 1 && self.settings.launcher.shares_machine() {
            self.running.values_mut().for_each(|running| running.beside = true);
        }
        for (slot, stage, alone) in pairs {
            let threads = self.threads(slot, alone);
            display.started(stage, &label(&self.plan.stages[stage]));
            self.crew.run(slot, stage, self.job(stage, threads));
        }
    }

    /// Cores for a stage that begins on a slot.
    fn threads(&self, slot: usize, alone: bool) -> usize {
        let Settings { launcher, cores, slots, .. } = self.settings;
        if !launcher.shares_machine() {
            return slots[slot].threads;
        }
        // The last stages may use the cores of the slots that have nothing more to do.
        let busy = if alone { 1 } else { self.running.len() + self.queue.ready() };
        (cores / busy.clamp(1, slots.len())).max(1)
    }

    fn note_start(&mut self, slot: usize, stage: usize) -> AttemptId {
        let key = &self.plan.stages[stage].key;
        let log = self.log_path(key, self.ledger.attempts(key) + 1);
        let worker = self.workers[slot].clone();
        let (worker, job) = worker.map_or(("unknown".to_owned(), None), |w| (w.name, w.job));
        self.ledger.start(|id, sweep| AttemptStart {
            id,
            sweep,
            key: key.clone(),
            worker,
            slot,
            job,
            log,
            started: utc(SystemTime::now()),
        })
    }

    /// `attempt` counts from 1.
    fn log_path(&self, key: &StageKey, attempt: u64) -> PathBuf {
        self.store.root().join("logs").join(format!("{}-{attempt}.log", key.short()))
    }

    fn job(&self, index: usize, threads: usize) -> Job {
        let planned = &self.plan.stages[index];
        let path = |key: &StageKey, role: &str| {
            let maker = planned.needs.iter().map(|&n| &self.plan.stages[n]).find(|s| s.key == *key);
            // Inputs from outside the plan were checked to have a kind's name as their role.
            let kind = maker.map(|s| s.stage.kind).or_else(|| kind_of_role(role));
            self.store.path(kind.unwrap_or(StageKind::Noop), key)
        };
        let inputs = planned.stage.inputs.iter();
        let absolute = |p: PathBuf| std::path::absolute(&p).unwrap_or(p);
        Job {
            stage: planned.stage.clone(),
            key: planned.key.clone(),
            inputs: inputs.map(|i| (i.role.clone(), absolute(path(&i.key, &i.role)))).collect(),
            scratch: PathBuf::new(),
            checkpoint: absolute(self.store.checkpoint(&planned.key)),
            threads,
            log: self.log_path(&planned.key, self.ledger.attempts(&planned.key)),
        }
    }
}

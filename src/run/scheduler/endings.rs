//! What the end of an attempt means for its stage: done, failed, tried again, or waiting for an input that is
//! made anew.

use super::{Running, Stop, Sweep, label};
use crate::plan::StageKey;
use crate::run::clock::utc;
use crate::run::crew::{JobEnd, JobResult};
use crate::run::death::Death;
use crate::run::forecast::words;
use crate::run::outcome::{Ending, RunError};
use crate::run::progress::Display;
use crate::run::retries::Verdict;
use crate::store::{AttemptEnd, AttemptState, Manifest, StageState};
use std::time::{Duration, SystemTime};

/// How often the artefact of one stage may be found damaged in one sweep: a disk that spoils all that it is
/// given is not to be filled for ever.
const DAMAGES: u32 = 10;

impl Sweep<'_> {
    pub(super) fn end(
        &mut self,
        stage: usize,
        end: JobEnd,
        display: &mut Display,
    ) -> Result<(), RunError> {
        let Some(running) = self.running.remove(&stage) else { return Ok(()) };
        let mut record = AttemptEnd::new(AttemptState::Failed, utc(SystemTime::now()), end.wall_s);
        (record.has_log, record.log_tail) = (end.has_log, end.log_tail);
        // Asked to stop or killed: not the stage's fault. After fail-fast nobody asked.
        let stopping = self.stop.as_ref().is_some_and(|s| s.deadline.is_some());
        let mut says = |state: AttemptState, error: &str| {
            (record.state, record.error) = (state, Some(error.to_owned()));
        };
        match end.result {
            JobResult::Done { manifest, wall_s, cpu_s, peak_mib } => {
                record.state = AttemptState::Done;
                // The worker's own time, without the wait for the disk.
                record.wall_s = wall_s;
                (record.cpu_s, record.peak_mib) = (Some(cpu_s), Some(peak_mib));
                record.provenance = Some(manifest.provenance.clone());
                self.ledger.end(running.attempt, record);
                self.done(stage, manifest, end.wall_s, display);
            }
            JobResult::Failed(failure) if failure.disk_full => {
                says(AttemptState::Failed, &failure.error);
                self.ledger.end(running.attempt, record);
                self.disk_full(stage, failure.error, display);
            }
            JobResult::Unreadable { key, reason } => {
                says(AttemptState::Interrupted, &format!("an input cannot be read: {reason}"));
                self.ledger.end(running.attempt, record);
                self.compute_anew(stage, &key, &reason, display)?;
            }
            // Not asked by this sweep: the worker has to leave, and the stage goes on elsewhere.
            JobResult::Failed(failure) if failure.stopped && !stopping => {
                says(AttemptState::Interrupted, &failure.error);
                self.ledger.end(running.attempt, record);
                self.queue.put_back(stage);
                self.try_again(stage, &format!("{}; it goes on elsewhere", failure.error), display);
            }
            JobResult::Failed(failure) if !failure.stopped => {
                says(AttemptState::Failed, &failure.error);
                self.ledger.end(running.attempt, record);
                if !(failure.out_of_memory && self.run_alone(stage, &running, display)) {
                    self.fail(stage, &failure.error, display);
                }
            }
            JobResult::Lost { death, .. } if running.timed_out => {
                let kind = self.plan.stages[stage].stage.kind;
                let limit = self.settings.limits.timeouts.get(&kind).copied().unwrap_or_default();
                let limit = words(limit);
                let late = format!("it ran longer than {limit}, its limit (--timeout)");
                says(AttemptState::Failed, &late);
                Death { exit_status: record.exit_status, signal: record.signal } = death;
                self.ledger.end(running.attempt, record);
                self.fail(stage, &late, display);
            }
            JobResult::Lost { death, error, out_of_memory } if !stopping => {
                says(AttemptState::Lost, &error);
                Death { exit_status: record.exit_status, signal: record.signal } = death;
                self.ledger.end(running.attempt, record);
                self.outcome.lost += 1;
                if !(out_of_memory && self.run_alone(stage, &running, display)) {
                    self.lost(stage, &error, display);
                }
            }
            JobResult::Failed(_) | JobResult::Lost { .. } => {
                says(AttemptState::Interrupted, "the sweep was stopped");
                self.ledger.end(running.attempt, record);
                self.leave_pending(stage);
                let time = words(Duration::from_secs_f64(end.wall_s));
                let text = format!("{} interrupted after {time}", label(&self.plan.stages[stage]));
                display.ended(stage, &text, false, false);
            }
        }
        Ok(())
    }

    fn done(&mut self, stage: usize, manifest: Box<Manifest>, wall_s: f64, display: &mut Display) {
        let planned = &self.plan.stages[stage];
        self.outcome.run += 1;
        self.queue.done(stage);
        self.forecast.ended(planned.stage.kind, Some(wall_s));
        self.ledger.artefact(manifest);
        let time = words(Duration::from_secs_f64(wall_s));
        display.ended(stage, &format!("{} done in {time}", label(planned)), true, false);
    }

    fn disk_full(&mut self, stage: usize, error: String, display: &mut Display) {
        self.leave_pending(stage);
        let text = format!("{}: {error}", label(&self.plan.stages[stage]));
        display.ended(stage, &text, false, true);
        if !matches!(&self.stop, Some(s) if s.ending == Ending::Interrupted) {
            self.stop_soon(Ending::DiskFull(error));
        }
    }

    /// A worker was lost over a stage.
    fn lost(&mut self, stage: usize, error: &str, display: &mut Display) {
        match self.retries.lost(stage) {
            Verdict::GiveUp(1) => self.fail(stage, error, display),
            Verdict::GiveUp(losses) => {
                self.fail(stage, &format!("{losses} times {error}"), display);
            }
            Verdict::Again(_) | Verdict::Alone => {
                self.try_again(stage, &format!("{error}; trying again"), display);
            }
        }
    }

    /// A stage could not be begun, or its result not trusted, because an artefact that it reads was damaged
    /// meanwhile: that one is made again first.
    fn compute_anew(
        &mut self,
        stage: usize,
        key: &StageKey,
        reason: &str,
        display: &mut Display,
    ) -> Result<(), RunError> {
        let planned = &self.plan.stages[stage];
        let Some(&input) = planned.needs.iter().find(|&&n| self.plan.stages[n].key == *key) else {
            let role = planned.stage.inputs.iter().find(|i| i.key == *key).map(|i| i.role.clone());
            let error = RunError::Input {
                stage: planned.stage.kind,
                role: role.unwrap_or_default(),
                key: key.short().to_owned(),
                reason: reason.to_owned(),
            };
            self.fail(stage, &error.to_string(), display);
            return Ok(());
        };
        let maker = &self.plan.stages[input];
        let damages = self.damages.entry(input).or_default();
        *damages += u32::from(self.queue.is_done(input));
        if *damages > DAMAGES {
            let error = format!("{} was damaged {damages} times: {reason}", label(maker));
            self.fail(stage, &error, display);
            return Ok(());
        }
        // Several stages may have found the same damage; the first one counts.
        if self.queue.is_done(input) {
            self.store.remove(maker.stage.kind, key)?;
            self.queue.undone(input);
            self.leave_pending(input);
            self.forecast.again(maker.stage.kind);
            self.outcome.damaged += 1;
            match std::mem::take(&mut self.reused[input]) {
                true => self.outcome.reused -= 1,
                false => self.outcome.run -= 1,
            }
            display.undone();
        }
        self.queue.put_back(stage);
        self.leave_pending(stage);
        let text = format!("{} is computed anew: {reason}", label(maker));
        display.ended(stage, &text, false, true);
        Ok(())
    }

    fn leave_pending(&mut self, stage: usize) {
        self.ledger.state(&self.plan.stages[stage].key, StageState::Pending);
    }

    /// The stage has another attempt before it.
    fn try_again(&mut self, stage: usize, text: &str, display: &mut Display) {
        self.leave_pending(stage);
        let text = format!("{}: {text}", label(&self.plan.stages[stage]));
        display.ended(stage, &text, false, true);
    }

    /// Whether a stage whose memory was wanting is tried again alone: where others ran beside it, once.
    fn run_alone(&mut self, stage: usize, running: &Running, display: &mut Display) -> bool {
        let again = running.beside && self.retries.out_of_memory(stage).is_some();
        if again {
            self.try_again(stage, "it ran out of memory; trying again alone", display);
        }
        again
    }

    fn fail(&mut self, stage: usize, error: &str, display: &mut Display) {
        let planned = &self.plan.stages[stage];
        self.outcome.failed += 1;
        self.forecast.ended(planned.stage.kind, None);
        self.ledger.state(&planned.key, StageState::Failed);
        let blocked = self.queue.failed(stage);
        self.outcome.blocked += blocked.len();
        for blocked in blocked {
            let planned = &self.plan.stages[blocked];
            self.forecast.ended(planned.stage.kind, None);
            self.ledger.state(&planned.key, StageState::Blocked);
        }
        display.ended(stage, &format!("{} failed: {error}", label(planned)), false, true);
        if self.settings.fail_fast && self.stop.is_none() {
            self.stop = Some(Stop { ending: Ending::FailedFast, deadline: None, killed: false });
        }
    }
}

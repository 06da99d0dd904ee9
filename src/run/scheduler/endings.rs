//! What the end of an attempt means for its stage: done, failed, tried again, or waiting for an input that is
//! made anew.

use super::{Stop, Sweep, label};
use crate::plan::StageKey;
use crate::run::clock::utc;
use crate::run::crew::{JobEnd, JobResult};
use crate::run::forecast::words;
use crate::run::outcome::{Ending, RunError};
use crate::run::progress::Display;
use crate::run::retries::Verdict;
use crate::store::{AttemptEnd, AttemptState, StageState};
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
        let planned = &self.plan.stages[stage];
        let (kind, name) = (planned.stage.kind, label(planned));
        let time = words(Duration::from_secs_f64(end.wall_s));
        let mut record = AttemptEnd::new(AttemptState::Failed, utc(SystemTime::now()), end.wall_s);
        (record.has_log, record.log_tail) = (end.has_log, end.log_tail);
        // Asked to stop or killed: not the stage's fault. After fail-fast nobody asked.
        let stopping = self.stop.as_ref().is_some_and(|s| s.deadline.is_some());

        match end.result {
            JobResult::Done { manifest, wall_s, cpu_s, peak_mib } => {
                // The worker's own time, without the wait for the disk.
                record.wall_s = wall_s;
                record.state = AttemptState::Done;
                (record.cpu_s, record.peak_mib) = (Some(cpu_s), Some(peak_mib));
                record.provenance = Some(manifest.provenance.clone());
                self.outcome.run += 1;
                self.queue.done(stage);
                self.forecast.ended(kind, Some(end.wall_s));
                self.ledger.end(running.attempt, record);
                self.ledger.artefact(manifest);
                display.ended(stage, &format!("{name} done in {time}"), true, false);
            }
            JobResult::Failed(failure) if failure.disk_full => {
                record.error = Some(failure.error.clone());
                self.ledger.end(running.attempt, record);
                self.leave_pending(stage);
                display.ended(stage, &format!("{name}: {}", failure.error), false, true);
                if !matches!(&self.stop, Some(s) if s.ending == Ending::Interrupted) {
                    self.stop_soon(Ending::DiskFull(failure.error));
                }
            }
            JobResult::Unreadable { key, reason } => {
                record.state = AttemptState::Interrupted;
                record.error = Some(format!("an input cannot be read: {reason}"));
                self.ledger.end(running.attempt, record);
                self.compute_anew(stage, &key, &reason, display)?;
            }
            // Not asked by this sweep: the worker has to leave, and the stage goes on elsewhere.
            JobResult::Failed(failure) if failure.stopped && !stopping => {
                record.state = AttemptState::Interrupted;
                record.error = Some(failure.error.clone());
                self.ledger.end(running.attempt, record);
                self.leave_pending(stage);
                self.queue.put_back(stage);
                display.ended(
                    stage,
                    &format!("{name} goes on elsewhere: {}", failure.error),
                    false,
                    true,
                );
            }
            JobResult::Failed(failure) if !(stopping && failure.stopped) => {
                record.error = Some(failure.error.clone());
                self.ledger.end(running.attempt, record);
                if failure.out_of_memory && running.beside && self.run_alone(stage, display) {
                    return Ok(());
                }
                self.fail(stage, &format!("failed: {}", failure.error), display);
            }
            JobResult::Lost { death, .. } if running.timed_out => {
                let limit = self.settings.limits.timeouts.get(&kind).copied().unwrap_or_default();
                let error = format!("it ran longer than {}, its limit (--timeout)", words(limit));
                (record.exit_status, record.signal) = (death.exit_status, death.signal);
                record.error = Some(error.clone());
                self.ledger.end(running.attempt, record);
                self.fail(stage, &format!("failed: {error}"), display);
            }
            JobResult::Lost { death, error, out_of_memory } if !stopping => {
                record.state = AttemptState::Lost;
                (record.exit_status, record.signal) = (death.exit_status, death.signal);
                record.error = Some(error.clone());
                self.ledger.end(running.attempt, record);
                self.outcome.lost += 1;
                if out_of_memory && running.beside && self.run_alone(stage, display) {
                    return Ok(());
                }
                match self.retries.lost(stage) {
                    Verdict::GiveUp(losses) => {
                        self.fail(stage, &format!("failed: {losses} times {error}"), display);
                    }
                    Verdict::Again(_) | Verdict::Alone => {
                        self.leave_pending(stage);
                        display.ended(
                            stage,
                            &format!("{name}: {error}; trying again"),
                            false,
                            true,
                        );
                    }
                }
            }
            JobResult::Failed(_) | JobResult::Lost { .. } => {
                record.state = AttemptState::Interrupted;
                record.error = Some("the sweep was stopped".to_owned());
                self.ledger.end(running.attempt, record);
                self.leave_pending(stage);
                display.ended(stage, &format!("{name} interrupted after {time}"), false, false);
            }
        }
        Ok(())
    }

    /// A stage could not be begun because an artefact that it reads was damaged meanwhile: that one is made
    /// again first.
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
            self.fail(stage, &format!("failed: {error}"), display);
            return Ok(());
        };
        let maker = &self.plan.stages[input];
        let damages = self.damages.entry(input).or_default();
        *damages += u32::from(self.queue.is_done(input));
        if *damages > DAMAGES {
            let times = format!("{} was damaged {damages} times", label(maker));
            self.fail(stage, &format!("failed: {times}: {reason}"), display);
            return Ok(());
        }
        self.leave_pending(stage);
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
        let text = format!("{} is computed anew: {reason}", label(maker));
        display.ended(stage, &text, false, true);
        Ok(())
    }

    fn leave_pending(&mut self, stage: usize) {
        self.ledger.state(&self.plan.stages[stage].key, StageState::Pending);
    }

    /// Whether a stage whose memory was wanting is tried again alone.
    fn run_alone(&mut self, stage: usize, display: &mut Display) -> bool {
        if self.retries.out_of_memory(stage).is_none() {
            return false;
        }
        self.leave_pending(stage);
        let name = label(&self.plan.stages[stage]);
        display.ended(
            stage,
            &format!("{name} ran out of memory; trying it again alone"),
            false,
            true,
        );
        true
    }

    fn fail(&mut self, stage: usize, text: &str, display: &mut Display) {
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
        display.ended(stage, &format!("{} {text}", label(planned)), false, true);
        if self.settings.fail_fast && self.stop.is_none() {
            self.stop = Some(Stop { ending: Ending::FailedFast, deadline: None, killed: false });
        }
    }
}

//! Runs the stages of a plan on the slots, in the order of their needs, and records each as it ends.

use super::crew::{Crew, Event, JobEnd, JobResult};
use super::forecast::{Forecast, words};
use super::interrupt::Interrupts;
use super::outcome::{Ending, Outcome, RunError, Settings};
use super::progress::Display;
use super::protocol::Job;
use super::queue::Queue;
use super::stocktake::{self, Found, kind_of_role};
use crate::plan::{Plan, PlannedStage, StageKey, StageKind};
use crate::store::{
    ArtefactStore, AttemptEnd, AttemptId, AttemptState, Database, Manifest, StageState,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often a stage is tried again after its worker was lost: a killed worker is often the fault of
/// something else (memory, a person), a worker lost three times over the same stage is not.
const RETRIES: u32 = 2;

/// Runs a plan that [`Database::record_grid`] has recorded. Needs the sweep lock.
///
/// An artefact that is in the store and verifies counts as done whatever the database says of it: its
/// metrics are recorded from the manifest.
///
/// # Errors
/// If the database, the store or the worker program is of no use. Everything done until then is
/// recorded, and a later run goes on from there.
pub fn execute(
    db: &mut Database,
    store: &ArtefactStore,
    plan: &Plan,
    settings: &Settings,
    display: &mut Display,
) -> Result<Outcome, RunError> {
    let start = Instant::now();
    let (sender, events) = channel();
    let for_signals = sender.clone();
    let interrupts = Interrupts::listen(move || {
        // Without a listener the sweep is over.
        let _ = for_signals.send(Event::Interrupt);
    })
    .map_err(RunError::Signals)?;
    db.end_left_over_attempts()?;
    let found = stocktake::take(store, plan, || interrupts.count() > 0)?;
    let done: Vec<bool> = found.iter().map(|f| matches!(f, Found::Whole(_))).collect();
    let mut outcome = Outcome {
        total: plan.stages.len(),
        reused: done.iter().filter(|&&d| d).count(),
        damaged: 0,
        run: 0,
        failed: 0,
        blocked: 0,
        lost: 0,
        ending: Ending::Finished,
        time: Duration::ZERO,
    };
    db.batch(|batch| {
        for (planned, found) in plan.stages.iter().zip(&found) {
            match found {
                Found::Whole(manifest) => batch.record_artefact(manifest)?,
                _ => batch.set_stage_state(&planned.key, StageState::Pending)?,
            }
        }
        Ok(())
    })?;
    for (planned, found) in plan.stages.iter().zip(&found) {
        if let Found::Damaged(reason) = found {
            outcome.damaged += 1;
            display.note(&format!("{} is computed anew: {reason}", label(planned)));
        }
    }
    drop(found);
    if outcome.reused < outcome.total && interrupts.count() == 0 {
        stocktake::check_outside_inputs(store, plan, &done)?;
    }
    let left = plan.stages.iter().zip(&done).filter(|&(_, &done)| !done);
    let forecast = Forecast::new(&db.mean_wall_s()?, left.map(|(s, _)| s.stage.kind));
    display.begin(outcome.total, outcome.reused);
    let mut sweep = Sweep {
        plan,
        store,
        settings,
        queue: Queue::new(plan, &done, settings.order_seed),
        crew: Crew::new(&settings.slots, &settings.worker, store, &sender),
        workers: vec![None; settings.slots.len()],
        starting: Vec::new(),
        idle: Vec::new(),
        running: BTreeMap::new(),
        losses: BTreeMap::new(),
        writes: Vec::new(),
        stop: None,
        forecast,
        outcome,
    };
    let result = sweep.until_done(db, &events, display);
    display.finish();
    result?;
    sweep.crew.dismiss(&sweep.starting);
    sweep.outcome.time = start.elapsed();
    // An interrupt that came when all was under way has changed nothing.
    if let Some(stop) = sweep.stop
        && sweep.outcome.not_run() > 0
    {
        sweep.outcome.ending = stop.ending;
    }
    Ok(sweep.outcome)
}

/// A stage for people: `agent 1a2b3c4d5e6f`.
fn label(planned: &PlannedStage) -> String {
    format!("{} {}", planned.stage.kind, planned.key.short())
}

struct Running {
    attempt: AttemptId,
    since: Instant,
}

struct Stop {
    ending: Ending,
    /// When running stages are killed.
    deadline: Option<Instant>,
    killed: bool,
}

/// A change of the database, made with all others that are due in one transaction.
enum Write {
    End(AttemptId, Box<AttemptEnd>),
    Artefact(Box<Manifest>),
    State(usize, StageState),
}

struct Sweep<'a> {
    plan: &'a Plan,
    store: &'a ArtefactStore,
    settings: &'a Settings,
    queue: Queue,
    crew: Crew,
    /// Names of the workers by slot; `None` where there is none.
    workers: Vec<Option<String>>,
    starting: Vec<usize>,
    idle: Vec<usize>,
    /// By stage, until it is published.
    running: BTreeMap<usize, Running>,
    /// Lost workers by stage.
    losses: BTreeMap<usize, u32>,
    writes: Vec<Write>,
    stop: Option<Stop>,
    forecast: Forecast,
    outcome: Outcome,
}

impl Sweep<'_> {
    fn until_done(
        &mut self,
        db: &mut Database,
        events: &Receiver<Event>,
        display: &mut Display,
    ) -> Result<(), RunError> {
        loop {
            self.start_workers();
            let next = self.choose();
            self.record(db, next, display)?;
            let nothing_to_start = self.stop.is_some() || self.queue.ready() == 0;
            if self.running.is_empty() && nothing_to_start {
                return Ok(());
            }
            self.show_time_left(display);
            let first = match events.recv_timeout(self.patience()) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                // Cannot be: `execute` holds a sender.
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // All that has happened meanwhile goes into one transaction.
            for event in first.into_iter().chain(events.try_iter()) {
                self.hear(event, display)?;
            }
            if let Some(stop) = &mut self.stop
                && !stop.killed
                && stop.deadline.is_some_and(|at| Instant::now() >= at)
            {
                stop.killed = true;
                self.crew.kill();
            }
        }
    }

    /// How long to wait for an event.
    fn patience(&self) -> Duration {
        let second = Duration::from_secs(1);
        let deadline = self.stop.as_ref().filter(|s| !s.killed).and_then(|s| s.deadline);
        deadline.map_or(second, |at| second.min(at.saturating_duration_since(Instant::now())))
    }

    /// Starts as many workers as there are stages waiting for one.
    fn start_workers(&mut self) {
        if self.stop.is_some() {
            return;
        }
        for slot in 0..self.workers.len() {
            if self.queue.ready() <= self.idle.len() + self.starting.len() {
                return;
            }
            if self.workers[slot].is_none() && !self.starting.contains(&slot) {
                self.starting.push(slot);
                self.crew.start(slot);
            }
        }
    }

    /// Pairs idle slots with stages.
    fn choose(&mut self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        while self.stop.is_none() && !self.idle.is_empty() {
            let Some(stage) = self.queue.next() else { break };
            if let Some(slot) = self.idle.pop() {
                pairs.push((slot, stage));
            }
        }
        pairs
    }

    /// Writes what is due and the attempts that begin, then hands out their jobs.
    fn record(
        &mut self,
        db: &mut Database,
        next: Vec<(usize, usize)>,
        display: &mut Display,
    ) -> Result<(), RunError> {
        if self.writes.is_empty() && next.is_empty() {
            return Ok(());
        }
        let writes = std::mem::take(&mut self.writes);
        let started = db.batch(|batch| {
            for write in &writes {
                match write {
                    Write::End(attempt, end) => batch.end_attempt(*attempt, end)?,
                    Write::Artefact(manifest) => batch.record_artefact(manifest)?,
                    Write::State(stage, state) => {
                        batch.set_stage_state(&self.plan.stages[*stage].key, *state)?;
                    }
                }
            }
            let mut started = Vec::new();
            for &(slot, stage) in &next {
                let key = &self.plan.stages[stage].key;
                let log = self.log_path(key, batch.attempts(key)? + 1);
                let worker = self.workers[slot].as_deref().unwrap_or("unknown");
                started.push((slot, stage, batch.start_attempt(key, worker, &log)?, log));
            }
            Ok(started)
        })?;
        // A stage that runs alone may use all cores; nothing else can begin before it ends.
        let busy = self.running.len() + started.len() + self.queue.ready();
        let threads = (self.settings.cores / busy.clamp(1, self.workers.len())).max(1);
        for (slot, stage, attempt, log) in started {
            let since = Instant::now();
            self.running.insert(stage, Running { attempt, since });
            display.started(stage, &label(&self.plan.stages[stage]));
            self.crew.run(slot, stage, self.job(stage, threads, log));
        }
        Ok(())
    }

    fn log_path(&self, key: &StageKey, attempt: u64) -> PathBuf {
        self.store.root().join("logs").join(format!("{}-{attempt}.log", key.short()))
    }

    fn job(&self, index: usize, threads: usize, log: PathBuf) -> Job {
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
            threads,
            log,
        }
    }

    fn hear(&mut self, event: Event, display: &mut Display) -> Result<(), RunError> {
        match event {
            Event::Ready { slot, worker } => {
                self.starting.retain(|&s| s != slot);
                self.workers[slot] = Some(worker);
                self.idle.push(slot);
            }
            Event::CannotStart { slot, error } => {
                self.starting.retain(|&s| s != slot);
                if self.stop.is_none() {
                    return Err(error.into());
                }
            }
            Event::Progress { stage, progress } => display.progress(stage, &progress),
            Event::Free { slot, has_worker: true } => self.idle.push(slot),
            Event::Free { slot, has_worker: false } => self.workers[slot] = None,
            Event::Ended { stage, end } => self.end(stage, *end, display),
            Event::Interrupt => self.interrupt(display),
        }
        Ok(())
    }

    fn interrupt(&mut self, display: &Display) {
        let running = self.running.len();
        match &mut self.stop {
            Some(stop) if stop.ending == Ending::Interrupted => {
                stop.killed = true;
                self.crew.kill();
            }
            _ => {
                if running > 0 {
                    display.note(&format!(
                        "stopping: running stages ({running}) have {} to stop; ctrl-c again kills \
                         them",
                        words(self.settings.grace)
                    ));
                }
                self.stop_soon(Ending::Interrupted);
            }
        }
    }

    /// Starts nothing more, asks running stages to stop, and kills them after the grace time.
    fn stop_soon(&mut self, ending: Ending) {
        let deadline = Some(Instant::now() + self.settings.grace);
        self.stop = Some(Stop { ending, deadline, killed: false });
        self.crew.ask_to_stop();
    }

    fn end(&mut self, stage: usize, end: JobEnd, display: &mut Display) {
        let Some(Running { attempt, .. }) = self.running.remove(&stage) else { return };
        let planned = &self.plan.stages[stage];
        let (kind, name) = (planned.stage.kind, label(planned));
        let time = words(Duration::from_secs_f64(end.wall_s));
        let mut record = AttemptEnd::new(AttemptState::Failed, end.wall_s);
        record.has_log = end.has_log;
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
                self.write_end(attempt, record);
                self.writes.push(Write::Artefact(manifest));
                display.ended(stage, &format!("{name} done in {time}"), true, false);
            }
            JobResult::Failed(failure) if failure.disk_full => {
                record.error = Some(failure.error.clone());
                self.write_end(attempt, record);
                self.writes.push(Write::State(stage, StageState::Pending));
                display.ended(stage, &format!("{name}: {}", failure.error), false, true);
                if !matches!(&self.stop, Some(s) if s.ending == Ending::Interrupted) {
                    self.stop_soon(Ending::DiskFull(failure.error));
                }
            }
            JobResult::Failed(failure) if !(stopping && failure.stopped) => {
                record.error = Some(failure.error.clone());
                self.write_end(attempt, record);
                self.fail(stage, &format!("failed: {}", failure.error), display);
            }
            JobResult::Lost { death, error } if !stopping => {
                record.state = AttemptState::Lost;
                (record.exit_status, record.signal) = (death.exit_status, death.signal);
                record.error = Some(error.clone());
                self.write_end(attempt, record);
                self.outcome.lost += 1;
                let losses = self.losses.entry(stage).or_default();
                *losses += 1;
                if *losses > RETRIES {
                    let times = format!("failed: {losses} times {error}");
                    self.fail(stage, &times, display);
                } else {
                    self.queue.put_back(stage);
                    self.writes.push(Write::State(stage, StageState::Pending));
                    let first = error.lines().next().unwrap_or_default();
                    display.ended(stage, &format!("{name}: {first}; trying again"), false, true);
                }
            }
            JobResult::Failed(_) | JobResult::Lost { .. } => {
                record.state = AttemptState::Interrupted;
                record.error = Some("the sweep was stopped".to_owned());
                self.write_end(attempt, record);
                self.writes.push(Write::State(stage, StageState::Pending));
                display.ended(stage, &format!("{name} interrupted after {time}"), false, false);
            }
        }
    }

    fn write_end(&mut self, attempt: AttemptId, record: AttemptEnd) {
        self.writes.push(Write::End(attempt, Box::new(record)));
    }

    fn fail(&mut self, stage: usize, text: &str, display: &mut Display) {
        let planned = &self.plan.stages[stage];
        self.outcome.failed += 1;
        self.forecast.ended(planned.stage.kind, None);
        self.writes.push(Write::State(stage, StageState::Failed));
        let blocked = self.queue.failed(stage);
        self.outcome.blocked += blocked.len();
        for blocked in blocked {
            self.forecast.ended(self.plan.stages[blocked].stage.kind, None);
            self.writes.push(Write::State(blocked, StageState::Blocked));
        }
        display.ended(stage, &format!("{} {text}", label(planned)), false, true);
        if self.settings.fail_fast && self.stop.is_none() {
            self.stop = Some(Stop { ending: Ending::FailedFast, deadline: None, killed: false });
        }
    }

    fn show_time_left(&self, display: &Display) {
        let kind = |(&stage, running): (&usize, &Running)| {
            (self.plan.stages[stage].stage.kind, running.since.elapsed())
        };
        let running: Vec<_> = self.running.iter().map(kind).collect();
        display.time_left(self.forecast.left(self.workers.len(), &running));
    }
}

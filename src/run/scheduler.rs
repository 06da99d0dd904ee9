//! Runs the stages of a plan on the slots, in the order of their needs, and records each as it ends.

mod beginnings;
mod endings;

use super::clock::utc;
use super::crew::{Crew, Event};
use super::forecast::{Forecast, words};
use super::history::History;
use super::interrupt::Interrupts;
use super::ledger::Ledger;
use super::local::LocalCrew;
use super::outcome::{Ending, Outcome, RunError, Settings};
use super::progress::Display;
use super::queue::Queue;
use super::retries::Retries;
use super::slurm::{Launcher, SlurmCrew};
use super::stocktake::{self, Found};
use crate::causes;
use crate::plan::{Plan, PlannedStage, StageKind};
use crate::store::{
    ArtefactStore, AttemptEnd, AttemptId, AttemptState, Database, DatabaseError, GridId,
    StageState, SweepEnding, SweepStart,
};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

/// Runs a plan that [`Database::record_grid`] has recorded as `grid`. Needs the sweep lock.
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
    grid: Option<GridId>,
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
    let mut ledger = Ledger::open(
        db,
        &SweepStart {
            grid,
            launcher: settings.launcher.name(),
            job: settings.launcher.own_job(),
            slots: settings.slots.len(),
            arguments: settings.arguments.clone(),
        },
    )?;
    let mut outcome = Outcome::of(plan.stages.len());
    let (done, forecast) =
        match look(db, &mut ledger, store, plan, &interrupts, &mut outcome, display) {
            Ok(found) => found,
            Err(error) => {
                // The error that brought us here is the one to tell.
                let _ = ledger.close(db, &outcome.counts(None), SweepEnding::Error, || true);
                return Err(error);
            }
        };
    display.begin(outcome.total, outcome.reused);
    let mut sweep = Sweep {
        plan,
        store,
        settings,
        queue: Queue::new(plan, &done, settings.order_seed),
        reused: done,
        damages: BTreeMap::new(),
        crew: crew(settings, store, &sender),
        workers: vec![None; settings.slots.len()],
        starting: Vec::new(),
        idle: Vec::new(),
        running: BTreeMap::new(),
        retries: Retries::new(settings.limits.crash_limit, settings.limits.back_off),
        failed_starts: 0,
        start_again: None,
        ledger,
        stop: None,
        forecast,
        outcome,
    };
    let result = sweep.until_done(db, &events, display);
    display.finish();
    let starting = std::mem::take(&mut sweep.starting);
    match &result {
        Ok(()) => sweep.crew.dismiss(&starting),
        Err(_) => sweep.abandon(),
    }
    sweep.outcome.time = start.elapsed();
    // An interrupt that came when all was under way has changed nothing.
    if let Some(stop) = sweep.stop.take()
        && sweep.outcome.not_run() > 0
    {
        sweep.outcome.ending = stop.ending;
    }
    let ending = match result {
        Ok(()) => sweep.outcome.ending.record(),
        Err(_) => SweepEnding::Error,
    };
    let already = interrupts.count();
    let mut told = false;
    let closed = sweep.ledger.close(db, &sweep.outcome.counts(None), ending, || {
        if !told && start.elapsed() > sweep.outcome.time + Duration::from_secs(2) {
            told = true;
            display.note(
                "another process has locked the database; waiting for it (ctrl-c: leave the last rows \
                 to the next sweep)",
            );
        }
        interrupts.count() > already
    });
    result?;
    match closed {
        // The message of a full disk is on its way; the artefacts hold what the database lacks.
        Err(error)
            if matches!(sweep.outcome.ending, Ending::DiskFull(_))
                && causes::is_disk_full(&error) => {}
        Err(error) if error.is_busy() => sweep.outcome.ending = Ending::Interrupted,
        other => other?,
    }
    Ok(sweep.outcome)
}

/// Records what the store holds of a plan; returns which stages are done, and the forecast for the others.
fn look(
    db: &mut Database,
    ledger: &mut Ledger,
    store: &ArtefactStore,
    plan: &Plan,
    interrupts: &Interrupts,
    outcome: &mut Outcome,
    display: &Display,
) -> Result<(Vec<bool>, Forecast), RunError> {
    let found = stocktake::take(store, plan, || interrupts.count() > 0)?;
    let done: Vec<bool> = found.iter().map(|f| matches!(f, Found::Whole(_))).collect();
    outcome.reused = done.iter().filter(|&&d| d).count();
    ledger.record_found(db, plan, found.iter().map(Found::manifest))?;
    for (planned, found) in plan.stages.iter().zip(&found) {
        if let Found::Damaged(reason) = found {
            outcome.damaged += 1;
            display.note(&format!("{} is computed anew: {reason}", label(planned)));
        }
    }
    if outcome.reused < outcome.total && interrupts.count() == 0 {
        stocktake::check_outside_inputs(store, plan, &done)?;
    }
    let left = plan.stages.iter().zip(&done).filter(|&(_, &done)| !done);
    let history = History::new(&db.observations(&StageKind::ALL)?);
    let forecast = Forecast::new(&history, left.map(|(s, _)| &s.stage));
    Ok((done, forecast))
}

/// The workers that the settings ask for.
fn crew(settings: &Settings, store: &ArtefactStore, events: &Sender<Event>) -> Box<dyn Crew> {
    let Settings { slots, worker, limits, .. } = settings;
    match &settings.launcher {
        Launcher::Local => Box::new(LocalCrew::new(slots, worker, limits.stall, store, events)),
        Launcher::Slurm(options) => Box::new(SlurmCrew::new(options, settings, store, events)),
    }
}

/// A stage for people: `agent 1a2b3c4d5e6f`.
fn label(planned: &PlannedStage) -> String {
    format!("{} {}", planned.stage.kind, planned.key.short())
}

struct Running {
    attempt: AttemptId,
    slot: usize,
    since: Instant,
    /// When it is killed for having run too long.
    deadline: Option<Instant>,
    timed_out: bool,
    /// Whether any other stage ran at some time meanwhile.
    beside: bool,
    /// Whether nothing may begin beside it.
    alone: bool,
}

struct Stop {
    ending: Ending,
    /// When running stages are killed.
    deadline: Option<Instant>,
    killed: bool,
}

/// A worker that has greeted.
#[derive(Clone, Debug)]
struct Present {
    name: String,
    job: Option<String>,
}

struct Sweep<'a> {
    plan: &'a Plan,
    store: &'a ArtefactStore,
    settings: &'a Settings,
    queue: Queue,
    /// By stage: whether it was done before.
    reused: Vec<bool>,
    /// How often the artefact of a stage was found damaged.
    damages: BTreeMap<usize, u32>,
    crew: Box<dyn Crew>,
    /// By slot; `None` where there is none.
    workers: Vec<Option<Present>>,
    starting: Vec<usize>,
    idle: Vec<usize>,
    /// By stage, until it is published.
    running: BTreeMap<usize, Running>,
    retries: Retries,
    /// Workers that were killed before they greeted, since the last that did.
    failed_starts: u32,
    /// No worker is started before.
    start_again: Option<Instant>,
    ledger: Ledger,
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
            for stage in self.retries.due() {
                self.queue.put_back(stage);
            }
            self.start_workers();
            self.begin(display);
            self.write(db, display)?;
            let nothing_to_start =
                self.stop.is_some() || self.queue.ready() + self.retries.waiting() == 0;
            if self.running.is_empty() && nothing_to_start {
                return Ok(());
            }
            display.time_left(self.time_left());
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
            self.enforce_deadlines();
        }
    }

    /// How long to wait for an event: until the next thing that is due by the clock.
    fn patience(&self) -> Duration {
        let stop = self.stop.as_ref().filter(|s| !s.killed).and_then(|s| s.deadline);
        let timeouts = self.running.values().filter(|r| !r.timed_out).filter_map(|r| r.deadline);
        let due = [stop, self.retries.next_due(), self.start_again];
        let next = due.into_iter().flatten().chain(timeouts).min();
        let second = Duration::from_secs(1);
        next.map_or(second, |at| second.min(at.saturating_duration_since(Instant::now())))
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        if let Some(stop) = &mut self.stop
            && !stop.killed
            && stop.deadline.is_some_and(|at| now >= at)
        {
            stop.killed = true;
            self.crew.kill();
        }
        for running in self.running.values_mut() {
            if !running.timed_out && running.deadline.is_some_and(|at| now >= at) {
                running.timed_out = true;
                self.crew.kill_one(running.slot);
            }
        }
    }

    /// Writes what is due. A full disk stops the sweep; what could not be written is tried again at the
    /// end.
    fn write(&mut self, db: &mut Database, display: &mut Display) -> Result<(), DatabaseError> {
        let left = self.time_left();
        match self.ledger.write(db, &self.outcome.counts(left)) {
            Err(error) if causes::is_disk_full(&error) => {
                if self.stop.is_none() {
                    display.note(&format!("{}: {error}", db.path().display()));
                    self.stop_soon(Ending::DiskFull(error.to_string()));
                }
                Ok(())
            }
            other => other,
        }
    }

    fn hear(&mut self, event: Event, display: &mut Display) -> Result<(), RunError> {
        match event {
            Event::Ready { slot, worker, job } => {
                self.starting.retain(|&s| s != slot);
                self.workers[slot] = Some(Present { name: worker, job });
                self.idle.push(slot);
                self.failed_starts = 0;
            }
            Event::CannotStart { slot, error } => {
                self.starting.retain(|&s| s != slot);
                self.failed_starts += 1;
                if self.stop.is_some() {
                    return Ok(());
                }
                if !error.is_passing() || self.failed_starts >= self.settings.limits.crash_limit {
                    return Err(error.into());
                }
                display.note(&format!("{error}; trying again"));
                self.start_again = Some(Instant::now() + self.settings.limits.back_off);
            }
            Event::Progress { stage, progress } => {
                display.progress(stage, &progress);
                if let Some(running) = self.running.get(&stage) {
                    self.ledger.progress(running.attempt, progress);
                }
            }
            Event::Free { slot, has_worker: true } => self.idle.push(slot),
            Event::Free { slot, has_worker: false } => {
                self.idle.retain(|&s| s != slot);
                self.workers[slot] = None;
            }
            Event::Ended { stage, end } => self.end(stage, *end, display)?,
            Event::Note(text) => display.note(&text),
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

    /// Kills all workers after an error of the sweep itself; what ran is left for the next one.
    fn abandon(&mut self) {
        self.crew.kill();
        for (stage, running) in std::mem::take(&mut self.running) {
            let wall_s = running.since.elapsed().as_secs_f64();
            let mut end =
                AttemptEnd::new(AttemptState::Interrupted, utc(SystemTime::now()), wall_s);
            end.error = Some("the sweep ended by an error".to_owned());
            self.ledger.end(running.attempt, end);
            self.ledger.state(&self.plan.stages[stage].key, StageState::Pending);
        }
    }

    fn time_left(&self) -> Option<Duration> {
        let kind = |(&stage, running): (&usize, &Running)| {
            (self.plan.stages[stage].stage.kind, running.since.elapsed())
        };
        let running: Vec<_> = self.running.iter().map(kind).collect();
        self.forecast.left(self.workers.len(), &running)
    }
}

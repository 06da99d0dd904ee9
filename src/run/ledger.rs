//! What is to be written into the database, in order, until it is. A reader may keep the database of a
//! shared file system locked for as long as it likes: the sweep goes on meanwhile, and writes later.

use super::protocol::Progress;
use crate::plan::{Plan, StageKey};
use crate::store::{
    AttemptEnd, AttemptId, AttemptStart, Database, DatabaseError, Manifest, StageState,
    SweepCounts, SweepEnding, SweepId, SweepStart,
};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

/// How often the database hears how far running stages are: what `advrec watch` shows.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);
/// How long a write waits for the lock while stages run, and between them.
const PATIENCE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(1);

/// How often the write-ahead log is moved into the database; while a reader holds it up, each time after
/// twice as long, up to the second.
const CHECKPOINT_EVERY: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(60)];

enum Write {
    Start(Box<AttemptStart>),
    End(AttemptId, Box<AttemptEnd>),
    Artefact(Box<Manifest>),
    State(StageKey, StageState),
}

/// The writes of a sweep.
pub struct Ledger {
    sweep: SweepId,
    writes: Vec<Write>,
    /// Of running attempts: the last that was heard.
    progress: BTreeMap<AttemptId, Progress>,
    next: AttemptId,
    attempts: HashMap<StageKey, u64>,
    /// When progress was written last.
    told: Option<Instant>,
    /// When the lock could not be had.
    refused: Option<Instant>,
    /// When the write-ahead log was looked at last, and how long it is left alone.
    checkpoint: (Instant, Duration),
}

impl Ledger {
    /// Begins a sweep: what a killed one left running is ended.
    ///
    /// # Errors
    /// If the database cannot be read and written.
    pub fn open(db: &mut Database, start: &SweepStart) -> Result<Self, DatabaseError> {
        db.end_left_over_attempts()?;
        let sweep = db.batch(|batch| batch.start_sweep(start))?;
        db.checkpoint_by_hand()?;
        Ok(Self {
            sweep,
            writes: Vec::new(),
            progress: BTreeMap::new(),
            next: db.next_attempt()?,
            attempts: db.attempt_counts()?,
            told: None,
            refused: None,
            checkpoint: (Instant::now(), CHECKPOINT_EVERY[0]),
        })
    }

    /// Records what the store holds of a plan, before anything runs.
    ///
    /// # Errors
    /// If the database cannot be read and written.
    pub fn record_found<'a>(
        &mut self,
        db: &mut Database,
        plan: &Plan,
        found: impl Iterator<Item = Option<&'a Manifest>>,
    ) -> Result<(), DatabaseError> {
        db.batch(|batch| {
            for (planned, manifest) in plan.stages.iter().zip(found) {
                match manifest {
                    Some(manifest) => batch.record_artefact(manifest)?,
                    None => batch.set_stage_state(&planned.key, StageState::Pending)?,
                }
            }
            Ok(())
        })?;
        // An artefact of which the database did not know has brought the attempt that made it.
        self.next = db.next_attempt()?;
        self.attempts = db.attempt_counts()?;
        Ok(())
    }

    /// How many attempts at a stage there are, those of earlier sweeps among them.
    pub fn attempts(&self, key: &StageKey) -> u64 {
        self.attempts.get(key).copied().unwrap_or(0)
    }

    /// Begins an attempt; `fill` gets its number and the sweep's.
    pub fn start(&mut self, fill: impl FnOnce(AttemptId, SweepId) -> AttemptStart) -> AttemptId {
        let id = self.next;
        self.next = id.next();
        let start = fill(id, self.sweep);
        *self.attempts.entry(start.key.clone()).or_default() += 1;
        self.writes.push(Write::Start(Box::new(start)));
        id
    }

    /// Ends an attempt.
    pub fn end(&mut self, id: AttemptId, end: AttemptEnd) {
        self.progress.remove(&id);
        self.writes.push(Write::End(id, Box::new(end)));
    }

    /// Records an artefact and its stage as done.
    pub fn artefact(&mut self, manifest: Box<Manifest>) {
        self.writes.push(Write::Artefact(manifest));
    }

    /// Sets a stage's state.
    pub fn state(&mut self, key: &StageKey, state: StageState) {
        self.writes.push(Write::State(key.clone(), state));
    }

    /// Notes how far a running attempt is; of several before the next write, the last one counts.
    pub fn progress(&mut self, id: AttemptId, progress: Progress) {
        self.progress.insert(id, progress);
    }

    /// Writes what is due in one transaction. A locked database is tried again later.
    ///
    /// # Errors
    /// If it cannot be written for any other reason; what is due stays due.
    pub fn write(&mut self, db: &mut Database, counts: &SweepCounts) -> Result<(), DatabaseError> {
        let telling = self.told.is_none_or(|at| at.elapsed() >= PROGRESS_EVERY);
        if self.writes.is_empty() && !telling {
            return Ok(());
        }
        if self.refused.is_some_and(|at| at.elapsed() < RETRY) {
            return Ok(());
        }
        let written = db.batch_within(PATIENCE, |batch| {
            for write in &self.writes {
                match write {
                    Write::Start(start) => batch.start_attempt(start)?,
                    Write::End(attempt, end) => batch.end_attempt(*attempt, end)?,
                    Write::Artefact(manifest) => batch.record_artefact(manifest)?,
                    Write::State(key, state) => batch.set_stage_state(key, *state)?,
                }
            }
            if telling {
                for (id, Progress { done, total, note }) in &self.progress {
                    batch.set_progress(*id, *done, *total, note)?;
                }
            }
            // With every write, so that who reads the one sees the other.
            batch.update_sweep(self.sweep, counts)
        });
        match written {
            Err(error) if error.is_busy() => {
                self.refused = Some(Instant::now());
                return Ok(());
            }
            other => other?,
        }
        self.refused = None;
        self.writes.clear();
        if telling {
            self.progress.clear();
            self.told = Some(Instant::now());
        }
        self.move_log(db)
    }

    /// Moves the write-ahead log into the database now and then.
    fn move_log(&mut self, db: &Database) -> Result<(), DatabaseError> {
        let [first, longest] = CHECKPOINT_EVERY;
        let (last, pause) = self.checkpoint;
        if last.elapsed() >= pause {
            let pause = if db.checkpoint()? { first } else { longest.min(2 * pause) };
            self.checkpoint = (Instant::now(), pause);
        }
        Ok(())
    }

    /// Writes all that is left, and that the sweep is over. Waits for a locked database; `waiting` is told
    /// once when that takes long, and asked whether to give up.
    ///
    /// # Errors
    /// If the database cannot be written. What is lost stands in the manifests of the artefacts, too.
    pub fn close(
        mut self,
        db: &mut Database,
        counts: &SweepCounts,
        ending: SweepEnding,
        mut give_up: impl FnMut() -> bool,
    ) -> Result<(), DatabaseError> {
        self.told = None;
        loop {
            self.refused = None;
            self.write(db, counts)?;
            let ended = match self.refused {
                None => db.batch_within(PATIENCE, |batch| batch.end_sweep(self.sweep, ending)),
                Some(_) => Err(DatabaseError::busy()),
            };
            match ended {
                Err(error) if error.is_busy() && !give_up() => std::thread::sleep(PATIENCE),
                Err(error) => return Err(error),
                // Readers come and go, as `advrec serve` does: the last to leave would not do this for us.
                Ok(()) => return db.empty_log(PATIENCE),
            }
        }
    }
}

//! Why a stage is done, will run, or waits.

use super::{ArtefactStore, Database, DatabaseError, RecordedAttempt, StageState, SweepState};
use crate::plan::{Change, Plan, PlannedStage, Records, StageKey, StageKind};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

/// So many stages are read at a time in the search for the nearest one.
const COMPARED: usize = 500;

/// What is known of a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    pub kind: StageKind,
    pub key: StageKey,
    /// Numbers of the cells that use it, from 1.
    pub cells: Vec<usize>,
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Stages that have to be done before it.
    pub waits_for: Vec<Wait>,
    /// Kinds, its own or of what it needs, of which the record is of another version than this program's:
    /// the next sweep computes them anew, under other keys.
    pub outdated: Vec<StageKind>,
}

/// How a stage stands, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verdict {
    /// Its artefact is whole. The attempt is missing where another database saw it.
    Done {
        attempt: Option<RecordedAttempt>,
    },
    /// Its artefact is missing or damaged, and all that would need it is done.
    NotNeeded,
    Running {
        attempt: Option<RecordedAttempt>,
    },
    Failed {
        attempts: usize,
        last: Option<RecordedAttempt>,
    },
    /// Its artefact is there and not as it was written.
    Damaged {
        reason: String,
    },
    /// It was done, and its artefact is gone.
    Gone {
        attempt: Option<RecordedAttempt>,
    },
    /// It was begun, and stopped or lost its worker.
    Begun {
        attempts: usize,
        last: RecordedAttempt,
        nearest: Option<Nearest>,
    },
    /// It was never done.
    New {
        nearest: Option<Nearest>,
    },
}

/// The stage of the same kind that differs least.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nearest {
    pub key: StageKey,
    /// When it was last done.
    pub done: Option<String>,
    /// Whether it belongs to the same plan: nothing of an earlier one resembles the stage.
    pub in_plan: bool,
    pub changes: Vec<Change>,
}

/// A stage that another one waits for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wait {
    pub kind: StageKind,
    pub key: StageKey,
    /// As in the database, or `planned`, `damaged`, `its artefact is gone`.
    pub state: String,
    pub error: Option<String>,
}

/// What explanations are made from.
pub struct Explainer<'a> {
    pub database: Option<&'a Database>,
    pub plan: &'a Plan,
    /// Of the stages that are explained and all that they need: what the database knows, else the plan.
    pub records: &'a Records,
    /// For each stage, what its artefact is.
    pub artefacts: &'a [Artefact],
    /// For each stage, whether it has to run.
    pub to_run: &'a [bool],
}

/// What the store has of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Artefact {
    There,
    Absent,
    /// There, and not as it was written.
    Damaged(String),
}

impl Artefact {
    /// What the store has of each stage of a plan: of those that the stages `looked_at` need, and of these,
    /// every file is read.
    pub fn of(plan: &Plan, store: &ArtefactStore, looked_at: &[usize]) -> Vec<Self> {
        let read = plan.with_needs(looked_at);
        let stages = plan.stages.iter().enumerate();
        stages
            .map(|(index, planned)| match store.contains(planned.stage.kind, &planned.key) {
                false => Self::Absent,
                true if !read.contains(&index) => Self::There,
                true => match store.verify(planned.stage.kind, &planned.key) {
                    Ok(_) => Self::There,
                    Err(error) => Self::Damaged(error.to_string()),
                },
            })
            .collect()
    }
}

impl Explainer<'_> {
    /// Explains a stage of the plan.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn explain(&self, index: usize) -> Result<Explanation, DatabaseError> {
        let planned = &self.plan.stages[index];
        let cells = self.plan.cells.iter().enumerate();
        let cells = cells.filter(|(_, cell)| cell.stages.contains(&index)).map(|(i, _)| i + 1);
        let verdict = self.verdict(index)?;
        let waits = matches!(verdict, Verdict::Done { .. } | Verdict::NotNeeded);
        Ok(Explanation {
            kind: planned.stage.kind,
            key: planned.key.clone(),
            cells: cells.collect(),
            verdict,
            waits_for: if waits { Vec::new() } else { self.waits(index)? },
            outdated: self.outdated(index),
        })
    }

    fn outdated(&self, index: usize) -> Vec<StageKind> {
        let chain = self.plan.with_needs(&[index]);
        let recorded = |stage: &usize| {
            let planned = &self.plan.stages[*stage];
            Some((planned.stage.kind, self.records.stages.get(&planned.key)?.version))
        };
        let recorded = chain.iter().filter_map(recorded);
        let outdated = recorded.filter(|(kind, version)| *version != kind.version());
        outdated.map(|(kind, _)| kind).collect::<BTreeSet<_>>().into_iter().collect()
    }

    fn verdict(&self, index: usize) -> Result<Verdict, DatabaseError> {
        let planned = &self.plan.stages[index];
        let key = &planned.key;
        let (state, mut attempts) = self.history(key)?;
        let count = attempts.len();
        let last_done = attempts.iter().rposition(|attempt| attempt.state == "done");
        if self.artefacts[index] == Artefact::There {
            return Ok(Verdict::Done { attempt: last_done.map(|at| attempts.swap_remove(at)) });
        }
        let is = |known: StageState| state.as_deref() == Some(known.name());
        if is(StageState::Running)
            && let Some(database) = self.database
            && database.last_sweep()?.is_some_and(|sweep| sweep.state == SweepState::Running)
        {
            return Ok(Verdict::Running { attempt: attempts.pop() });
        }
        if !self.to_run[index] {
            return Ok(Verdict::NotNeeded);
        }
        if let Artefact::Damaged(reason) = &self.artefacts[index] {
            return Ok(Verdict::Damaged { reason: reason.clone() });
        }
        if is(StageState::Failed) {
            return Ok(Verdict::Failed { attempts: count, last: attempts.pop() });
        }
        if last_done.is_some() || is(StageState::Done) {
            return Ok(Verdict::Gone { attempt: last_done.map(|at| attempts.swap_remove(at)) });
        }
        Ok(match attempts.pop() {
            Some(last) => Verdict::Begun { attempts: count, last, nearest: self.nearest(planned)? },
            None => Verdict::New { nearest: self.nearest(planned)? },
        })
    }

    /// The nearest stage of an earlier plan; if there is none, of this one.
    fn nearest(&self, own: &PlannedStage) -> Result<Option<Nearest>, DatabaseError> {
        let Some(database) = self.database else { return Ok(None) };
        let planned: HashSet<&StageKey> = self.plan.stages.iter().map(|s| &s.key).collect();
        let (of_plan, earlier): (Vec<_>, Vec<_>) = database
            .once_done(own.stage.kind)?
            .into_iter()
            .filter(|key| *key != own.key)
            .partition(|key| planned.contains(key));
        for (keys, in_plan) in [(earlier, false), (of_plan, true)] {
            let mut best: Option<(usize, Nearest)> = None;
            // A few at a time: all stages of a large database would fill the memory.
            for some in keys.chunks(COMPARED) {
                let mut records = self.records.clone();
                database.add_records(some.to_vec(), &mut records)?;
                let some: HashSet<&StageKey> = some.iter().collect();
                let Some((distance, key)) = records.nearest(&own.key, |key| some.contains(key))
                else {
                    continue;
                };
                if best.as_ref().is_none_or(|(least, _)| distance < *least) {
                    let key = key.clone();
                    let done = records.stages.get(&key).and_then(|stage| stage.done.clone());
                    let changes = records.changes(&own.key, &key);
                    best = Some((distance, Nearest { key, done, in_plan, changes }));
                }
                // Nothing is nearer, and what is as near is earlier.
                if distance <= 1 {
                    break;
                }
            }
            if let Some((_, nearest)) = best {
                return Ok(Some(nearest));
            }
        }
        Ok(None)
    }

    /// The inputs that are not there, and before them what has failed or runs.
    fn waits(&self, index: usize) -> Result<Vec<Wait>, DatabaseError> {
        let direct = &self.plan.stages[index].needs;
        let mut open: Vec<usize> = direct.clone();
        let mut seen = HashSet::new();
        let mut waits = Vec::new();
        while let Some(at) = open.pop() {
            if self.artefacts[at] == Artefact::There || !seen.insert(at) {
                continue;
            }
            let planned = &self.plan.stages[at];
            open.extend(&planned.needs);
            let (state, mut attempts) = self.history(&planned.key)?;
            let state = match (&self.artefacts[at], state.as_deref()) {
                (Artefact::Damaged(_), _) => "damaged",
                (_, Some("done")) => "its artefact is gone",
                (_, state) => state.unwrap_or("planned"),
            }
            .to_owned();
            let failed = state == StageState::Failed.name();
            if failed || state == StageState::Running.name() || direct.contains(&at) {
                let error = attempts.pop().filter(|_| failed).and_then(|attempt| attempt.error);
                let (kind, key) = (planned.stage.kind, planned.key.clone());
                waits.push((at, Wait { kind, key, state, error }));
            }
        }
        waits.sort_by_key(|(at, _)| *at);
        Ok(waits.into_iter().map(|(_, wait)| wait).collect())
    }

    fn history(
        &self,
        key: &StageKey,
    ) -> Result<(Option<String>, Vec<RecordedAttempt>), DatabaseError> {
        match self.database {
            Some(database) => Ok((database.stage_state(key)?, database.attempts_at(key)?)),
            None => Ok((None, Vec::new())),
        }
    }
}

//! Why a stage is done, will run, or waits.

use super::{ArtefactStore, Database, DatabaseError, RecordedAttempt, StageState};
use crate::plan::{Change, Plan, Records, StageKey, StageKind};
use serde::Serialize;
use std::collections::{BTreeSet, HashSet};

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
    /// Those of the database and of the plan.
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
            && database.sweep_lives()?
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
            Some(last) => Verdict::Begun { attempts: count, last, nearest: self.nearest(key) },
            None => Verdict::New { nearest: self.nearest(key) },
        })
    }

    /// The nearest stage of an earlier plan; if there is none, of this one.
    fn nearest(&self, key: &StageKey) -> Option<Nearest> {
        let planned: HashSet<&StageKey> = self.plan.stages.iter().map(|s| &s.key).collect();
        let earlier = self.records.nearest(key, |other| !planned.contains(other));
        let (found, in_plan) = match earlier {
            Some(found) => (found, false),
            None => (self.records.nearest(key, |_| true)?, true),
        };
        let (other, recorded) = found;
        let changes = self.records.changes(key, other);
        Some(Nearest { key: other.clone(), done: recorded.done.clone(), in_plan, changes })
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

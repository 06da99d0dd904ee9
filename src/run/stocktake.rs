//! What of a plan the store already holds, whole.

use super::RunError;
use crate::plan::{Plan, StageKey, StageKind};
use crate::store::{ArtefactStore, Manifest};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// The state of one planned stage's artefact.
#[derive(Debug)]
pub enum Found {
    Whole(Box<Manifest>),
    Absent,
    /// Was there and damaged; now it is removed.
    Damaged(String),
}

impl Found {
    /// The manifest of a whole artefact.
    pub fn manifest(&self) -> Option<&Manifest> {
        match self {
            Self::Whole(manifest) => Some(manifest),
            _ => None,
        }
    }
}

/// Verifies every artefact of the plan that is there, and removes the damaged ones. `cancelled` is
/// asked before each.
///
/// # Errors
/// If the store cannot be read, or a damaged artefact cannot be removed.
pub fn take(
    store: &ArtefactStore,
    plan: &Plan,
    cancelled: impl Fn() -> bool + Sync,
) -> Result<Vec<Found>, RunError> {
    let look = |kind: StageKind, key: &StageKey| -> Result<Found, RunError> {
        if cancelled() || !store.path(kind, key).exists() {
            return Ok(Found::Absent);
        }
        match store.verify(kind, key) {
            Ok(manifest) => Ok(Found::Whole(Box::new(manifest))),
            Err(error) if error.is_damage() => {
                store.remove(kind, key)?;
                Ok(Found::Damaged(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    };
    plan.stages.par_iter().map(|s| look(s.stage.kind, &s.key)).collect()
}

/// Verifies the artefacts made outside the plan that its unfinished stages need.
///
/// # Errors
/// If one is missing or damaged.
pub fn check_outside_inputs(
    store: &ArtefactStore,
    plan: &Plan,
    done: &[bool],
) -> Result<(), RunError> {
    let inside: BTreeSet<&StageKey> = plan.stages.iter().map(|s| &s.key).collect();
    let mut seen = BTreeSet::new();
    for (planned, _) in plan.stages.iter().zip(done).filter(|&(_, &done)| !done) {
        for input in &planned.stage.inputs {
            if inside.contains(&input.key) || !seen.insert(&input.key) {
                continue;
            }
            let verified = match kind_of_role(&input.role) {
                Some(kind) => store.verify(kind, &input.key).map_err(|e| e.to_string()),
                None => Err("no stage makes such an input".to_owned()),
            };
            if let Err(reason) = verified {
                return Err(RunError::Input {
                    stage: planned.stage.kind,
                    role: input.role.clone(),
                    key: input.key.short().to_owned(),
                    reason,
                });
            }
        }
    }
    Ok(())
}

/// The kind of stage that makes the input with this role.
pub fn kind_of_role(role: &str) -> Option<StageKind> {
    StageKind::named(role)
}

//! What stages took before: the ground of predictions.

use super::datasets::stage_key;
use super::{Database, DatabaseError, StageState};
use crate::plan::{StageKey, StageKind};
use rusqlite::params;
use serde_json::{Map, Value};

/// Most stages of a kind and state that are looked at, the latest first.
const MOST: usize = 2000;

/// A stage that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    pub kind: StageKind,
    pub params: Map<String, Value>,
    /// Its graph, or the dataset where it has no graph.
    pub source: Option<StageKey>,
    /// With that of the attempts from which the last one went on.
    pub wall_s: f64,
    /// Of its artefact.
    pub bytes: Option<u64>,
}

impl Database {
    /// Attempts that were done, of each kind the latest ones. A database of an earlier version knows no
    /// sizes.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn observations(&self, kinds: &[StageKind]) -> Result<Vec<Observation>, DatabaseError> {
        let column = "SELECT 1 FROM pragma_table_info('stages') WHERE name = 'bytes'";
        let bytes = match self.connection.prepare(column)?.exists([])? {
            true => "s.bytes",
            false => "NULL",
        };
        // The index of kinds and states is in the order of rows: nothing is sorted.
        let mut statement = self.connection.prepare(&format!(
            "SELECT s.params, a.wall_s + CASE WHEN ?3 THEN coalesce((
                     SELECT sum(p.wall_s) FROM attempts p
                     WHERE p.stage_key = s.key AND p.id < a.id AND p.state IN ('interrupted', 'lost')
                         AND NOT EXISTS (
                             SELECT 1 FROM attempts d WHERE d.stage_key = s.key AND d.state = 'done'
                                 AND d.id BETWEEN p.id AND a.id - 1)), 0) ELSE 0 END, {bytes},
                 (SELECT input_key FROM stage_inputs WHERE stage_key = s.key
                  AND role IN ('graph', 'dataset') ORDER BY role DESC LIMIT 1)
             FROM (SELECT * FROM stages WHERE kind = ?1 AND state = ?2
                   ORDER BY rowid DESC LIMIT {MOST}) s
             JOIN attempts a ON a.stage_key = s.key
             WHERE a.state = 'done' AND a.wall_s IS NOT NULL"
        ))?;
        let mut observations = Vec::new();
        for &kind in kinds {
            for state in StageState::ALL {
                let mut rows =
                    statement.query(params![kind.name(), state.name(), kind.resumes()])?;
                while let Some(row) = rows.next()? {
                    let text = row.get_ref(0)?.as_str().unwrap_or_default();
                    // One that cannot be read teaches nothing.
                    let Ok(params) = serde_json::from_str(text) else { continue };
                    let bytes = row.get::<_, Option<i64>>(2)?.map(i64::unsigned_abs);
                    let source = row.get::<_, Option<String>>(3)?.map(stage_key).transpose()?;
                    let wall_s = row.get(1)?;
                    observations.push(Observation { kind, params, source, wall_s, bytes });
                }
            }
        }
        Ok(observations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Plan, PlannedStage, Stage};
    use crate::store::{
        AttemptEnd, AttemptStart, AttemptState, GridRow, SweepStart, database::Database,
    };

    #[test]
    fn what_was_gone_on_from_counts_and_what_was_begun_anew_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        let kinds = [StageKind::Agent, StageKind::Rollout];
        let planned = kinds.map(|kind| {
            let stage = Stage::new(kind, Map::new(), Vec::new());
            PlannedStage { key: stage.key(), stage, needs: Vec::new(), cells: 0 }
        });
        let plan = Plan { stages: planned.to_vec(), cells: Vec::new() };
        let grid = |text: &str| text.to_owned();
        let row =
            GridRow { name: grid("g"), digest: grid("d"), text: grid(""), path: grid("g.yaml") };
        db.record_grid(&row, &plan).unwrap();
        let sweep = db.batch(|batch| batch.start_sweep(&SweepStart::default())).unwrap();
        use AttemptState::{Done, Failed, Interrupted, Lost};
        for stage in &planned {
            // Done; failed, which is no matter; then cut off twice, and done again.
            for (state, wall_s) in [
                (Interrupted, 4.0),
                (Done, 8.0),
                (Failed, 16.0),
                (Lost, 32.0),
                (Interrupted, 64.0),
                (Done, 1.0),
            ] {
                let id = db.next_attempt().unwrap();
                let start = AttemptStart {
                    id,
                    sweep,
                    key: stage.key.clone(),
                    worker: String::new(),
                    slot: 0,
                    job: None,
                    log: "log".into(),
                    started: "2026-01-31T12:00:00.000Z".to_owned(),
                };
                let end = AttemptEnd::new(state, start.started.clone(), wall_s);
                db.batch(|batch| {
                    batch.start_attempt(&start)?;
                    batch.end_attempt(id, &end)
                })
                .unwrap();
            }
        }
        let seconds = |kind| -> Vec<f64> {
            db.observations(&[kind]).unwrap().iter().map(|seen| seen.wall_s).collect()
        };
        assert_eq!(seconds(StageKind::Agent), [12.0, 97.0]);
        assert_eq!(seconds(StageKind::Rollout), [8.0, 1.0]);
    }
}

//! What stages took before: the ground of predictions.

use super::datasets::stage_key;
use super::{Database, DatabaseError, StageState};
use crate::plan::{StageKey, StageKind};
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
            "SELECT s.params, a.wall_s, {bytes},
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
                let mut rows = statement.query([kind.name(), state.name()])?;
                while let Some(row) = rows.next()? {
                    let params = row.get_ref(0)?.as_str().unwrap_or_default();
                    // One that cannot be read teaches nothing.
                    let Ok(params) = serde_json::from_str(params) else { continue };
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

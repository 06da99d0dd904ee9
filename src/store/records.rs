//! Stages, cells and attempts as the database remembers them.

use super::datasets::stage_key;
use super::{Database, DatabaseError};
use crate::plan::{
    Cell, Params, Plan, PlannedStage, RecordedStage, Records, Stage, StageInput, StageKey,
    StageKind,
};
use rusqlite::{OptionalExtension, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// A grid of the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordedGrid {
    #[serde(skip)]
    pub id: i64,
    pub name: String,
    pub digest: String,
    /// The file, as it was given.
    pub path: String,
    /// Start of the last sweep.
    pub swept: String,
}

/// An attempt to run a stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecordedAttempt {
    pub attempt: i64,
    pub state: String,
    pub worker: String,
    pub started: String,
    pub ended: Option<String>,
    pub wall_s: Option<f64>,
    pub cpu_s: Option<f64>,
    pub peak_mib: Option<f64>,
    pub error: Option<String>,
    pub log_path: Option<String>,
    /// Program, libtorch, device and host, as the worker gave them.
    pub provenance: Value,
}

impl RecordedAttempt {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let provenance: Option<String> = row.get("provenance")?;
        Ok(Self {
            attempt: row.get("id")?,
            state: row.get("state")?,
            worker: row.get("worker")?,
            started: row.get("started")?,
            ended: row.get("ended")?,
            wall_s: row.get("wall_s")?,
            cpu_s: row.get("cpu_s")?,
            peak_mib: row.get("peak_mib")?,
            error: row.get("error")?,
            log_path: row.get("log_path")?,
            // The table takes valid JSON alone.
            provenance: provenance.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default(),
        })
    }
}

/// What stands in a column of JSON.
fn parsed<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text)
        .map_err(|e| DatabaseError::Malformed { what: what.to_owned(), reason: e.to_string() })
}

impl Database {
    /// The grid that was swept last: of this name, or of all.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn latest_grid(&self, name: Option<&str>) -> Result<Option<RecordedGrid>, DatabaseError> {
        let found = self.connection.query_row(
            "SELECT id, name, digest, path, swept FROM grids WHERE ?1 IS NULL OR name = ?1
             ORDER BY swept DESC, id DESC LIMIT 1",
            [name],
            |row| {
                Ok(RecordedGrid {
                    id: row.get("id")?,
                    name: row.get("name")?,
                    digest: row.get("digest")?,
                    path: row.get("path")?,
                    swept: row.get("swept")?,
                })
            },
        );
        Ok(found.optional()?)
    }

    /// Every stage of the database, with the names of datasets and imported weights.
    ///
    /// # Errors
    /// If the database cannot be read, or a stage is of a kind that this program does not know.
    pub fn records(&self) -> Result<Records, DatabaseError> {
        let mut inputs = self.inputs()?;
        let mut statement = self.connection.prepare(
            "SELECT key, kind, version, params,
                 (SELECT max(coalesce(ended, started)) FROM attempts
                  WHERE stage_key = key AND attempts.state = 'done') AS done
             FROM stages ORDER BY rowid",
        )?;
        let mut rows = statement.query([])?;
        let mut records = Records::default();
        while let Some(row) = rows.next()? {
            let key = stage_key(row.get("key")?)?;
            let kind: String = row.get("kind")?;
            let kind = StageKind::named(&kind).ok_or_else(|| DatabaseError::Malformed {
                what: format!("stage {}", key.short()),
                reason: format!("there is no kind {kind}"),
            })?;
            let params = parsed(row.get_ref("params")?.as_str().unwrap_or_default(), "parameters")?;
            let stage = Stage::new(kind, params, inputs.remove(&key).unwrap_or_default());
            let order = records.stages.len();
            let (version, done) = (row.get("version")?, row.get("done")?);
            records.stages.insert(key, RecordedStage { stage, version, done, order });
        }
        let mut statement = self.connection.prepare(
            "SELECT key, name FROM datasets UNION ALL SELECT embedding_key, id FROM imports
             UNION ALL SELECT agent_key, id FROM imports",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            records.names.insert(stage_key(row.get(0)?)?, row.get(1)?);
        }
        Ok(records)
    }

    /// The inputs of every stage that has any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn inputs(&self) -> Result<HashMap<StageKey, Vec<StageInput>>, DatabaseError> {
        let mut statement =
            self.connection.prepare("SELECT stage_key, role, input_key FROM stage_inputs")?;
        let mut rows = statement.query([])?;
        let mut inputs: HashMap<StageKey, Vec<StageInput>> = HashMap::new();
        while let Some(row) = rows.next()? {
            let input = StageInput { role: row.get(1)?, key: stage_key(row.get(2)?)? };
            inputs.entry(stage_key(row.get(0)?)?).or_default().push(input);
        }
        Ok(inputs)
    }

    /// The plan of a grid as it was recorded, with stages that only other stages need (rollouts that a
    /// detector is trained on). `records` are [`Database::records`].
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn recorded_plan(&self, grid: i64, records: &Records) -> Result<Plan, DatabaseError> {
        let mut cells: Vec<(Cell, Vec<StageKey>)> = Vec::new();
        let mut places: HashMap<i64, usize> = HashMap::new();
        let mut statement = self
            .connection
            .prepare("SELECT id, params, axes FROM cells WHERE grid_id = ?1 ORDER BY ordinal")?;
        let mut rows = statement.query([grid])?;
        while let Some(row) = rows.next()? {
            let text = |column| Ok::<_, DatabaseError>(row.get_ref(column)?.as_str().unwrap_or(""));
            let params: Params = parsed(text("params")?, "the parameters of a cell")?;
            let axes = parsed(text("axes")?, "the axes of a cell")?;
            places.insert(row.get("id")?, cells.len());
            cells.push((Cell { params, axes, stages: Vec::new() }, Vec::new()));
        }
        let mut statement = self.connection.prepare(
            "SELECT cell_id, stage_key FROM cell_stages
             WHERE cell_id IN (SELECT id FROM cells WHERE grid_id = ?1)",
        )?;
        let mut rows = statement.query([grid])?;
        while let Some(row) = rows.next()? {
            if let Some(&place) = places.get(&row.get(0)?) {
                cells[place].1.push(stage_key(row.get(1)?)?);
            }
        }
        let mut plan = Plan::default();
        let mut indices = HashMap::new();
        for (mut cell, keys) in cells {
            let stages =
                keys.iter().filter_map(|key| insert(key, records, &mut plan, &mut indices));
            cell.stages = stages.collect();
            for &stage in &cell.stages {
                plan.stages[stage].cells += 1;
            }
            plan.cells.push(cell);
        }
        Ok(plan)
    }

    /// A stage's state; `None` where the database does not know the stage.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn stage_state(&self, key: &StageKey) -> Result<Option<String>, DatabaseError> {
        let mut statement =
            self.connection.prepare_cached("SELECT state FROM stages WHERE key = ?1")?;
        Ok(statement.query_row([key.as_str()], |row| row.get(0)).optional()?)
    }

    /// Whether a sweep was heard of within the last minute. One that was killed has no end.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn sweep_lives(&self) -> Result<bool, DatabaseError> {
        let sql = "SELECT 1 FROM sweeps WHERE ended IS NULL
                   AND heard > strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-60 seconds')";
        Ok(self.connection.prepare_cached(sql)?.exists([])?)
    }

    /// All attempts at a stage, the first one first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn attempts_at(&self, key: &StageKey) -> Result<Vec<RecordedAttempt>, DatabaseError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT * FROM attempts WHERE stage_key = ?1 ORDER BY id")?;
        let rows = statement.query_map([key.as_str()], RecordedAttempt::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Bytes of the artefacts of stages whose artefact was made at some time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn artefact_bytes(&self, key: &StageKey) -> Result<Option<u64>, DatabaseError> {
        let mut statement =
            self.connection.prepare_cached("SELECT bytes FROM stages WHERE key = ?1")?;
        let bytes = statement.query_row([key.as_str()], |row| row.get::<_, Option<i64>>(0));
        Ok(bytes.optional()?.flatten().map(i64::unsigned_abs))
    }
}

/// Adds a stage after all that it needs; `None` for what is made outside all stages.
fn insert(
    key: &StageKey,
    records: &Records,
    plan: &mut Plan,
    indices: &mut HashMap<StageKey, usize>,
) -> Option<usize> {
    if let Some(&index) = indices.get(key) {
        return Some(index);
    }
    // As deep as a chain of stages is long: a key is a hash over its inputs, so none is its own.
    let stage = &records.stages.get(key)?.stage;
    let needs: BTreeSet<usize> = stage
        .inputs
        .iter()
        .filter_map(|input| insert(&input.key, records, plan, indices))
        .collect();
    let needs = needs.into_iter().collect();
    plan.stages.push(PlannedStage { stage: stage.clone(), key: key.clone(), needs, cells: 0 });
    indices.insert(key.clone(), plan.stages.len() - 1);
    Some(plan.stages.len() - 1)
}

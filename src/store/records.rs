//! Stages, cells and attempts as the database remembers them.

use super::datasets::stage_key;
use super::{Database, DatabaseError};
use crate::plan::{
    Cell, Params, Plan, PlannedStage, RecordedStage, Records, Stage, StageInput, StageKey,
    StageKind,
};
use rusqlite::{OptionalExtension, Row, params};
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

    /// Stages with all that they need, as far as the database knows them, and the names of datasets and
    /// imported weights.
    ///
    /// # Errors
    /// If the database cannot be read, or a stage is of a kind that this program does not know.
    pub fn records<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a StageKey>,
    ) -> Result<Records, DatabaseError> {
        let mut records = Records::default();
        self.add_records(keys.into_iter().cloned().collect(), &mut records)?;
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

    /// Adds stages, with all that they need, to those that are known.
    pub(super) fn add_records(
        &self,
        mut open: Vec<StageKey>,
        records: &mut Records,
    ) -> Result<(), DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT rowid, version,
                 (SELECT max(coalesce(ended, started)) FROM attempts
                  WHERE stage_key = key AND attempts.state = 'done') AS done
             FROM stages WHERE key = ?1",
        )?;
        while let Some(key) = open.pop() {
            if records.stages.contains_key(&key) {
                continue;
            }
            let Some(stage) = self.stage(&key)? else { continue };
            open.extend(stage.inputs.iter().map(|input| input.key.clone()));
            let recorded = statement.query_row([key.as_str()], |row| {
                let (order, version, done) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(RecordedStage { stage, version, done, order })
            })?;
            records.stages.insert(key, recorded);
        }
        Ok(())
    }

    /// A stage; `None` where the database does not know it.
    fn stage(&self, key: &StageKey) -> Result<Option<Stage>, DatabaseError> {
        let mut statement =
            self.connection.prepare_cached("SELECT kind, params FROM stages WHERE key = ?1")?;
        let mut rows = statement.query([key.as_str()])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let kind: String = row.get(0)?;
        let kind = StageKind::named(&kind).ok_or_else(|| DatabaseError::Malformed {
            what: format!("stage {}", key.short()),
            reason: format!("there is no kind {kind}"),
        })?;
        let params = parsed(row.get_ref(1)?.as_str().unwrap_or_default(), "parameters")?;
        Ok(Some(Stage::new(kind, params, self.inputs(key)?)))
    }

    /// The inputs of a stage.
    pub(super) fn inputs(&self, key: &StageKey) -> Result<Vec<StageInput>, DatabaseError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT role, input_key FROM stage_inputs WHERE stage_key = ?1")?;
        let mut rows = statement.query([key.as_str()])?;
        let mut inputs = Vec::new();
        while let Some(row) = rows.next()? {
            inputs.push(StageInput { role: row.get(0)?, key: stage_key(row.get(1)?)? });
        }
        Ok(inputs)
    }

    /// Keys of the stages of a kind that were done at some time, the latest first.
    pub(super) fn once_done(&self, kind: StageKind) -> Result<Vec<StageKey>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM stages WHERE kind = ?1 AND EXISTS (
                 SELECT 1 FROM attempts a WHERE a.stage_key = key AND a.state = 'done')
             ORDER BY rowid DESC",
        )?;
        let rows = statement.query_map([kind.name()], |row| row.get(0))?;
        rows.map(|key| stage_key(key?)).collect()
    }

    /// A stage whose key begins with these digits, of whatever grid.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn stage_beginning(
        &self,
        digits: &str,
    ) -> Result<Option<(String, StageKey)>, DatabaseError> {
        // No digit of a key is greater than f.
        let sql = "SELECT kind, key FROM stages WHERE key >= ?1 AND key < ?1 || 'g' LIMIT 1";
        let found = self.connection.query_row(sql, [digits], |row| Ok((row.get(0)?, row.get(1)?)));
        let Some((kind, key)) = found.optional()? else { return Ok(None) };
        Ok(Some((kind, stage_key(key)?)))
    }

    /// The cells of a grid, without their stages: all of them, or the one at this place, from 0.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn recorded_cells(
        &self,
        grid: &RecordedGrid,
        place: Option<usize>,
    ) -> Result<Vec<Cell>, DatabaseError> {
        let mut statement = self.connection.prepare(
            "SELECT params, axes FROM cells
             WHERE grid_id = ?1 AND (?2 IS NULL OR ordinal = ?2) ORDER BY ordinal",
        )?;
        let mut rows = statement.query(params![grid.id, place.map(|place| place as i64)])?;
        let mut cells: Vec<Cell> = Vec::new();
        while let Some(row) = rows.next()? {
            let text = |column| Ok::<_, DatabaseError>(row.get_ref(column)?.as_str().unwrap_or(""));
            let mut params: Params = parsed(text(0)?, "the parameters of a cell")?;
            if let Some(before) = cells.last() {
                params = params.sharing(&before.params);
            }
            let axes = parsed(text(1)?, "the axes of a cell")?;
            cells.push(Cell { params, axes, stages: Vec::new() });
        }
        Ok(cells)
    }

    /// The plan of a grid as it was recorded, or of its cell at this place, from 0: with stages that
    /// only other stages need (rollouts that a detector is trained on). [`PlannedStage::cells`] counts
    /// the cells of the plan.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn recorded_plan(
        &self,
        grid: &RecordedGrid,
        place: Option<usize>,
    ) -> Result<Plan, DatabaseError> {
        let mut plan = Plan { cells: self.recorded_cells(grid, place)?, ..Plan::default() };
        let mut statement = self.connection.prepare(
            "SELECT c.ordinal, s.stage_key FROM cells c CROSS JOIN cell_stages s ON s.cell_id = c.id
             WHERE c.grid_id = ?1 AND (?2 IS NULL OR c.ordinal = ?2) ORDER BY c.ordinal",
        )?;
        let mut rows = statement.query(params![grid.id, place.map(|place| place as i64)])?;
        let mut indices = HashMap::new();
        while let Some(row) = rows.next()? {
            // Cells are numbered without gaps.
            let ordinal = usize::try_from(row.get::<_, i64>(0)?).unwrap_or(usize::MAX);
            let at = if place.is_some() { 0 } else { ordinal };
            let key = stage_key(row.get(1)?)?;
            if let Some(stage) = self.insert(&key, &mut plan, &mut indices)?
                && let Some(cell) = plan.cells.get_mut(at)
            {
                cell.stages.push(stage);
                plan.stages[stage].cells += 1;
            }
        }
        Ok(plan)
    }

    /// Adds a stage after all that it needs; `None` for what is made outside all stages.
    fn insert(
        &self,
        key: &StageKey,
        plan: &mut Plan,
        indices: &mut HashMap<StageKey, usize>,
    ) -> Result<Option<usize>, DatabaseError> {
        if let Some(&index) = indices.get(key) {
            return Ok(Some(index));
        }
        let Some(stage) = self.stage(key)? else { return Ok(None) };
        let mut needs = BTreeSet::new();
        for input in &stage.inputs {
            // As deep as a chain of stages is long: a key is a hash over its inputs, so none is its own.
            needs.extend(self.insert(&input.key, plan, indices)?);
        }
        let needs = needs.into_iter().collect();
        plan.stages.push(PlannedStage { stage, key: key.clone(), needs, cells: 0 });
        indices.insert(key.clone(), plan.stages.len() - 1);
        Ok(Some(plan.stages.len() - 1))
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

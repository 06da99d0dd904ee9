//! All that is known of how a cell's results came about.

use super::{Database, DatabaseError, RecordedAttempt, RecordedGrid};
use crate::plan::{Cell, Metric, Records, StageInput, StageKey, StageKind};
use rusqlite::Row;
use serde::Serialize;
use serde_json::{Map, Value};

/// A stage with its attempts and results.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageHistory {
    pub kind: StageKind,
    pub key: StageKey,
    /// Whether it is among the cell's stages; others are only needed by those.
    pub own: bool,
    pub version: u32,
    pub params: Map<String, Value>,
    pub inputs: Vec<StageInput>,
    pub state: Option<String>,
    /// Of its artefact.
    pub bytes: Option<u64>,
    pub attempts: Vec<RecordedAttempt>,
    pub metrics: Vec<Metric>,
}

/// Something that no stage makes: a dataset, imported weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// What the stage calls it that reads it.
    pub role: String,
    pub key: StageKey,
    /// What grids call it; `None` for weights that are no longer registered.
    pub name: Option<String>,
    /// Where a dataset came from, for people.
    pub origin: Option<String>,
}

/// A cell with the chain of stages behind it, each after those that it needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CellHistory {
    pub grid: RecordedGrid,
    /// From 1.
    pub cell: usize,
    pub params: Map<String, Value>,
    pub axes: Vec<String>,
    pub stages: Vec<StageHistory>,
    pub sources: Vec<Source>,
}

impl Database {
    /// The history of the cell at this place of a grid, from 0; `None` where there is no such cell.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn cell_history(
        &self,
        grid: &RecordedGrid,
        place: usize,
    ) -> Result<Option<CellHistory>, DatabaseError> {
        let plan = self.recorded_plan(grid, Some(place))?;
        let Some(cell) = plan.cells.first() else { return Ok(None) };
        let records = self.records(plan.stages.iter().map(|stage| &stage.key))?;
        let mut stages = Vec::new();
        let mut sources: Vec<Source> = Vec::new();
        for (index, planned) in plan.stages.iter().enumerate() {
            let key = &planned.key;
            for input in &planned.stage.inputs {
                let known = sources.iter().any(|source| source.key == input.key);
                if !known && !records.stages.contains_key(&input.key) {
                    sources.push(self.source(input, cell, &records)?);
                }
            }
            let version = records.stages.get(key).map_or(0, |recorded| recorded.version);
            stages.push(StageHistory {
                kind: planned.stage.kind,
                key: key.clone(),
                own: cell.stages.contains(&index),
                version,
                params: planned.stage.params.clone(),
                inputs: planned.stage.inputs.clone(),
                state: self.stage_state(key)?,
                bytes: self.artefact_bytes(key)?,
                attempts: self.attempts_at(key)?,
                metrics: self.metrics_of(key)?,
            });
        }
        Ok(Some(CellHistory {
            grid: grid.clone(),
            cell: place + 1,
            params: cell.params.to_map(),
            axes: cell.axes.clone(),
            stages,
            sources,
        }))
    }

    fn source(
        &self,
        input: &StageInput,
        cell: &Cell,
        records: &Records,
    ) -> Result<Source, DatabaseError> {
        let of_cell = match input.role == StageKind::Dataset.name() {
            true => cell.params.text("dataset").map(str::to_owned),
            false => None,
        };
        let name = of_cell.or_else(|| records.names.get(&input.key).cloned());
        let dataset = name.as_deref().map(|name| self.dataset(name)).transpose()?.flatten();
        // The name may stand for another dataset by now.
        let origin = dataset.filter(|row| row.key == input.key).map(|row| row.source);
        Ok(Source { role: input.role.clone(), key: input.key.clone(), name, origin })
    }

    /// The metrics of a stage by name and split.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn metrics_of(&self, key: &StageKey) -> Result<Vec<Metric>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT name, split, value, n, lower, upper FROM metrics WHERE stage_key = ?1
             ORDER BY name, split",
        )?;
        let read = |row: &Row<'_>| {
            Ok(Metric {
                name: row.get(0)?,
                split: row.get(1)?,
                value: row.get(2)?,
                n: row.get::<_, i64>(3)?.unsigned_abs(),
                lower: row.get(4)?,
                upper: row.get(5)?,
            })
        };
        let metrics = statement.query_map([key.as_str()], read)?;
        Ok(metrics.collect::<Result<_, _>>()?)
    }
}

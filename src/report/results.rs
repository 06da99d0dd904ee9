//! The results of single cells, which the views give means of: every seed's own.

use super::database::{ReportError, failed};
use crate::plan::{Cell, Params};
use rusqlite::Connection;
use std::collections::{BTreeSet, HashMap};

/// Kinds of stages that have results, those first that a name of a metric is looked for in first.
const KINDS: [&str; 6] = ["ranking", "detection", "rollout", "drift", "detector", "direct"];

/// A metric as stages of a kind report it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName {
    pub kind: String,
    pub split: String,
    pub name: String,
}

/// The cells of the grids that were swept last under their names, with their stages that are done.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// In the order of their grids.
    pub cells: Vec<CellResult>,
}

/// A cell, and the stages that hold its results.
#[derive(Clone, Debug)]
pub struct CellResult {
    pub grid: String,
    /// Its parameters; the stages are not in it.
    pub cell: Cell,
    /// Keys by kind.
    pub stages: Vec<(String, String)>,
}

impl Results {
    /// Reads the cells of one grid, or of all.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Self, ReportError> {
        let what = "the cells";
        let sql = "SELECT c.id, g.name, c.params, c.axes
            FROM cells c JOIN latest_grids g ON g.id = c.grid_id
            WHERE ?1 IS NULL OR g.name = ?1 ORDER BY g.name, c.ordinal";
        let mut statement = db.prepare(sql).map_err(failed(what))?;
        let mut rows = statement.query([grid]).map_err(failed(what))?;
        let (mut results, mut places) = (Self::default(), HashMap::new());
        while let Some(row) = rows.next().map_err(failed(what))? {
            let text = |at: usize| row.get::<_, String>(at).map_err(failed(what));
            let json = |source| ReportError::Json { what: "the parameters of a cell", source };
            let params: Params = serde_json::from_str(&text(2)?).map_err(json)?;
            let axes = serde_json::from_str(&text(3)?).map_err(json)?;
            places.insert(row.get::<_, i64>(0).map_err(failed(what))?, results.cells.len());
            let cell = Cell { params, axes, stages: Vec::new() };
            results.cells.push(CellResult { grid: text(1)?, cell, stages: Vec::new() });
        }
        let sql = "SELECT cs.cell_id, s.kind, s.key
            FROM cell_stages cs JOIN stages s ON s.key = cs.stage_key
            WHERE s.state = 'done'
              AND s.kind IN ('ranking', 'detection', 'rollout', 'drift', 'detector', 'direct')";
        let mut statement = db.prepare(sql).map_err(failed(what))?;
        let mut rows = statement.query([]).map_err(failed(what))?;
        while let Some(row) = rows.next().map_err(failed(what))? {
            let mut add = || -> rusqlite::Result<()> {
                if let Some(&place) = places.get(&row.get::<_, i64>(0)?) {
                    results.cells[place].stages.push((row.get(1)?, row.get(2)?));
                }
                Ok(())
            };
            add().map_err(failed(what))?;
        }
        Ok(results)
    }
}

impl CellResult {
    /// The key of its stage of a kind; of drift, which compares several, the first.
    pub fn stage(&self, kind: &str) -> Option<&str> {
        let stage = self.stages.iter().find(|(of, _)| of == kind);
        stage.map(|(_, key)| key.as_str())
    }
}

/// Every metric that stages which are done have, in the order in which its name is looked for.
///
/// # Errors
/// If the database cannot be read.
pub fn metric_names(db: &Connection) -> Result<Vec<MetricName>, ReportError> {
    let what = "the names of metrics";
    let sql = "SELECT DISTINCT s.kind, m.split, m.name
        FROM stages s JOIN metrics m ON m.stage_key = s.key WHERE s.state = 'done'";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([], |row| {
        Ok(MetricName { kind: row.get(0)?, split: row.get(1)?, name: row.get(2)? })
    });
    let names: Result<BTreeSet<MetricName>, _> = rows.map_err(failed(what))?.collect();
    let mut names: Vec<_> = names.map_err(failed(what))?.into_iter().collect();
    names.retain(|name| KINDS.contains(&name.kind.as_str()));
    names.sort_by_key(|name| KINDS.iter().position(|kind| *kind == name.kind));
    Ok(names)
}

/// The values of one metric by the key of their stage.
///
/// # Errors
/// If the database cannot be read.
pub fn values(db: &Connection, metric: &MetricName) -> Result<HashMap<String, f64>, ReportError> {
    let what = "the metrics";
    let sql = "SELECT s.key, m.value FROM stages s JOIN metrics m ON m.stage_key = s.key
        WHERE s.state = 'done' AND s.kind = ?1 AND m.name = ?2 AND m.split = ?3";
    let mut statement = db.prepare_cached(sql).map_err(failed(what))?;
    let rows = statement.query_map([&metric.kind, &metric.name, &metric.split], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    rows.map_err(failed(what))?.collect::<Result<_, _>>().map_err(failed(what))
}

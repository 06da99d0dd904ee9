//! Drift between the cells of a grid, from the view `drift`: beside the rows of Table 1, and as a matrix
//! of all attacks where a grid compares all.

use super::database::{ReportError, failed};
use super::markdown;
use super::table1::{Block, Estimate, ResultRow};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Drift of a row's paths from those of another cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftFrom {
    pub attack: String,
    pub epsilon: Option<f64>,
    pub users: Option<String>,
    /// The other cell's attack with all its parameters.
    pub other: Map<String, Json>,
    /// By metric: `mmd_biased`, `mmd2_unbiased`, `p_value`, `bandwidth`.
    pub values: BTreeMap<String, Estimate>,
}

/// Adds drift to the rows that it belongs to.
pub(super) fn read(
    db: &Connection,
    grid: Option<&str>,
    blocks: &mut [Block],
) -> Result<(), ReportError> {
    let what = "the view `drift`";
    let sql = "SELECT grid, parameters, metric, value, lower, upper, n FROM drift
        WHERE split = 'all' AND (?1 IS NULL OR grid = ?1) ORDER BY parameters, metric";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let grid: String = row.get(0)?;
            let parameters: String = row.get(1)?;
            let mut parameters: Map<String, Json> =
                serde_json::from_str(&parameters).unwrap_or_default();
            let Some(Json::Object(other)) = parameters.remove("other") else { return Ok(()) };
            let metric: String = row.get(2)?;
            let estimate = Estimate {
                mean: row.get(3)?,
                lower: row.get(4)?,
                upper: row.get(5)?,
                n: row.get::<_, i64>(6)?.unsigned_abs(),
                ambiguous: false,
            };
            let own = blocks.iter_mut().filter(|b| b.grid == grid).flat_map(|b| &mut b.rows);
            for row in own.filter(|r| r.setting.agent != "direct") {
                if row.setting.parameters == parameters {
                    row.add_drift(&other, &metric, estimate);
                }
            }
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(())
}

impl ResultRow {
    fn add_drift(&mut self, other: &Map<String, Json>, metric: &str, estimate: Estimate) {
        let at = self.drift.iter().position(|d| d.other == *other).unwrap_or_else(|| {
            let text = |name: &str| other.get(name).and_then(Json::as_str).map(str::to_owned);
            self.drift.push(DriftFrom {
                attack: text("attack").unwrap_or_default(),
                epsilon: other.get("epsilon").and_then(Json::as_f64),
                users: text("rollout.users"),
                other: other.clone(),
                values: BTreeMap::new(),
            });
            self.drift.len() - 1
        });
        self.drift[at].values.insert(metric.to_owned(), estimate);
    }

    /// Drift from another row's paths.
    fn drift_from(&self, other: &ResultRow) -> Option<&Estimate> {
        let same = |d: &&DriftFrom| {
            d.other.iter().all(|(name, value)| other.setting.parameters.get(name) == Some(value))
                && other.setting.attack == d.attack
        };
        self.drift.iter().find(same)?.values.get("mmd_biased")
    }
}

impl Block {
    /// The matrix of all compared rows as Markdown; nothing where rows are compared with the paper's two
    /// references alone.
    pub(super) fn matrix_markdown(&self) -> String {
        let rows: Vec<&ResultRow> = self
            .rows
            .iter()
            .filter(|row| {
                let all = row.setting.parameters.get("drift.compare");
                all.and_then(Json::as_str) == Some("all") && !row.drift.is_empty()
            })
            .collect();
        if rows.is_empty() {
            return String::new();
        }
        let mut header = vec!["MMD".to_owned()];
        header.extend(rows.iter().map(|row| row.label.clone()));
        let lines: Vec<Vec<String>> = rows
            .iter()
            .map(|row| {
                let mut cells = vec![row.label.clone()];
                cells.extend(rows.iter().map(|other| {
                    row.drift_from(other).map_or("–".to_owned(), |e| format!("{:.3}", e.mean))
                }));
                cells
            })
            .collect();
        format!(
            "\n### Drift between all attacks\n\nMeans over seeds of the square root of the biased squared \
             MMD. On the diagonal, two halves of the same paths: what chance alone gives.\n\n{}",
            markdown::table(&header, &lines)
        )
    }
}

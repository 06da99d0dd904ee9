//! Drift between the cells of a grid, from the view `drift`: beside the rows of Table 1, and as a matrix
//! of all attacks where a grid compares all.

use super::database::{self, ReportError, failed};
use super::document::{Cell, Column, Row, Table};
use super::source::Source;
use super::table1::{Block, Estimate, ResultRow};
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, HashMap};

/// What the paper measures drift from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reference {
    Clean,
    L1,
}

/// The paper's two columns.
pub(super) const DRIFTS: [(Reference, &str); 2] =
    [(Reference::Clean, "MMD-org"), (Reference::L1, "MMD-l1")];

/// The ε of the paper's l1 attack.
const PAPER_L1: f64 = 0.1;

/// Drift of a row's paths from those of another cell.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DriftFrom {
    /// The other cell's attack with all its parameters, and its users.
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
        WHERE split = 'all' AND (?1 IS NULL OR grid = ?1) ORDER BY grid, parameters, metric";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let index = database::index(blocks);
    // The metrics of a comparison stand together; its parameters are read once.
    let mut last: Option<(String, String, Compared)> = None;
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, parameters): (String, String) = (row.get(0)?, row.get(1)?);
            if last.as_ref().is_none_or(|(g, p, _)| *g != grid || *p != parameters) {
                let compared = compared(&grid, &parameters, &index);
                last = Some((grid, parameters, compared));
            }
            let Some((_, _, Some((other, (block, at))))) = &last else { return Ok(()) };
            let estimate = Estimate {
                mean: row.get(3)?,
                lower: row.get(4)?,
                upper: row.get(5)?,
                n: row.get::<_, i64>(6)?.unsigned_abs(),
                ambiguous: false,
                skewed: false,
            };
            blocks[*block].rows[*at].add_drift(other, &row.get::<_, String>(2)?, estimate);
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(())
}

/// The other side of a comparison, and block and row of this one, where the table has it.
type Compared = Option<(Map<String, Json>, (usize, usize))>;

fn compared(
    grid: &str,
    parameters: &str,
    index: &HashMap<(String, String), (usize, usize)>,
) -> Compared {
    let mut parameters: Map<String, Json> = serde_json::from_str(parameters).unwrap_or_default();
    let Some(Json::Object(other)) = parameters.remove("other") else { return None };
    Some((other, *index.get(&database::identity(grid, &parameters))?))
}

impl ResultRow {
    fn add_drift(&mut self, other: &Map<String, Json>, metric: &str, estimate: Estimate) {
        let at = self.drift.iter().position(|d| d.other == *other).unwrap_or_else(|| {
            self.drift.push(DriftFrom { other: other.clone(), values: BTreeMap::new() });
            self.drift.len() - 1
        });
        self.drift[at].values.insert(metric.to_owned(), estimate);
    }

    /// Drift from another row's paths, where the two were compared.
    fn drift_from(&self, other: &ResultRow) -> Option<&DriftFrom> {
        // What the view gives as `other`: rows that differ in anything else are never compared.
        let of_attack = |name: &str| match name.split_once('.') {
            // A row has parameters of a detector only where its rollout or ranking depends on it.
            Some((section, _)) => {
                matches!(section, "transfer" | "adaptive" | "detector") || name == "rollout.users"
            }
            None => !matches!(name, "dataset" | "defense"),
        };
        let part = |row: &ResultRow, of_the_attack: bool| -> Map<String, Json> {
            let all = row.setting.parameters.clone().into_iter();
            all.filter(|(name, _)| {
                of_attack(name) == of_the_attack && name.as_str() != "drift.compare"
            })
            .collect()
        };
        if part(self, false) != part(other, false) {
            return None;
        }
        let attack = part(other, true);
        self.drift.iter().find(|d| d.other == attack)
    }

    /// The paper's MMD: from the clean paths, or from those under its l1 attack. Of several sets of
    /// users the row's own, where it is among them.
    pub(super) fn drift(&self, reference: Reference) -> Option<&Estimate> {
        self.compared_with(reference)?.values.get("mmd_biased")
    }

    /// The same with its source.
    pub(super) fn sourced_drift(&self, reference: Reference) -> (Cell, Option<Source>) {
        let compared = self.compared_with(reference);
        let source = compared.and_then(|drift| self.drift_source(&drift.other));
        (Cell::estimate(self.drift(reference), 3), source)
    }

    fn compared_with(&self, reference: Reference) -> Option<&DriftFrom> {
        let attack = match reference {
            Reference::Clean => "none",
            Reference::L1 => "fgsm_l1",
        };
        let users = self.setting.parameters.get("rollout.users");
        let fits = |d: &&DriftFrom| {
            d.other.get("attack").and_then(Json::as_str) == Some(attack)
                && !d.other.contains_key("adaptive.lambda")
        };
        let preferred = |d: &&DriftFrom| {
            let epsilon = d.other.get("epsilon").and_then(Json::as_f64);
            let paper = reference == Reference::Clean || epsilon == Some(PAPER_L1);
            (paper, d.other.get("rollout.users") == users)
        };
        self.drift.iter().filter(fits).max_by_key(preferred)
    }
}

impl Block {
    /// The matrix of all compared rows; nothing where rows are compared with the paper's two
    /// references alone.
    pub(super) fn matrix(&self) -> Option<Table> {
        let rows: Vec<&ResultRow> = self
            .rows
            .iter()
            .filter(|row| {
                let all = row.setting.parameters.get("drift.compare");
                all.and_then(Json::as_str) == Some("all") && !row.drift.is_empty()
            })
            .collect();
        if rows.is_empty() {
            return None;
        }
        let columns = rows.iter().map(|row| Column::alone(row.label.clone())).collect();
        let lines = rows.iter().map(|row| {
            let cells = rows.iter().map(|other| {
                let drift = row.drift_from(other);
                let mean = drift.and_then(|d| d.values.get("mmd_biased")).map(|e| e.mean);
                let source = drift.and_then(|d| row.drift_source(&d.other));
                (Cell::number(mean, 3), source)
            });
            Row::sourced(row.label.clone(), cells).under(&row.setting.attack)
        });
        let mut table =
            Table::plain("MMD", columns, lines.collect()).captioned("Drift between all attacks");
        table.intro = Some(
            "Means over seeds of the square root of the biased squared MMD. On the diagonal, two halves \
             of the same paths: what chance alone gives."
                .to_owned(),
        );
        Some(table)
    }
}

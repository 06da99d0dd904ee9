//! The queries behind the numbers of Table 1 and of what stands beside it.

use super::database::{ReportError, failed};
use super::document::Cell;
use super::source::{Keys, Source, conditions, literal};
use super::table1::{Block, ResultRow, Table1};
use rusqlite::Connection;
use serde_json::{Map, Value as Json, json};
use std::collections::HashSet;
use std::sync::Arc;

/// What chooses a row's results in the views.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// In the view `table1`.
    pub(super) table1: Arc<str>,
    /// In `drift` and `flags`, which know the same columns.
    pub(super) shared: Arc<str>,
}

impl Table1 {
    /// The same with the query behind every number.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(super) fn with_sources(
        mut self,
        db: &Connection,
        grid: Option<&str>,
    ) -> Result<Self, ReportError> {
        // What has no ranking yet may have drift, which the queries must not take for another row's.
        let others = if self.unfinished.is_empty() { Vec::new() } else { unranked(db, grid)? };
        let rows = || self.blocks.iter().flat_map(|b| b.rows.iter().map(move |row| (b, row)));
        let table1: Vec<Keys> = rows().map(|(block, row)| of_table1(block, row)).collect();
        let own = rows().map(|(block, row)| (&block.grid, &row.setting.parameters));
        let known: HashSet<_> = own.clone().collect();
        let others = others.iter().map(|(grid, parameters)| (grid, parameters));
        let others = others.filter(|other| !known.contains(other));
        let shared: Vec<Keys> = own.chain(others).map(|(g, p)| of_shared(g, p)).collect();
        let chosen = conditions(&table1).into_iter().zip(conditions(&shared));
        let chosen: Vec<Chosen> =
            chosen.map(|(table1, shared)| Chosen { table1, shared }).collect();
        let rows = self.blocks.iter_mut().flat_map(|block| &mut block.rows);
        rows.zip(chosen).for_each(|(row, chosen)| row.chosen = Some(chosen));
        Ok(self)
    }
}

fn of_table1<'a>(block: &Block, row: &'a ResultRow) -> Keys<'a> {
    let setting = &row.setting;
    // The reader gives an empty text for NULL.
    let text = |text: &str| if text.is_empty() { Json::Null } else { text.into() };
    Keys {
        named: vec![
            ("grid", text(&block.grid)),
            ("dataset", text(&block.dataset)),
            ("agent", text(&setting.agent)),
            ("attack", text(&setting.attack)),
        ],
        others: vec![
            ("epsilon", json!(setting.epsilon), true),
            ("users", text(&block.users), false),
            ("objective", json!(setting.objective), false),
            ("timing", json!(setting.timing), false),
            ("frequency", json!(setting.frequency), false),
            ("adaptive_lambda", json!(setting.adaptive_lambda), false),
            ("defense", json!(setting.defense.as_deref().unwrap_or("none")), false),
        ],
        parameters: &setting.parameters,
    }
}

fn of_shared<'a>(grid: &str, parameters: &'a Map<String, Json>) -> Keys<'a> {
    let of = |name: &str| parameters.get(name).cloned().unwrap_or_default();
    Keys {
        named: vec![("grid", grid.into()), ("dataset", of("dataset")), ("attack", of("attack"))],
        others: vec![("epsilon", of("epsilon"), true)],
        parameters,
    }
}

/// A grid and parameters.
type Combination = (String, Map<String, Json>);

/// Every combination of parameters that can have drift or flags, with its grid.
fn unranked(db: &Connection, grid: Option<&str>) -> Result<Vec<Combination>, ReportError> {
    let what = "the view `cell_results`";
    let sql =
        "SELECT DISTINCT grid, shared_parameters FROM cell_results WHERE ?1 IS NULL OR grid = ?1";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        let parameters: String = row.get(1)?;
        Ok((row.get(0)?, serde_json::from_str(&parameters).unwrap_or_default()))
    });
    rows.map_err(failed(what))?.collect::<Result<_, _>>().map_err(failed(what))
}

/// The condition that chooses a metric of a split.
pub(super) fn metric_of(split: &str, metric: &str) -> String {
    format!("split = '{split}' AND metric = '{metric}'")
}

impl ResultRow {
    /// Where a metric comes from; nothing where it is missing, or no single query gives it.
    pub(super) fn source(&self, split: &str, metric: &str) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        self.estimate(split, metric).filter(|estimate| !estimate.ambiguous)?;
        Some(Source::estimate("table1", &chosen.table1, &metric_of(split, metric)))
    }

    /// A metric with its source.
    pub(super) fn sourced(&self, split: &str, metric: &str) -> (Cell, Option<Source>) {
        (self.cell(split, metric, 3), self.source(split, metric))
    }

    /// The number of seeds with its source.
    pub(super) fn sourced_seeds(&self) -> (Cell, Option<Source>) {
        (Cell::Text(self.seeds()), self.of_table1("min(n), max(n)"))
    }

    /// The mean number of users without a full list, with its source.
    pub(super) fn sourced_left_out(&self) -> (Cell, Option<Source>) {
        (Cell::Text(self.left_out()), self.source("all", "users_left_out"))
    }

    /// Columns of all its rows in the view.
    pub(super) fn of_table1(&self, columns: &str) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        Some(Source::of_view("table1", columns, &chosen.table1, ""))
    }

    /// Where the change of a metric against another row comes from.
    pub(super) fn change_from(&self, clean: &Self, split: &str, metric: &str) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        let (ours, metric) = (self.source(split, metric)?, metric_of(split, metric));
        let clean = Source::of_view("table1", "value", &clean.chosen.as_ref()?.table1, &metric);
        let query = format!(
            "SELECT 100.0 * (ours.value - clean.value) / clean.value AS change FROM (SELECT value FROM \
             table1 WHERE {{}} AND {metric}) ours, ({}) clean",
            clean.sql()
        );
        Some(Source { query, row: chosen.table1.clone(), ..ours })
    }

    /// Where drift from the paths of another attack comes from. `other`: that attack as the view has it.
    pub(super) fn drift_source(&self, other: &Map<String, Json>) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        let drift = self.drift.iter().find(|drift| drift.other == *other)?;
        drift.values.get("mmd_biased").filter(|estimate| !estimate.ambiguous)?;
        let attack = |of: &Map<String, Json>| of.get("attack").cloned().unwrap_or_default();
        let alike = || {
            let others = self.drift.iter().map(|drift| &drift.other);
            others.filter(|of| attack(of) == attack(other))
        };
        let mut condition = match attack(other) {
            Json::Null => "other_attack IS NULL".to_owned(),
            id => format!("other_attack = {}", literal(&id)),
        };
        // As little of the other as tells it from those that this row was compared with, too.
        let mut names: Vec<&String> = alike().flat_map(|of| of.keys()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let wanted = name == "epsilon" && other.contains_key(name);
            if wanted || alike().any(|of| of.get(name) != other.get(name)) {
                let column = match name.as_str() {
                    "epsilon" => "other_epsilon".to_owned(),
                    name => format!("json_extract(parameters, '$.other.\"{name}\"')"),
                };
                condition += &match other.get(name) {
                    None | Some(Json::Null) => format!(" AND {column} IS NULL"),
                    Some(value) => format!(" AND {column} = {}", literal(value)),
                };
            }
        }
        let condition = format!("{condition} AND {}", metric_of("all", "mmd_biased"));
        Some(Source::estimate("drift", &chosen.shared, &condition))
    }

    /// Where a flag comes from.
    pub(super) fn flag_source(&self, flag: &str, columns: &str) -> Option<Source> {
        let chosen = self.chosen.as_ref()?;
        let condition = format!("flag = {}", literal(&flag.into()));
        Some(Source::of_view("flags", columns, &chosen.shared, &condition))
    }
}

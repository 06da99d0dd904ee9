//! How far the cells of the grids are, and what is missing.

use super::Section;
use super::sentence::{Sentence, list};
use super::tables::{self, Kind};
use crate::plan::Cell as GridCell;
use crate::report::database::failed;
use crate::report::document::{Cell, Column, Row, Table};
use crate::report::format::html::marked_up;
use crate::report::source::quoted;
use crate::report::{ReportError, Table1, Table2};
use rusqlite::Connection;
use std::fmt::Write as _;

/// Unfinished cells that are listed of a grid.
const LISTED: usize = 50;

/// A grid and how far its cells are.
pub struct GridCells {
    pub grid: String,
    pub path: String,
    pub cells: u64,
    pub done: u64,
    pub failed: u64,
    /// The first cells that are not done.
    open: Vec<Open>,
}

/// A cell that is not done.
struct Open {
    /// Its place in the grid, from 1.
    number: i64,
    label: String,
    /// The stages that hold it up, by their state.
    stages: [i64; 4],
}

/// The states that a stage of an unfinished cell is in, as the columns of its table.
const STATES: [&str; 4] = ["failed", "blocked", "running", "pending"];

/// Reads the grids that were swept last under their names.
pub fn read(db: &Connection, grid: Option<&str>) -> Result<Vec<GridCells>, ReportError> {
    let what = "the state of the cells";
    let sql = "
        SELECT grid, path, count(id), coalesce(sum(state = 0), 0), coalesce(sum(state = 2), 0) FROM (
            SELECT g.name AS grid, r.path, c.id,
                   max(CASE s.state WHEN 'done' THEN 0 WHEN 'failed' THEN 2 WHEN 'blocked' THEN 2 ELSE 1 END)
                       AS state
            FROM latest_grids g
            JOIN grids r ON r.id = g.id
            LEFT JOIN cells c ON c.grid_id = g.id
            LEFT JOIN cell_stages cs ON cs.cell_id = c.id
            LEFT JOIN stages s ON s.key = cs.stage_key
            WHERE ?1 IS NULL OR g.name = ?1
            GROUP BY g.id, c.id)
        GROUP BY grid ORDER BY grid";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(GridCells {
            grid: row.get(0)?,
            path: row.get(1)?,
            cells: count(2)?,
            done: count(3)?,
            failed: count(4)?,
            open: Vec::new(),
        })
    });
    let grids: Result<Vec<GridCells>, _> = rows.map_err(failed(what))?.collect();
    let mut grids = grids.map_err(failed(what))?;
    for of in grids.iter_mut().filter(|of| of.done < of.cells) {
        of.open = open(db, &of.grid)?;
    }
    Ok(grids)
}

fn open(db: &Connection, grid: &str) -> Result<Vec<Open>, ReportError> {
    let what = "the cells that are not done";
    let sum = |state: &str| format!("sum(s.state = '{state}')");
    let sql = format!(
        "SELECT c.ordinal, c.params, c.axes, {}
         FROM latest_grids g
         JOIN cells c ON c.grid_id = g.id
         JOIN cell_stages cs ON cs.cell_id = c.id
         JOIN stages s ON s.key = cs.stage_key
         WHERE g.name = ?1
         GROUP BY c.id HAVING sum(s.state <> 'done') > 0
         ORDER BY max(s.state IN ('failed', 'blocked')) DESC, c.ordinal LIMIT {LISTED}",
        STATES.map(sum).join(", ")
    );
    let mut statement = db.prepare(&sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed(what))? {
        let text = |at: usize| row.get::<_, String>(at).map_err(failed(what));
        let json = |source| ReportError::Json { what: "the parameters of a cell", source };
        let cell = GridCell {
            params: serde_json::from_str(&text(1)?).map_err(json)?,
            axes: serde_json::from_str(&text(2)?).map_err(json)?,
            stages: Vec::new(),
        };
        let count = |at: usize| row.get::<_, i64>(at).map_err(failed(what));
        found.push(Open {
            number: count(0)? + 1,
            label: cell.label(),
            stages: [count(3)?, count(4)?, count(5)?, count(6)?],
        });
    }
    Ok(found)
}

impl GridCells {
    /// Cells that are neither done nor failed.
    fn missing(&self) -> u64 {
        self.cells - self.done - self.failed
    }

    /// How many cells are in which state.
    pub fn sentence(&self) -> Sentence {
        let stages = "SELECT 1 FROM cell_stages JOIN stages ON stages.key = stage_key WHERE cell_id = cells.id";
        let count = format!(
            "SELECT count(*) FROM cells JOIN latest_grids ON latest_grids.id = grid_id WHERE name = {}",
            quoted(&self.grid)
        );
        let failed = format!("EXISTS ({stages} AND state IN ('failed', 'blocked'))");
        let open = format!("EXISTS ({stages} AND state <> 'done')");
        Sentence::new(&format!("Grid `{}`: ", self.grid))
            .count(self.done, "cells done", &format!("{count} AND NOT {open}"))
            .say(" of ")
            .count(self.cells, "cells", &count)
            .say(" cells done, ")
            .count(self.failed, "cells failed", &format!("{count} AND {failed}"))
            .say(" failed, ")
            .count(self.missing(), "cells missing", &format!("{count} AND {open} AND NOT {failed}"))
            .say(" still to come.")
    }

    /// What to type to have the rest.
    fn advice(&self) -> Option<String> {
        let Self { grid, path, .. } = self;
        // Sweeps that measure the program itself have no file.
        let file = if path.is_empty() { String::new() } else { format!(" {path}") };
        match (self.failed, self.missing()) {
            (0, 0) => None,
            (0, _) => Some(format!("Run `advrec sweep{file}` to go on with the grid `{grid}`.")),
            _ => Some(format!(
                "`advrec why NUMBER{file}` says why a cell of the grid `{grid}` has no result, `advrec rerun \
                 --failed` tries the failed ones again, and `advrec sweep{file}` does what is left."
            )),
        }
    }

    fn table(&self) -> Option<Table> {
        let rows: Vec<Row> = self
            .open
            .iter()
            .map(|open| {
                let stages = open.stages.map(|count| Cell::Text(count.to_string()));
                let label = if open.label.is_empty() { "the only cell" } else { &open.label };
                let number = Cell::Text(open.number.to_string());
                Row::new(label, [number].into_iter().chain(stages).collect())
            })
            .collect();
        let left_out = (self.cells - self.done).saturating_sub(self.open.len() as u64);
        let more = match left_out {
            0 => String::new(),
            n => format!("; {n} more are not listed, `advrec status --output json` has all"),
        };
        let columns = ["number"].into_iter().chain(STATES).map(Column::alone).collect();
        let caption =
            format!("Cells of `{}` without a result, with their stages by state{more}", self.grid);
        (!rows.is_empty()).then(|| Table::plain("cell", columns, rows).captioned(caption))
    }
}

/// Cells without a result, and results without a number.
pub fn missing(grids: &[GridCells], table1: &Table1, table2: Option<&Table2>) -> Section {
    let mut body = String::new();
    if grids.is_empty() {
        body += "<p>The database has no grid. Run <code>advrec sweep GRID.yaml</code> first; \
                 <code>experiments/quickstart.yaml</code> is the smallest.</p>\n";
    }
    for of in grids {
        if let Some(advice) = of.advice() {
            body += &list(&[of.sentence(), Sentence::new(&advice)]);
        }
        if let Some(table) = of.table() {
            body += &tables::written(&table, "Missing", Kind::Numbers);
        }
    }
    let without: Vec<Sentence> =
        without_numbers(table1, table2).iter().map(|s| Sentence::new(s)).collect();
    if !without.is_empty() {
        body += "<h3>Results without a number</h3>\n<p>What is undefined or not finite is never stored: a \
                 mean over fewer seeds, or none, stands in its place.</p>\n";
        body += &list(&without);
    }
    if let Some(sentence) = table1.single_seeds() {
        let _ = writeln!(body, "<h3>Intervals</h3>\n<p>{}</p>", marked_up(&sentence));
    }
    if body.is_empty() {
        body += "<p>Nothing: every cell is done, and every result has its numbers.</p>\n";
    }
    Section::new("missing", "Missing", body)
}

fn without_numbers(table1: &Table1, table2: Option<&Table2>) -> Vec<String> {
    let mut sentences = Vec::new();
    for block in &table1.blocks {
        for row in &block.rows {
            let name = format!("{}, `{}`", block.title(), row.label);
            if row.estimate("valid", "ndcg").is_none() {
                sentences.push(format!(
                    "{name}: no NDCG over users with a full list; where no user gets one, it is undefined."
                ));
            } else if row.seeds().contains('–') {
                let seeds = row.seeds();
                sentences
                    .push(format!("{name}: not every metric is there for every seed ({seeds})."));
            }
        }
    }
    for block in table2.into_iter().flat_map(|table| &table.blocks) {
        for row in &block.rows {
            let measures = ["precision", "recall", "f1", "auroc", "auprc", "fpr_at_95_tpr"];
            let missing: Vec<&str> =
                measures.into_iter().filter(|metric| row.estimate(metric).is_none()).collect();
            let name = format!("{}, {} on `{}`", block.place.title(), block.label, row.label);
            if !missing.is_empty() {
                sentences.push(format!("{name}: no {}.", missing.join(", ")));
            } else if row.seeds().contains('–') {
                let seeds = row.seeds();
                sentences
                    .push(format!("{name}: not every measure is there for every seed ({seeds})."));
            }
        }
    }
    sentences
}

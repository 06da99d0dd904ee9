//! What made the results: programs, machines, grids.

use super::Section;
use super::tables::{self, Kind};
use crate::report::ReportError;
use crate::report::database::failed;
use crate::report::document::{Cell, Column, Row, Table};
use crate::report::format::html::escaped;
use crate::report::source::{Source, literal};
use rusqlite::{Connection, Row as Found};
use serde_json::Value as Json;
use std::fmt::Write as _;
use std::sync::Arc;

/// Fields of an attempt's provenance, and what the page calls them.
const FIELDS: [(&str, &str); 6] = [
    ("version", "advrec"),
    ("git_commit", "commit"),
    ("libtorch", "libtorch"),
    ("cuda", "CUDA"),
    ("device_name", "device"),
    ("host", "host"),
];
/// Digits of a commit that are shown.
const COMMIT: usize = 12;
/// Stages of the cells of the grid `?1`, or of all.
pub(super) const STAGES: &str =
    "SELECT cs.stage_key FROM latest_grids g JOIN cells c ON c.grid_id = g.id
    JOIN cell_stages cs ON cs.cell_id = c.id WHERE g.name = ?1";

/// Reads what the attempts say of themselves, and the grids.
pub fn read(db: &Connection, grid: Option<&str>) -> Result<Section, ReportError> {
    let body = format!("{}{}", programs(db, grid)?, grids(db, grid)?);
    Ok(Section::new("provenance", "Provenance", body))
}

/// One combination of programs and machines.
struct Made {
    /// By the places of `FIELDS`.
    fields: Vec<Json>,
    dirty: bool,
    attempts: i64,
    first: String,
    last: String,
}

fn programs(db: &Connection, grid: Option<&str>) -> Result<String, ReportError> {
    let what = "the provenance of attempts";
    let fields =
        FIELDS.map(|(field, _)| format!("json_extract(provenance, '$.{field}')")).join(", ");
    let sql = format!(
        "SELECT count(*), min(started), max(started), coalesce(json_extract(provenance, '$.git_dirty'), 0) \
         AS dirty, {fields} FROM attempts WHERE provenance IS NOT NULL \
         AND json_extract(provenance, '$.version') IS NOT NULL \
         AND (?1 IS NULL OR stage_key IN ({STAGES})) GROUP BY dirty, {fields} ORDER BY 2"
    );
    let mut statement = db.prepare(&sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        let text = |at: usize| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
        let field =
            |at: usize| Ok(row.get::<_, Option<String>>(4 + at)?.map_or(Json::Null, Json::from));
        Ok(Made {
            fields: (0..FIELDS.len()).map(field).collect::<rusqlite::Result<_>>()?,
            dirty: row.get(3)?,
            attempts: row.get(0)?,
            first: text(1)?,
            last: text(2)?,
        })
    });
    let made: Result<Vec<Made>, _> = rows.map_err(failed(what))?.collect();
    let made = made.map_err(failed(what))?;
    if made.is_empty() {
        return Ok("<p>No attempt has said yet what made it.</p>\n".to_owned());
    }
    let mut columns: Vec<Column> =
        FIELDS[1..].iter().map(|(_, title)| Column::alone(*title)).collect();
    columns.extend(["attempts", "first", "last"].map(Column::alone));
    let rows = made.iter().map(|made| made.row(grid)).collect();
    let table =
        Table::plain(FIELDS[0].1, columns, rows).captioned("What the results were made with");
    Ok(tables::written(&table, "Provenance", Kind::Text))
}

impl Made {
    fn row(&self, grid: Option<&str>) -> Row {
        let text = |value: &Json| value.as_str().unwrap_or("–").to_owned();
        let mut fields = self.fields.iter().map(text);
        let version = fields.next().unwrap_or_default();
        let mut cells: Vec<(Cell, Option<Source>)> =
            fields.map(|f| (Cell::Text(f), None)).collect();
        if let Some((Cell::Text(commit), _)) = cells.first_mut() {
            *commit = commit.chars().take(COMMIT).collect();
            if self.dirty {
                *commit += " with uncommitted changes";
            }
        }
        let conditions = FIELDS.iter().zip(&self.fields).map(|((field, _), value)| {
            format!("json_extract(provenance, '$.{field}') IS {}", literal(value))
        });
        let dirty = format!(
            "coalesce(json_extract(provenance, '$.git_dirty'), 0) = {}",
            u8::from(self.dirty)
        );
        let within = grid.map(|grid| format!("stage_key IN ({})", stages_of(grid)));
        let conditions: Vec<String> = conditions.chain([dirty]).chain(within).collect();
        let row: Arc<str> = conditions.join(" AND ").into();
        let source = |columns: &str| Some(Source::of_view("runs", columns, &row, ""));
        cells.push((Cell::Text(self.attempts.to_string()), source("count(*)")));
        cells.push((Cell::Text(self.first.clone()), source("min(started)")));
        cells.push((Cell::Text(self.last.clone()), source("max(started)")));
        Row::sourced(version, cells)
    }
}

/// The query of the keys of a grid's stages.
pub(super) fn stages_of(grid: &str) -> String {
    let words: Vec<&str> = STAGES.split_whitespace().collect();
    words.join(" ").replace("?1", &literal(&grid.into()))
}

fn grids(db: &Connection, grid: Option<&str>) -> Result<String, ReportError> {
    let what = "the grids";
    let sql = "SELECT g.name, g.path, g.created, g.swept, g.yaml, g.digest FROM latest_grids l
        JOIN grids g ON g.id = l.id WHERE ?1 IS NULL OR g.name = ?1 ORDER BY g.name";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let described = |row: &Found<'_>| -> rusqlite::Result<String> {
        let text = |at: usize| row.get::<_, String>(at).map(|text| escaped(&text));
        let mut out = format!("<h3>Grid <code>{}</code></h3>\n", text(0)?);
        let _ = writeln!(
            out,
            "<p>From <code>{}</code>, first swept {}, last {}; digest <code>{:.12}</code>.</p>\n\
             <details>\n<summary>The grid as it was swept last</summary>\n\
             <pre tabindex=\"0\"><code>{}</code></pre>\n</details>",
            text(1)?,
            text(2)?,
            text(3)?,
            text(5)?,
            text(4)?
        );
        Ok(out)
    };
    let rows = statement.query_map([grid], described).map_err(failed(what))?;
    rows.collect::<Result<_, _>>().map_err(failed(what))
}

//! Reads what the reports need from the database, through its public views and column names.

use super::table1::{Block, Estimate, ResultRow, Setting, Unfinished};
use rusqlite::types::Value;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use thiserror::Error;

/// Why there is no report.
#[derive(Debug, Error)]
pub enum ReportError {
    #[error("could not read {what} from the database: {source}")]
    Database { what: &'static str, source: rusqlite::Error },
    #[error("the paper's numbers that the program carries are damaged: {0}")]
    Paper(#[from] serde_json::Error),
    #[error("the database has no grid `{name}`; {known}")]
    UnknownGrid { name: String, known: String },
    #[error("{what} in the database is no JSON: {source}")]
    Json { what: &'static str, source: serde_json::Error },
}

pub(super) fn failed(what: &'static str) -> impl FnOnce(rusqlite::Error) -> ReportError {
    move |source| ReportError::Database { what, source }
}

/// Names of the database's tables and views.
pub fn relations(db: &Connection) -> Result<BTreeSet<String>, ReportError> {
    let what = "the list of tables";
    let sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([], |row| row.get(0)).map_err(failed(what))?;
    rows.collect::<Result<_, _>>().map_err(failed(what))
}

/// Checks that the database has a grid of this name. `known`: the tables and views it has.
pub fn check_grid(
    db: &Connection,
    known: &BTreeSet<String>,
    name: &str,
) -> Result<(), ReportError> {
    let what = "the names of grids";
    let mut grids: BTreeSet<String> = BTreeSet::new();
    for (table, column) in [("grids", "name"), ("table1", "grid")] {
        if known.contains(table) {
            let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL");
            let mut statement = db.prepare(&sql).map_err(failed(what))?;
            let rows = statement.query_map([], |row| row.get(0)).map_err(failed(what))?;
            for row in rows {
                grids.insert(row.map_err(failed(what))?);
            }
        }
    }
    if grids.contains(name) {
        return Ok(());
    }
    let quoted: Vec<String> = grids.iter().map(|g| format!("`{g}`")).collect();
    let known = match quoted.as_slice() {
        [] => "it has none; run `advrec sweep GRID.yaml` first".to_owned(),
        list => format!("it has {}", list.join(", ")),
    };
    Err(ReportError::UnknownGrid { name: name.to_owned(), known })
}

/// Adds the rows of the view `table1` to blocks, which end in order.
pub fn read_rows(
    db: &Connection,
    grid: Option<&str>,
    blocks: &mut Vec<Block>,
) -> Result<(), ReportError> {
    let what = "the view `table1`";
    let sql = "SELECT * FROM table1 WHERE ?1 IS NULL OR grid = ?1";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let columns = statement.column_names();
    let has = |name: &str| columns.contains(&name);
    let optional = Optional {
        parameters: has("parameters"),
        detection: has("adaptive_lambda") && has("defense"),
    };
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut places = Places::new();
    while let Some(row) = rows.next().map_err(failed(what))? {
        add_row(row, &optional, blocks, &mut places).map_err(failed(what))?;
    }
    blocks.sort_by(|a, b| (&a.dataset, &a.grid, &a.users).cmp(&(&b.dataset, &b.grid, &b.users)));
    Ok(())
}

/// What tells a row from all others: its grid and its parameters as sorted JSON.
pub(super) fn identity(grid: &str, parameters: &Map<String, Json>) -> (String, String) {
    let text = serde_json::to_string(parameters).unwrap_or_default();
    (grid.to_owned(), text)
}

/// Where each row of an agent's results is: block and place in it.
pub(super) fn index(blocks: &[Block]) -> HashMap<(String, String), (usize, usize)> {
    let rows = blocks.iter().enumerate().flat_map(|(b, block)| {
        block.rows.iter().enumerate().map(move |(r, row)| (&block.grid, row, (b, r)))
    });
    rows.filter(|(_, row, _)| row.setting.agent != "direct")
        .map(|(grid, row, place)| (identity(grid, &row.setting.parameters), place))
        .collect()
}

/// Columns that not every version of the view has.
struct Optional {
    parameters: bool,
    detection: bool,
}

/// Block and row of what was read already, by the text of what tells rows apart.
type Places = HashMap<String, (usize, usize)>;

fn add_row(
    row: &Row,
    optional: &Optional,
    blocks: &mut Vec<Block>,
    places: &mut Places,
) -> rusqlite::Result<()> {
    let text = |name: &str| column_text(row, name);
    let Some(mean) = row.get::<_, Option<f64>>("value")? else { return Ok(()) };
    let estimate = Estimate {
        mean,
        lower: row.get("lower")?,
        upper: row.get("upper")?,
        n: row.get::<_, i64>("n")?.unsigned_abs(),
        ambiguous: false,
        skewed: false,
    };
    let names =
        ["grid", "dataset", "users", "agent", "attack", "definition", "epsilon", "objective"];
    let more = ["timing", "frequency"];
    let detection: &[&str] = if optional.detection { &["adaptive_lambda", "defense"] } else { &[] };
    let parameters: &[&str] = if optional.parameters { &["parameters"] } else { &[] };
    let mut key = String::new();
    for name in names.iter().chain(&more).chain(detection).chain(parameters) {
        key += &text(name)?.unwrap_or_default();
        key.push('\0');
    }
    // A row of the table is many of the view: its parameters, a page of JSON, are read once.
    let (block, at) = match places.get(&key) {
        Some(&place) => place,
        None => {
            let place = place_of(row, optional, blocks)?;
            places.insert(key, place);
            place
        }
    };
    let result = &mut blocks[block].rows[at];
    result.realised_frequency = result.realised_frequency.or(row.get("realised_frequency")?);
    let (split, metric) = (text("split")?.unwrap_or_default(), text("metric")?.unwrap_or_default());
    let values = result.values.entry(split).or_default();
    values.entry(metric).and_modify(|e| e.ambiguous = true).or_insert(estimate);
    Ok(())
}

/// A column as text, whatever its type.
fn column_text(row: &Row, name: &str) -> rusqlite::Result<Option<String>> {
    Ok(match row.get::<_, Value>(name)? {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Null | Value::Blob(_) => None,
    })
}

/// Block and row that a row of the view belongs to, made where there are none.
fn place_of(
    row: &Row,
    optional: &Optional,
    blocks: &mut Vec<Block>,
) -> rusqlite::Result<(usize, usize)> {
    let text = |name: &str| column_text(row, name);
    let dataset = text("dataset")?.unwrap_or_default();
    let grid = text("grid")?.unwrap_or_default();
    let users = text("users")?.unwrap_or_default();
    let parameters = match optional.parameters {
        true => text("parameters")?.and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default(),
        false => Map::new(),
    };
    let attack = text("definition")?.or(text("attack")?).unwrap_or_else(|| "none".to_owned());
    let setting = Setting {
        agent: text("agent")?.unwrap_or_default(),
        attack,
        epsilon: row.get("epsilon")?,
        objective: text("objective")?,
        timing: text("timing")?,
        frequency: row.get("frequency")?,
        adaptive_lambda: match optional.detection {
            true => row.get("adaptive_lambda")?,
            false => None,
        },
        defense: match optional.detection {
            true => text("defense")?.filter(|defense| defense != "none"),
            false => None,
        },
        parameters,
    };
    let block = blocks
        .iter()
        .position(|b| b.dataset == dataset && b.grid == grid && b.users == users)
        .unwrap_or_else(|| {
            blocks.push(Block { dataset, grid, users, rows: Vec::new() });
            blocks.len() - 1
        });
    let rows = &mut blocks[block].rows;
    let at = rows.iter().position(|r| r.setting == setting).unwrap_or_else(|| {
        rows.push(ResultRow {
            label: String::new(),
            setting,
            realised_frequency: None,
            values: BTreeMap::new(),
            interquartile_means: BTreeMap::new(),
            paper: None,
            drift: Vec::new(),
            flags: Vec::new(),
            chosen: None,
        });
        rows.len() - 1
    });
    Ok((block, at))
}

/// Grids with unfinished cells.
pub fn unfinished(db: &Connection, grid: Option<&str>) -> Result<Vec<Unfinished>, ReportError> {
    let what = "the state of the cells";
    let sql = "
        SELECT grid, COUNT(*), SUM(open), SUM(failed) FROM (
            SELECT grids.name AS grid, cells.id,
                   MAX(stages.state <> 'done') AS open,
                   MAX(stages.state IN ('failed', 'blocked')) AS failed
            FROM cells
            JOIN latest_grids grids ON grids.id = cells.grid_id
            JOIN cell_stages ON cell_stages.cell_id = cells.id
            JOIN stages ON stages.key = cell_stages.stage_key
            WHERE ?1 IS NULL OR grids.name = ?1
            GROUP BY cells.id)
        GROUP BY grid HAVING SUM(open) > 0 ORDER BY grid";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([grid], |row| {
        let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(Unfinished {
            grid: row.get(0)?,
            cells: count(1)?,
            unfinished: count(2)?,
            failed: count(3)?,
        })
    });
    rows.map_err(failed(what))?.collect::<Result<_, _>>().map_err(failed(what))
}

/// Datasets whose name, source or summary says that they are made up.
pub fn synthetic(db: &Connection) -> Result<Vec<String>, ReportError> {
    let what = "the datasets";
    let sql = "SELECT name, source, summary FROM datasets ORDER BY name";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let rows = statement.query_map([], |row| {
        let column = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
        Ok((column(0)?, column(1)?, column(2)?))
    });
    let mut names = Vec::new();
    for row in rows.map_err(failed(what))? {
        let (name, source, summary) = row.map_err(failed(what))?;
        let lower = name.to_lowercase();
        let summary = serde_json::from_str(&summary).unwrap_or(Json::String(summary));
        let named = lower.ends_with("_words") || lower.contains("synth");
        if named || says_synthetic(&Json::String(source)) || says_synthetic(&summary) {
            names.push(name);
        }
    }
    Ok(names)
}

fn says_synthetic(value: &Json) -> bool {
    let word = |text: &str| text.to_lowercase().contains("synth");
    match value {
        Json::String(text) => word(text),
        Json::Array(values) => values.iter().any(says_synthetic),
        Json::Object(fields) => fields.iter().any(|(name, value)| {
            let empty = matches!(value, Json::Null | Json::Bool(false));
            (word(name) && !empty) || says_synthetic(value)
        }),
        _ => false,
    }
}

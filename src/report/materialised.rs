//! The views that a report reads, worked out once.

use super::database::{ReportError, failed, relations};
use rusqlite::Connection;

/// The view whose rows are kept: which stages each result is the mean of.
const KEPT: &str = "result_stages";
/// The views that are made of it, each after those that it reads.
const READ_FROM_IT: [&str; 4] = ["seeds_summary", "table1", "table2", "drift"];

/// Keeps the rows of `result_stages` for this connection, and has the views of results read them: each would
/// work them out anew. The connection may be one for reading only; the file stays as it is. What is read after
/// this is of one moment, whatever a sweep writes meanwhile.
///
/// # Errors
/// If the database cannot be read.
pub fn materialise(db: &Connection) -> Result<(), ReportError> {
    let known = relations(db)?;
    if !known.contains(KEPT) || !db.is_autocommit() {
        return Ok(());
    }
    let what = "the stages of the results";
    let sql = format!(
        "PRAGMA temp_store = memory; BEGIN;
         CREATE TEMP TABLE {KEPT} AS SELECT * FROM main.{KEPT};"
    );
    db.execute_batch(&sql).map_err(failed(what))?;
    for view in READ_FROM_IT.into_iter().filter(|view| known.contains(*view)) {
        // A temporary view looks names up among temporary ones first.
        let sql = "SELECT 'CREATE TEMP VIEW' || substr(sql, length('CREATE VIEW') + 1)
            FROM main.sqlite_master WHERE name = ?1 AND sql LIKE 'CREATE VIEW%'";
        let sql: String = db.query_row(sql, [view], |row| row.get(0)).map_err(failed(what))?;
        db.execute_batch(&sql).map_err(failed(what))?;
    }
    Ok(())
}

//! The rows of any query.

use super::{Database, DatabaseError};
use rusqlite::types::Value;

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

impl Database {
    /// Runs one query and returns all its rows.
    ///
    /// # Errors
    /// If the text is not one statement of valid SQL, or it would write.
    pub fn rows(&self, sql: &str) -> Result<Rows, DatabaseError> {
        let mut statement = self.connection.prepare(sql)?;
        let columns: Vec<String> =
            statement.column_names().into_iter().map(str::to_owned).collect();
        let count = columns.len();
        let rows = statement
            .query_map([], |row| (0..count).map(|i| row.get(i)).collect())?
            .collect::<Result<_, _>>()?;
        Ok(Rows { columns, rows })
    }
}

//! The rows of any query: all at once, or one after the other.

use super::{Database, DatabaseError};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Statement, Transaction};

/// The answer to a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    pub columns: Vec<String>,
    /// Each as long as `columns`.
    pub rows: Vec<Vec<Value>>,
}

/// A query whose rows are handed out one after the other, so that an answer of any length takes the memory
/// of one row.
pub struct RowStream<'a> {
    statement: Statement<'a>,
    columns: Vec<String>,
}

impl RowStream<'_> {
    /// The names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Runs the query and gives `take` each row, as long as the columns are many; returns how many there
    /// were. It may be called again: the query then runs again.
    ///
    /// # Errors
    /// Those of `take`, which end it, and if the query fails or would write.
    pub fn each<E: From<DatabaseError>>(
        &mut self,
        mut take: impl FnMut(&[ValueRef<'_>]) -> Result<(), E>,
    ) -> Result<u64, E> {
        let count = self.columns.len();
        let mut rows = self.statement.query([]).map_err(DatabaseError::from)?;
        let mut taken = 0;
        while let Some(row) = rows.next().map_err(DatabaseError::from)? {
            let values: Result<Vec<ValueRef<'_>>, _> = (0..count).map(|i| row.get_ref(i)).collect();
            take(&values.map_err(DatabaseError::from)?)?;
            taken += 1;
        }
        Ok(taken)
    }
}

impl Database {
    /// Runs one query and returns all its rows.
    ///
    /// # Errors
    /// If the text is not one statement of valid SQL, or it would write.
    pub fn rows(&self, sql: &str) -> Result<Rows, DatabaseError> {
        let mut stream = self.stream(sql)?;
        let mut rows = Vec::new();
        stream.each(|row| {
            rows.push(row.iter().map(|&value| value.into()).collect());
            Ok::<_, DatabaseError>(())
        })?;
        Ok(Rows { columns: stream.columns, rows })
    }

    /// One query, to be run.
    ///
    /// # Errors
    /// If the text is not one statement of valid SQL, or it would write.
    pub fn stream(&self, sql: &str) -> Result<RowStream<'_>, DatabaseError> {
        let statement = self.connection.prepare(sql)?;
        // A copy of an older database could be written, and nobody would see what became of it.
        if !statement.readonly() {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_READONLY);
            return Err(rusqlite::Error::SqliteFailure(code, None).into());
        }
        let columns = statement.column_names().into_iter().map(str::to_owned).collect();
        Ok(RowStream { statement, columns })
    }

    /// While it lives, every query of this connection sees the rows as the first one finds them.
    ///
    /// # Errors
    /// If there is a snapshot or a transaction already.
    pub fn snapshot(&self) -> Result<Transaction<'_>, DatabaseError> {
        Ok(self.connection.unchecked_transaction()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_hands_out_what_rows_collects_and_ends_with_the_first_refusal() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        let sql = "SELECT df, t975 FROM t_quantiles ORDER BY df LIMIT 5";
        let mut stream = db.stream(sql).unwrap();
        for _ in 0..2 {
            let mut rows: Vec<Vec<Value>> = Vec::new();
            let count = stream.each(|row| {
                rows.push(row.iter().map(|&value| value.into()).collect());
                Ok::<_, DatabaseError>(())
            });
            assert_eq!(count.unwrap(), 5);
            let columns = stream.columns().to_vec();
            assert_eq!(Rows { columns, rows }, db.rows(sql).unwrap());
        }
        let mut taken = 0;
        let refused = stream.each(|_| {
            taken += 1;
            Err(DatabaseError::Migration("on purpose".to_owned()))
        });
        assert!(matches!(refused, Err(DatabaseError::Migration(_))));
        assert_eq!(taken, 1);
    }
}

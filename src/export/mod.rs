//! Rows of the database for other programs: one file a format, each behind [`RowWriter`].

mod csv;
mod jsonl;
mod parquet;

pub use csv::Csv;
pub use jsonl::Objects;

use self::jsonl::Jsonl;
use self::parquet::Parquet;
use crate::store::{Database, DatabaseError, Relation};
use ::parquet::errors::ParquetError;
use rusqlite::types::ValueRef;
use std::borrow::Cow;
use std::io::{self, Write};
use thiserror::Error;

/// The formats of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// An object of JSON a line.
    Jsonl,
    /// Columns with types; it takes a second reading of the rows to find these.
    Parquet,
}

/// Why rows cannot be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The query is no valid SQL: the condition is at fault, where there is one.
    #[error("{0}")]
    Query(#[source] DatabaseError),
    #[error("{0}")]
    Database(#[from] DatabaseError),
    #[error("{0}")]
    Write(#[from] io::Error),
    #[error("{0}")]
    Parquet(#[from] ParquetError),
}

/// A file that is being written, a row at a time.
pub trait RowWriter {
    /// Writes a row, which has a value for each column.
    ///
    /// # Errors
    /// If the file does not take it.
    fn row(&mut self, row: &[ValueRef<'_>]) -> Result<(), ExportError>;

    /// Writes what is left to write.
    ///
    /// # Errors
    /// If the file does not take it.
    fn finish(self: Box<Self>) -> Result<(), ExportError>;
}

/// Writes the rows of a table or view, of those that meet `condition` (SQL) where there is one; returns
/// how many. The memory that it takes does not grow with their number.
///
/// # Errors
/// If the condition is no valid SQL (nothing has been written then), the database cannot be read, or the
/// file cannot be written.
pub fn write<'a>(
    database: &Database,
    relation: &Relation,
    condition: Option<&str>,
    format: Format,
    out: impl Write + Send + 'a,
) -> Result<u64, ExportError> {
    let _snapshot = database.snapshot()?;
    let mut stream = database.stream(&relation.select(condition)).map_err(ExportError::Query)?;
    let mut writer: Box<dyn RowWriter + 'a> = match format {
        Format::Csv => Box::new(Csv::new(stream.columns(), out)?),
        Format::Jsonl => Box::new(Jsonl::new(stream.columns(), out)),
        Format::Parquet => {
            let kinds = parquet::kinds(&relation.columns, &mut stream)?;
            Box::new(Parquet::new(stream.columns(), &kinds, out)?)
        }
    };
    let count = stream.each(|row| writer.row(row))?;
    writer.finish()?;
    Ok(count)
}

/// Text of a value; NULL is empty, a number has the fewest digits that give it back, bytes are hexadecimal.
pub fn text(value: ValueRef<'_>) -> Cow<'_, str> {
    match value {
        ValueRef::Null => Cow::Borrowed(""),
        ValueRef::Integer(i) => i.to_string().into(),
        ValueRef::Real(x) => format!("{x:?}").into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text),
        ValueRef::Blob(bytes) => bytes.iter().map(|b| format!("{b:02x}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::causes;
    use std::fs::File;

    #[test]
    fn a_full_disk_is_told_as_one_in_every_format() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        let relations = db.relations().unwrap();
        let quantiles = relations.iter().find(|r| r.name == "t_quantiles").unwrap();
        for format in [Format::Csv, Format::Jsonl, Format::Parquet] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let error = write(&db, quantiles, None, format, full).unwrap_err();
            assert!(causes::is_disk_full(&error), "{format:?}: {error:?}");
        }
        assert_eq!(write(&db, quantiles, Some("df < 4"), Format::Csv, Vec::new()).unwrap(), 3);
    }
}

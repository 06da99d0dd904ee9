//! Stand-in.

use crate::plan::StageKey;
use std::path::Path;
use thiserror::Error;

/// What can go wrong.
#[derive(Debug, Error)]
pub enum DatabaseError {
    #[error("{0}")]
    Sql(#[from] rusqlite::Error),
}

/// A row.
#[derive(Clone, Debug)]
pub struct DatasetRow {
    pub name: String,
    pub key: StageKey,
    pub source: String,
    pub summary: serde_json::Value,
}

/// The file.
#[derive(Debug)]
pub struct Database(rusqlite::Connection);

impl Database {
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let connection = rusqlite::Connection::open(path)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS datasets(name TEXT PRIMARY KEY, key TEXT, source TEXT, summary TEXT)",
        )?;
        Ok(Self(connection))
    }

    pub fn register_dataset(
        &mut self,
        name: &str,
        key: &StageKey,
        source: &str,
        summary: &serde_json::Value,
    ) -> Result<(), DatabaseError> {
        let row = (name, key.as_str(), source, summary.to_string());
        self.0.execute("INSERT OR REPLACE INTO datasets VALUES (?, ?, ?, ?)", row)?;
        Ok(())
    }

    pub fn dataset(&self, name: &str) -> Result<Option<DatasetRow>, DatabaseError> {
        use rusqlite::OptionalExtension;
        let row = self
            .0
            .query_row(
                "SELECT name, key, source, summary FROM datasets WHERE name = ?",
                [name],
                |r| Ok((r.get(0)?, r.get::<_, String>(1)?, r.get(2)?, r.get::<_, String>(3)?)),
            )
            .optional()?;
        Ok(row.and_then(|(name, key, source, summary)| {
            let key = StageKey::parse(&key)?;
            Some(DatasetRow { name, key, source, summary: serde_json::from_str(&summary).ok()? })
        }))
    }
}

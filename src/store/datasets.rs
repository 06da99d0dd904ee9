//! Datasets and imported weights by name.

use super::{Database, DatabaseError, database::json};
use crate::plan::StageKey;
use rusqlite::{OptionalExtension, Row, params};
use serde_json::Value;

/// A registered dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct DatasetRow {
    pub name: String,
    /// Of its artefact.
    pub key: StageKey,
    /// Where it came from, for people.
    pub source: String,
    /// Counts, as `advrec data verify` prints them.
    pub summary: Value,
}

/// Imported weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// What a grid calls it: `agent: {imported: ID}`.
    pub id: String,
    /// Name of the dataset that it was checked against.
    pub dataset: String,
    pub embedding_key: StageKey,
    pub agent_key: StageKey,
}

impl Database {
    /// Registers a dataset, or replaces what its name stands for.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn register_dataset(
        &mut self,
        name: &str,
        key: &StageKey,
        source: &str,
        summary: &Value,
    ) -> Result<(), DatabaseError> {
        let summary = json(summary)?;
        self.batch(|batch| {
            batch.transaction.execute(
                "INSERT INTO datasets (name, key, source, summary) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (name) DO UPDATE SET key = ?2, source = ?3, summary = ?4,
                     created = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
                params![name, key.as_str(), source, summary],
            )?;
            Ok(())
        })
    }

    /// The dataset with this name.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn dataset(&self, name: &str) -> Result<Option<DatasetRow>, DatabaseError> {
        let found = self
            .connection
            .query_row(
                "SELECT name, key, source, summary FROM datasets WHERE name = ?1",
                [name],
                |row| {
                    let summary: String = row.get("summary")?;
                    Ok((row.get("name")?, row.get("key")?, row.get("source")?, summary))
                },
            )
            .optional()?;
        let Some((name, key, source, summary)) = found else { return Ok(None) };
        let name: String = name;
        let summary = serde_json::from_str(&summary).map_err(|e| DatabaseError::Malformed {
            what: format!("the summary of dataset {name}"),
            reason: e.to_string(),
        })?;
        Ok(Some(DatasetRow { key: stage_key(key)?, name, source, summary }))
    }

    /// Names of all datasets, sorted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn dataset_names(&self) -> Result<Vec<String>, DatabaseError> {
        self.names("SELECT name FROM datasets ORDER BY name")
    }

    /// Registers imported weights, or replaces what their id stands for.
    ///
    /// # Errors
    /// If the dataset is not registered or the database cannot be written.
    pub fn register_import(&mut self, import: &ImportRow) -> Result<(), DatabaseError> {
        self.batch(|batch| {
            batch.transaction.execute(
                "INSERT INTO imports (id, dataset, embedding_key, agent_key)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET dataset = ?2, embedding_key = ?3, agent_key = ?4,
                     created = strftime('%Y-%m-%dT%H:%M:%fZ', 'now')",
                params![
                    import.id,
                    import.dataset,
                    import.embedding_key.as_str(),
                    import.agent_key.as_str()
                ],
            )?;
            Ok(())
        })
    }

    /// The imported weights with this id.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn import(&self, id: &str) -> Result<Option<ImportRow>, DatabaseError> {
        let read = |row: &Row<'_>| -> rusqlite::Result<(String, String, String, String)> {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        };
        let found = self
            .connection
            .query_row(
                "SELECT id, dataset, embedding_key, agent_key FROM imports WHERE id = ?1",
                [id],
                read,
            )
            .optional()?;
        found
            .map(|(id, dataset, embedding, agent)| {
                Ok(ImportRow {
                    id,
                    dataset,
                    embedding_key: stage_key(embedding)?,
                    agent_key: stage_key(agent)?,
                })
            })
            .transpose()
    }

    /// Ids of all imported weights, sorted.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn import_ids(&self) -> Result<Vec<String>, DatabaseError> {
        self.names("SELECT id FROM imports ORDER BY id")
    }

    fn names(&self, sql: &str) -> Result<Vec<String>, DatabaseError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }
}

/// A key as the database holds it.
pub(super) fn stage_key(text: String) -> Result<StageKey, DatabaseError> {
    StageKey::parse(&text).ok_or_else(|| DatabaseError::Malformed {
        what: format!("the key {text:?}"),
        reason: "a key is 64 hexadecimal digits".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_registered_is_found_and_can_be_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        assert_eq!(db.dataset("beauty").unwrap(), None);
        let (one, two) = (StageKey::of_bytes(b"1"), StageKey::of_bytes(b"2"));
        let summary = json!({"users": 3});
        db.register_dataset("toys", &one, "here", &summary).unwrap();
        db.register_dataset("beauty", &one, "here", &summary).unwrap();
        db.register_dataset("beauty", &two, "there", &summary).unwrap();
        let row = db.dataset("beauty").unwrap().unwrap();
        assert_eq!((row.key, row.source.as_str(), row.summary), (two.clone(), "there", summary));
        assert_eq!(db.dataset_names().unwrap(), ["beauty", "toys"]);

        let import = ImportRow {
            id: "golden".to_owned(),
            dataset: "beauty".to_owned(),
            embedding_key: one,
            agent_key: two,
        };
        db.register_import(&import).unwrap();
        db.register_import(&import).unwrap();
        assert_eq!(db.import("golden").unwrap(), Some(import.clone()));
        assert_eq!(db.import("silver").unwrap(), None);
        assert_eq!(db.import_ids().unwrap(), ["golden"]);
        let stray = ImportRow { dataset: "none".to_owned(), ..import };
        assert!(db.register_import(&stray).is_err(), "its dataset is not registered");
    }
}

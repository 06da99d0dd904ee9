//! Metrics of stages.

use super::{Batch, Database, DatabaseError};
use crate::plan::{Metric, StageKey};
use rusqlite::params;

impl Batch<'_> {
    /// Replaces all metrics of a stage.
    ///
    /// # Errors
    /// If a number is NaN or infinite, or the database cannot be written.
    pub fn write_metrics(&self, key: &StageKey, metrics: &[Metric]) -> Result<(), DatabaseError> {
        for metric in metrics {
            let numbers = [Some(metric.value), metric.lower, metric.upper];
            if let Some(value) = numbers.into_iter().flatten().find(|v| !v.is_finite()) {
                return Err(DatabaseError::NotFinite {
                    key: key.short().to_owned(),
                    name: metric.name.clone(),
                    split: metric.split.clone(),
                    value,
                });
            }
        }
        self.transaction
            .prepare_cached("DELETE FROM metrics WHERE stage_key = ?1")?
            .execute([key.as_str()])?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO metrics (stage_key, name, split, value, n, lower, upper)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for m in metrics {
            insert.execute(params![
                key.as_str(),
                m.name,
                m.split,
                m.value,
                i64::try_from(m.n).unwrap_or(i64::MAX),
                m.lower,
                m.upper
            ])?;
        }
        Ok(())
    }
}

impl Database {
    /// How many metrics a stage has.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn metric_count(&self, key: &StageKey) -> Result<u64, DatabaseError> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM metrics WHERE stage_key = ?1")?
            .query_row([key.as_str()], |row| row.get(0))?;
        Ok(count.unsigned_abs())
    }
}

//! The numbered files of migrations/: only ever added to, applied by the orchestrator alone.

use super::DatabaseError;
use super::database::UNREADABLE;
use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};
use std::path::Path;

const STEPS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/0001_initial.sql")),
    M::up(include_str!("../../migrations/0002_drift_and_flags.sql")),
    M::up(include_str!("../../migrations/0003_detection.sql")),
    M::up(include_str!("../../migrations/0004_sweeps.sql")),
    M::up(include_str!("../../migrations/0005_results_and_projections.sql")),
];
const MIGRATIONS: Migrations<'static> = Migrations::from_slice(STEPS);

/// "advr": tells an advrec database from another program's.
const APPLICATION_ID: i64 = 0x6164_7672;

/// The schema that this program writes and reads; SQLite's `user_version`.
pub const SCHEMA: i64 = STEPS.len() as i64;

/// The schema of the file; 0 when it is empty.
///
/// # Errors
/// If it is no database, not an advrec database, or newer than this program.
pub fn check(connection: &Connection, path: &Path) -> Result<i64, DatabaseError> {
    let number = |name| -> Result<i64, DatabaseError> {
        connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|error| {
            match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::NotADatabase) => {
                    DatabaseError::NotADatabase { path: path.to_owned() }
                }
                // SQLite opens a file when it is first read.
                Some(rusqlite::ErrorCode::CannotOpen) => {
                    DatabaseError::Open { path: path.to_owned(), reason: UNREADABLE.to_owned() }
                }
                _ => error.into(),
            }
        })
    };
    let version = number("user_version")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 && version == 0 {
        return Ok(0);
    }
    if number("application_id")? != APPLICATION_ID {
        return Err(DatabaseError::OtherProgram { path: path.to_owned() });
    }
    if version > SCHEMA {
        return Err(DatabaseError::Newer { path: path.to_owned(), version, known: SCHEMA });
    }
    Ok(version)
}

/// Brings the file to [`SCHEMA`].
///
/// # Errors
/// If a step fails; the file is then as it was.
pub fn apply(connection: &mut Connection) -> Result<(), DatabaseError> {
    MIGRATIONS.to_latest(connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
        other => DatabaseError::Migration(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_steps_are_valid_sql() {
        super::MIGRATIONS.validate().unwrap();
    }
}

//! The database file: opening, settings, and transactions. What is in it is in the files beside this
//! one, by noun.

use super::{filesystem, migrations};
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thiserror::Error;

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(20);

/// Statements that are kept: more than those of one sweep, so that none is prepared twice.
pub(super) const STATEMENTS: usize = 64;

/// What SQLite means by "unable to open database file".
pub(super) const UNREADABLE: &str = "the file or its folder cannot be read or written";

/// What can go wrong with the database.
#[derive(Debug, Error)]
pub enum DatabaseError {
    #[error("no database at {path}; run `advrec sweep` first, or say where it is with --db")]
    Absent { path: PathBuf },
    #[error("could not open the database {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("{path} is not an SQLite database; choose another file with --db")]
    NotADatabase { path: PathBuf },
    #[error("{path} is the SQLite database of another program; choose another file with --db")]
    OtherProgram { path: PathBuf },
    #[error(
        "{path} was written by a newer advrec (schema {version}, this program knows {known}); \
         use that version or another file"
    )]
    Newer { path: PathBuf, version: i64, known: i64 },
    #[error(
        "{path} was written by an older advrec (schema {version} of {known}); \
         run `advrec sweep` once to bring it up to date"
    )]
    Older { path: PathBuf, version: i64, known: i64 },
    #[error("could not bring the database up to date: {0}")]
    Migration(String),
    #[error("metric {name}/{split} of stage {key} is {value}: only finite numbers are stored")]
    NotFinite { key: String, name: String, split: String, value: f64 },
    #[error("could not read {what} in the database: {reason}")]
    Malformed { what: String, reason: String },
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl DatabaseError {
    /// Whether another file, or another version of the program, is what helps.
    pub fn is_bad_input(&self) -> bool {
        matches!(
            self,
            Self::Absent { .. }
                | Self::Open { .. }
                | Self::NotADatabase { .. }
                | Self::OtherProgram { .. }
                | Self::Newer { .. }
                | Self::Older { .. }
        )
    }
}

impl DatabaseError {
    /// Whether another process has locked the file for longer than was waited.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
        ))
    }

    pub(crate) fn busy() -> Self {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        Self::Sqlite(rusqlite::Error::SqliteFailure(code, None))
    }
}

/// An open database.
#[derive(Debug)]
pub struct Database {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
}

impl Database {
    /// Opens the database for writing; makes it where there is none, and brings an older one up to
    /// date.
    ///
    /// # Errors
    /// If the file cannot be opened, is not ours, or is newer than this program.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let folder = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let open_error = |reason: String| DatabaseError::Open { path: path.to_owned(), reason };
        let shared = filesystem::shared(folder).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => {
                open_error(format!("there is no folder {}", folder.display()))
            }
            _ => open_error(e.to_string()),
        })?;
        let new = !path.exists();
        let connection = connect(path, OpenFlags::default())?;
        let opened = Self::prepare(connection, path, shared.is_some());
        if new && opened.is_err() {
            // What is left of a database that could not be made is none.
            for suffix in ["", "-wal", "-shm", "-journal"] {
                let mut name = path.as_os_str().to_owned();
                name.push(suffix);
                let _ = std::fs::remove_file(name);
            }
        }
        opened
    }

    fn prepare(
        mut connection: Connection,
        path: &Path,
        shared: bool,
    ) -> Result<Self, DatabaseError> {
        let version = migrations::check(&connection, path)?;
        // On a local disk readers never wait for the writer, and a commit does not wait for the
        // disk: what a power cut takes are the last rows, which the artefacts' manifests hold too.
        // A shared file system has no common memory for the log, so there the rollback journal
        // is used, which is only safe when synced in full.
        let (journal, synchronous) = if shared { ("DELETE", "FULL") } else { ("WAL", "NORMAL") };
        connection.pragma_update_and_check(None, "journal_mode", journal, |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if version < migrations::SCHEMA {
            migrations::apply(&mut connection)?;
        }
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The file given to [`Database::open`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection, for reports, which read the public tables and views.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Does `work` in one transaction, which is undone when `work` fails. It takes the write lock at
    /// once, so that it cannot fail half-way for want of it.
    ///
    /// # Errors
    /// Those of `work`, and if the transaction cannot begin or commit.
    pub fn batch<T>(
        &mut self,
        work: impl FnOnce(&Batch<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let batch = Batch { transaction };
        let value = work(&batch)?;
        batch.transaction.commit()?;
        Ok(value)
    }
}

impl Database {
    /// From now on commits leave the write-ahead log alone, and [`Database::checkpoint`] is what moves it into
    /// the file. A commit that tries each time sorts the whole log each time that a reader holds it up.
    ///
    /// # Errors
    /// If the database cannot be asked.
    pub fn checkpoint_by_hand(&self) -> Result<(), DatabaseError> {
        Ok(self.connection.pragma_update(None, "wal_autocheckpoint", 0)?)
    }

    /// Moves of the write-ahead log into the file what no reader needs there; returns whether that was all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn checkpoint(&self) -> Result<bool, DatabaseError> {
        let (log, moved): (i64, i64) =
            self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
                Ok((row.get(1)?, row.get(2)?))
            })?;
        Ok(moved >= log)
    }

    /// Moves the whole write-ahead log into the file and empties it, where no reader holds it up for `patience`:
    /// a log that is left beside the file is read by everyone who opens it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn empty_log(&self, patience: Duration) -> Result<(), DatabaseError> {
        self.connection.busy_timeout(patience)?;
        // The row says whether a reader was in the way.
        let moved = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        self.connection.busy_timeout(BUSY)?;
        Ok(moved?)
    }

    /// As [`Database::batch`], with another time to wait for the lock.
    ///
    /// # Errors
    /// As [`Database::batch`].
    pub fn batch_within<T>(
        &mut self,
        patience: Duration,
        work: impl FnOnce(&Batch<'_>) -> Result<T, DatabaseError>,
    ) -> Result<T, DatabaseError> {
        self.connection.busy_timeout(patience)?;
        let result = self.batch(work);
        self.connection.busy_timeout(BUSY)?;
        result
    }
}

/// A transaction; [`Database::batch`] hands it out.
pub struct Batch<'a> {
    pub(super) transaction: Transaction<'a>,
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, DatabaseError> {
    let connection = Connection::open_with_flags(path, flags).map_err(|e| DatabaseError::Open {
        path: path.to_owned(),
        reason: match e.sqlite_error_code() {
            _ if path.is_dir() => "it is a folder".to_owned(),
            Some(rusqlite::ErrorCode::CannotOpen) => UNREADABLE.to_owned(),
            _ => e.to_string(),
        },
    })?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// JSON text of a value that is always valid JSON.
pub(super) fn json(value: &impl serde::Serialize) -> Result<String, DatabaseError> {
    serde_json::to_string(value).map_err(|e| DatabaseError::Malformed {
        what: "a value to store".to_owned(),
        reason: e.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn message(error: DatabaseError, dir: &Path) -> String {
        error.to_string().replace(&dir.display().to_string(), "DIR")
    }

    #[test]
    fn settings_fit_a_local_disk() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("a.db")).unwrap();
        let ask = |name: &str| -> String {
            let value = db
                .connection
                .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0));
            format!("{:?}", value.unwrap())
        };
        assert_eq!(ask("journal_mode"), r#"Text("wal")"#);
        assert_eq!(ask("synchronous"), "Integer(1)");
        assert_eq!(ask("foreign_keys"), "Integer(1)");
        assert_eq!(ask("user_version"), format!("Integer({})", migrations::SCHEMA));
    }

    #[test]
    fn the_first_schema_is_read_and_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("old.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(include_str!("../../migrations/0001_initial.sql")).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        assert!(matches!(Database::open_readonly(&path), Err(DatabaseError::Older { .. })));
        assert_eq!(Database::open_tables(&path).unwrap().dataset("d").unwrap(), None);
        let before = fs::read(&path).unwrap();
        let copy = Database::open_to_read(&path).unwrap();
        assert_eq!(copy.rows("SELECT * FROM table2").unwrap().rows, Vec::<Vec<_>>::new());
        assert!(copy.rows("DELETE FROM t_quantiles").is_err());
        assert_eq!(fs::read(&path).unwrap(), before);
        drop(Database::open(&path).unwrap());
        let new = Database::open_readonly(&path).unwrap();
        for view in ["table1", "table2", "drift", "flags", "seeds_summary"] {
            let rows =
                new.connection.query_row(&format!("SELECT count(*) FROM {view}"), [], |row| {
                    row.get::<_, i64>(0)
                });
            assert_eq!(rows, Ok(0), "{view}");
        }
    }

    #[test]
    fn the_log_is_emptied_unless_a_reader_needs_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let db = Database::open(&path).unwrap();
        let log = || fs::metadata(dir.path().join("a.db-wal")).unwrap().len();
        // As long as somebody else has the file open, nobody takes the log away.
        let reader = Database::open_readonly(&path).unwrap();
        let read = || reader.connection.query_row("SELECT count(*) FROM grids", [], |_| Ok(()));
        reader.connection.execute_batch("BEGIN").unwrap();
        read().unwrap();
        db.connection.execute_batch("CREATE TABLE more (x)").unwrap();
        db.empty_log(Duration::from_millis(1)).unwrap();
        assert!(log() > 0);
        reader.connection.execute_batch("COMMIT").unwrap();
        db.empty_log(Duration::from_millis(1)).unwrap();
        assert_eq!(log(), 0);
    }

    #[test]
    fn files_that_are_not_ours_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("text"), "this is no database, whatever its length may be\n".repeat(50))
            .unwrap();
        Connection::open(at("other")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let newer = Database::open(&at("newer")).unwrap();
        newer.connection.pragma_update(None, "user_version", 99).unwrap();
        drop(newer);
        let refused = |path: PathBuf| message(Database::open(&path).unwrap_err(), dir.path());
        insta::assert_snapshot!(refused(at("text")),
            @"DIR/text is not an SQLite database; choose another file with --db");
        insta::assert_snapshot!(refused(at("other")),
            @"DIR/other is the SQLite database of another program; choose another file with --db");
        insta::assert_snapshot!(refused(at("newer")),
            @"DIR/newer was written by a newer advrec (schema 99, this program knows 5); use that version or another file");
        insta::assert_snapshot!(refused(at("none/a.db")),
            @"could not open the database DIR/none/a.db: there is no folder DIR/none");
        insta::assert_snapshot!(
            message(Database::open_readonly(&at("absent")).unwrap_err(), dir.path()),
            @"no database at DIR/absent; run `advrec sweep` first, or say where it is with --db");
        assert!(!at("absent").exists());
    }

    #[test]
    fn a_failed_batch_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut db = Database::open(&dir.path().join("a.db")).unwrap();
        let result: Result<(), _> = db.batch(|batch| {
            batch.transaction.execute("INSERT INTO t_quantiles VALUES (7777, 1.0)", [])?;
            Err(DatabaseError::Migration("on purpose".to_owned()))
        });
        assert!(result.is_err());
        let rows: i64 = db
            .connection
            .query_row("SELECT count(*) FROM t_quantiles WHERE df = 7777", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0);
    }
}

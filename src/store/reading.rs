//! Opening the database for reading only.

use super::database::{STATEMENTS, connect};
use super::{Database, DatabaseError, migrations};
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages of an older database that are copied at a time.
const PAGES_A_STEP: i32 = 10_000;

impl Database {
    /// Opens the database for reading only.
    ///
    /// # Errors
    /// If the file is absent, is not ours, or has another schema than this program's.
    pub fn open_readonly(path: &Path) -> Result<Self, DatabaseError> {
        let (database, version) = Self::read_only(path)?;
        if version < migrations::SCHEMA {
            return Err(DatabaseError::Older {
                path: path.to_owned(),
                version,
                known: migrations::SCHEMA,
            });
        }
        Ok(database)
    }

    /// Opens the database to read what is in it now: one of an earlier schema as a copy that is brought up to
    /// date, in memory or, where it is large, in a temporary file. The file itself stays as it is, so that
    /// results on a disk that cannot be written, or of a program that goes on writing them, can be read. What is
    /// written to the file later is not in the copy: who follows a sweep takes [`Database::open_readonly`].
    ///
    /// # Errors
    /// If the file is absent, is not ours, is of a later schema, or cannot be brought up to date.
    pub fn open_to_read(path: &Path) -> Result<Self, DatabaseError> {
        let (database, version) = Self::read_only(path)?;
        if version == migrations::SCHEMA {
            return Ok(database);
        }
        let mut copy = Connection::open("")?;
        Backup::new(&database.connection, &mut copy)?.run_to_completion(
            PAGES_A_STEP,
            Duration::ZERO,
            None,
        )?;
        copy.set_prepared_statement_cache_capacity(STATEMENTS);
        migrations::apply(&mut copy)?;
        Ok(Self { connection: copy, path: path.to_owned() })
    }

    /// Opens a database of this or an earlier schema for reading only: for what stands in tables, which
    /// migrations only add to, and not for views. So a sweep can look up datasets in the database that it
    /// will bring up to date.
    ///
    /// # Errors
    /// If the file is absent, is not ours, or of a later schema.
    pub fn open_tables(path: &Path) -> Result<Self, DatabaseError> {
        Self::read_only(path).map(|(database, _)| database)
    }

    /// The database as a file that nobody changes, which is for the caller to make sure: without locks, and
    /// without the files beside it that readers share. `None` where that cannot be.
    pub(super) fn open_immutable(path: &Path) -> Option<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_URI;
        let connection = connect(&immutable(path)?, flags).ok()?;
        let known = migrations::check(&connection, path).is_ok_and(|it| it == migrations::SCHEMA);
        known.then(|| Self { connection, path: path.to_owned() })
    }

    /// The database with its schema.
    fn read_only(path: &Path) -> Result<(Self, i64), DatabaseError> {
        if !path.exists() {
            return Err(DatabaseError::Absent { path: path.to_owned() });
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = connect(path, flags)?;
        let mut version = migrations::check(&connection, path);
        if matches!(version, Err(DatabaseError::Open { .. }))
            && let Some(uri) = immutable(path)
        {
            connection = connect(&uri, flags | OpenFlags::SQLITE_OPEN_URI)?;
            version = migrations::check(&connection, path);
        }
        match version? {
            0 => Err(DatabaseError::Absent { path: path.to_owned() }),
            version => Ok((Self { connection, path: path.to_owned() }, version)),
        }
    }
}

/// How SQLite opens a database on a disk that cannot be written, such as a mounted archive: without
/// the files that readers share. `None` where a log beside it holds rows that would be missed.
fn immutable(path: &Path) -> Option<PathBuf> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if std::fs::metadata(log).is_ok_and(|data| data.len() > 0) {
        return None;
    }
    let path = path.to_str()?.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Some(format!("file:{path}?immutable=1").into())
}

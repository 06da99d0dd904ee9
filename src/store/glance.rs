//! Reading a database without a trace: SQLite's readers make files beside it that they share, and leave
//! them behind when they may not write.

use super::{Database, DatabaseError};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Two changes within so short a time may bear the same time stamp.
const STAMP: Duration = Duration::from_millis(50);

/// A database of the write-ahead kind whose log holds nothing, and when it last changed.
#[derive(Debug, PartialEq, Eq)]
struct Rest {
    device: u64,
    inode: u64,
    length: u64,
    modified: SystemTime,
}

impl Rest {
    /// `None` where somebody writes the database, or has just done so. Also of a database with a rollback
    /// journal, whose readers make no files, and lock it instead.
    fn of(path: &Path) -> Option<Self> {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        if fs::metadata(log).is_ok_and(|log| log.len() > 0) {
            return None;
        }
        let mut file = File::open(path).ok()?;
        let mut header = [0; 20];
        file.read_exact(&mut header).ok()?;
        // The versions of the format for writing and reading: 2 with a write-ahead log.
        if header[18..] != [2, 2] {
            return None;
        }
        let data = file.metadata().ok()?;
        let modified = data.modified().ok()?;
        // One from the future has been put there by other means than writing.
        if modified.elapsed().is_ok_and(|age| age < STAMP) {
            return None;
        }
        Some(Self { device: data.dev(), inode: data.ino(), length: data.len(), modified })
    }
}

impl Database {
    /// Reads a database and lets go of it. Where nobody writes it, nothing in its folder changes; where a
    /// sweep does, it reads beside it as [`Database::open_readonly`] does. `read` is called once more when
    /// somebody began to write meanwhile, and what it returned before is dropped.
    ///
    /// # Errors
    /// Those of [`Database::open_readonly`] and of `read`.
    pub fn glance<T, E: From<DatabaseError>>(
        path: &Path,
        read: impl Fn(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if let Some(rest) = Rest::of(path)
            && let Some(database) = Self::open_immutable(path)
        {
            let found = read(&database);
            if Rest::of(path) == Some(rest) {
                return found;
            }
        }
        read(&Self::open_readonly(path)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn quantiles(db: &Database) -> Result<i64, DatabaseError> {
        Ok(db.connection.query_row("SELECT count(*) FROM t_quantiles", [], |row| row.get(0))?)
    }

    #[test]
    fn nothing_is_left_beside_a_database_at_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("100%?#.db");
        drop(Database::open(&path).unwrap());
        std::thread::sleep(2 * STAMP);
        assert!(Database::glance(&path, quantiles).unwrap() > 0);
        assert_eq!(names(dir.path()), ["100%?#.db"]);
        // What a glance spares: the files of a reader that may not write.
        quantiles(&Database::open_readonly(&path).unwrap()).unwrap();
        assert_eq!(names(dir.path()).len(), 3);
        // They hold nothing, and are left as they are.
        assert!(Rest::of(&path).is_some());
    }

    #[test]
    fn what_is_written_meanwhile_is_read_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        drop(Database::open(&path).unwrap());
        std::thread::sleep(2 * STAMP);
        let calls = Cell::new(0);
        let before = Database::glance(&path, quantiles).unwrap();
        let after = Database::glance(&path, |db| {
            let found = quantiles(db);
            if calls.replace(calls.get() + 1) == 0 {
                let other = Database::open(&path)?;
                other.connection.execute("INSERT INTO t_quantiles VALUES (7777, 1.0)", [])?;
            }
            found
        });
        assert_eq!((after.unwrap(), calls.get()), (before + 1, 2));
    }

    #[test]
    fn a_log_with_rows_and_a_rollback_journal_are_no_rest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let writer = Database::open(&path).unwrap();
        writer.connection.execute("INSERT INTO t_quantiles VALUES (7777, 1.0)", []).unwrap();
        std::thread::sleep(2 * STAMP);
        assert_eq!(Rest::of(&path), None);
        let rows = quantiles(&writer).unwrap();
        assert_eq!(Database::glance(&path, quantiles).unwrap(), rows);
        let pragma = |mode| {
            writer.connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))
        };
        pragma("DELETE").unwrap();
        std::thread::sleep(2 * STAMP);
        assert_eq!(Rest::of(&path), None);
        assert_eq!(Database::glance(&path, quantiles).unwrap(), rows);
        assert_eq!(names(dir.path()), ["a.db"]);
    }

    #[test]
    fn an_absent_database_is_said_to_be_absent() {
        let dir = tempfile::tempdir().unwrap();
        let found = Database::glance(&dir.path().join("a.db"), quantiles);
        assert!(matches!(found, Err(DatabaseError::Absent { .. })));
    }
}

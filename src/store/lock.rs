//! One sweep a database: a lock file beside it, held as long as the process lives.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why the lock was not had.
#[derive(Debug, Error)]
pub enum LockError {
    #[error(
        "another sweep ({holder}) is using {path}; `advrec watch` shows how far it is: wait for it, or \
         stop it with ctrl-c"
    )]
    Held { path: PathBuf, holder: String },
    #[error("could not lock {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// The right to sweep with a database. The system takes the lock away when the process ends in
/// whatever way, so there are no stale ones; the file stays, and means nothing by itself.
#[derive(Debug)]
pub struct SweepLock {
    _file: File,
}

impl SweepLock {
    /// Takes the lock of a database.
    ///
    /// # Errors
    /// If another process has it, or the lock file cannot be made.
    pub fn acquire(database: &Path) -> Result<Self, LockError> {
        let path = lock_file(database);
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let text = fs::read_to_string(&path).unwrap_or_default();
                let holder = match text.trim() {
                    "" => "of another process",
                    text => text,
                };
                return Err(LockError::Held {
                    path: database.to_owned(),
                    holder: holder.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).map_err(io)?;
        write!(file, "process {} on {}", std::process::id(), host()).map_err(io)?;
        Ok(Self { _file: file })
    }

    /// Whether some process has the lock, as far as that can be seen: locks of other machines may not be.
    pub fn is_held(database: &Path) -> bool {
        let file = File::open(lock_file(database));
        // Shared, and given back at once: whoever else asks at this moment sees no sweep either.
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn lock_file(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-lock");
    PathBuf::from(name)
}

/// The name of this machine.
pub fn host() -> String {
    let mut buffer = [0u8; 256];
    // SAFETY: the length passed is the buffer's, less one byte that stays NUL.
    let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) } != 0;
    let length = buffer.iter().position(|&b| b == 0).unwrap_or(0);
    match (failed, std::str::from_utf8(&buffer[..length])) {
        (false, Ok(name)) if !name.is_empty() => name.to_owned(),
        _ => "localhost".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_lock_is_refused_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("a.db");
        assert!(!SweepLock::is_held(&database));
        let first = SweepLock::acquire(&database).unwrap();
        assert!(SweepLock::is_held(&database));
        let refused = SweepLock::acquire(&database).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(first);
        assert!(!SweepLock::is_held(&database));
        SweepLock::acquire(&database).unwrap();
    }
}

//! Errors and their causes: one text for people, and whether a full disk or want of memory is at the bottom
//! of it.
//!
//! Errors of this program name their cause in their own message and also give it as their source, so
//! that a full disk is found; libraries do the one or the other. So a chain is never to be joined
//! blindly: [`message`] is the one place that does it.

use rusqlite::ErrorCode;
use std::error::Error;
use std::io;

/// The message of an error, followed by those of its causes that it does not contain already.
pub fn message(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for error in chain(error) {
        let message = error.to_string();
        if !text.contains(&message) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&message);
        }
    }
    text
}

/// Whether a full disk or an exhausted quota is the error or among its causes.
pub fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        // SQLite's memory that readers share lies on the disk, too.
        let sqlite =
            error.downcast_ref().and_then(rusqlite::Error::sqlite_error).is_some_and(|e| {
                e.code == ErrorCode::DiskFull
                    || e.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
            });
        matches!(code, Some(libc::ENOSPC | libc::EDQUOT)) || sqlite
    })
}

/// Whether memory was wanting: the error or one of its causes says so.
pub fn is_out_of_memory(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        code == Some(libc::ENOMEM) || says_out_of_memory(&error.to_string())
    })
}

/// Whether a message is what is said when memory is wanting: by CUDA, by libtorch's allocator on the CPU,
/// by C++, by Rust.
pub fn says_out_of_memory(text: &str) -> bool {
    const WORDS: [&str; 5] = [
        "out of memory",
        "can't allocate memory",
        "Cannot allocate memory",
        "std::bad_alloc",
        "memory allocation of",
    ];
    WORDS.iter().any(|words| text.contains(words))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ArtefactError, DatabaseError};

    fn full() -> ArtefactError {
        let source = io::Error::from_raw_os_error(libc::ENOSPC);
        ArtefactError::Io { action: "write", path: "file".into(), source }
    }

    #[test]
    fn a_cause_is_told_once() {
        let error = anyhow::Error::from(full()).context("could not store the agent");
        insta::assert_snapshot!(message(error.as_ref()),
            @"could not store the agent: could not write file: No space left on device (os error 28)");
    }

    #[test]
    fn want_of_memory_is_found_among_the_causes() {
        assert!(is_out_of_memory(&io::Error::from_raw_os_error(libc::ENOMEM)));
        let error =
            anyhow::anyhow!("CUDA out of memory. Tried to allocate 2 GiB").context("the agent");
        assert!(is_out_of_memory(error.as_ref()));
        assert!(!is_out_of_memory(&full()));
    }

    #[test]
    fn a_full_disk_is_found_among_the_causes() {
        assert!(is_disk_full(&full()));
        let error = anyhow::Error::from(full()).context("could not store the agent");
        assert!(is_disk_full(error.as_ref()));
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL);
        assert!(is_disk_full(&DatabaseError::Sqlite(rusqlite::Error::SqliteFailure(code, None))));
        assert!(!is_disk_full(&DatabaseError::Migration("x".to_owned())));
    }
}

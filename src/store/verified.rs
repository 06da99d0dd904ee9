//! Which artefacts were found whole, so that those that many stages read are not hashed for each.

use super::artefact::{self, ArtefactError};
use crate::plan::StageKey;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Name, length, time of the last change and number of each file of a folder, in order.
type Stamp = Vec<(std::ffi::OsString, u64, (i64, i64), u64)>;

/// So many artefacts are remembered at most.
const MOST: usize = 10_000;

/// Artefacts that were verified, with what their files looked like then.
#[derive(Debug, Default)]
pub struct Verified(Mutex<HashMap<PathBuf, Stamp>>);

impl Verified {
    /// Checks the artefact in a folder against its manifest, unless it was checked before and no file has
    /// changed since.
    ///
    /// # Errors
    /// As [`super::ArtefactStore::verify`].
    pub fn check(&self, folder: &Path, key: &StageKey) -> Result<(), ArtefactError> {
        // Taken before the files are read: one that changes meanwhile is read again next time.
        let stamp = stamp(folder).map_err(|source| ArtefactError::Io {
            action: "list",
            path: folder.to_owned(),
            source,
        })?;
        let seen = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen().get(folder) == Some(&stamp) {
            return Ok(());
        }
        artefact::verify(folder, key)?;
        let mut seen = seen();
        if seen.len() >= MOST {
            // Those that many stages read come back at once.
            seen.clear();
        }
        seen.insert(folder.to_owned(), stamp);
        Ok(())
    }
}

fn stamp(folder: &Path) -> io::Result<Stamp> {
    let mut stamp = Stamp::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        stamp.push((entry.file_name(), data.len(), (data.mtime(), data.mtime_nsec()), data.ino()));
    }
    stamp.sort();
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Stage, StageKind};
    use crate::store::ArtefactStore;
    use serde_json::Map;

    #[test]
    fn an_artefact_that_changes_after_it_was_checked_is_checked_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtefactStore::open(dir.path()).unwrap();
        let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let key = stage.key();
        let scratch = store.scratch().unwrap();
        fs::write(scratch.join("numbers"), b"12345").unwrap();
        store.publish(&scratch, &stage, &key, Vec::new(), Map::new()).unwrap();
        let folder = store.path(StageKind::Noop, &key);
        let verified = Verified::default();
        verified.check(&folder, &key).unwrap();
        verified.check(&folder, &key).unwrap();
        fs::write(folder.join("numbers"), b"1234").unwrap();
        let error = verified.check(&folder, &key).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains("4 bytes"), "{error}");
        fs::remove_dir_all(&folder).unwrap();
        assert!(verified.check(&folder, &key).unwrap_err().is_damage());
    }
}

//! Artefacts: directories named by their stage's key, each with a manifest of sizes and digests.
//! An artefact appears whole or not at all: it is written under a temporary name, synced, and
//! renamed.

use super::lock::host;
use crate::plan::{Findings, Metric, Projection, Stage, StageKey, StageKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use thiserror::Error;

/// Name of the manifest in an artefact's directory.
pub const MANIFEST: &str = "manifest.json";

/// What can go wrong with an artefact.
#[derive(Debug, Error)]
pub enum ArtefactError {
    #[error("{root} cannot hold artefacts: {source}; choose another folder with --store")]
    Root { root: PathBuf, source: io::Error },
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("artefact {path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
}

impl ArtefactError {
    /// Whether the artefact is at fault, and computing it anew helps; as opposed to a disk that cannot be
    /// read.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            // A file of the artefact is gone.
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
            Self::Root { .. } => false,
        }
    }

    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}

/// A file of an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    pub name: String,
    pub bytes: u64,
    pub blake3: String,
}

/// The manifest of an artefact: what it is, what made it, and what it measured. It suffices to
/// write the stage's rows in the database again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub key: StageKey,
    pub stage: Stage,
    pub version: u32,
    pub files: Vec<FileEntry>,
    pub metrics: Vec<Metric>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub projection: Option<Projection>,
    /// Free facts about the making: program and libtorch version, host, device, wall and CPU time,
    /// peak memory. They do not enter the key.
    pub provenance: Map<String, Value>,
}

impl Manifest {
    /// Bytes of all files but the manifest itself.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// The folder of all artefacts.
#[derive(Clone, Debug)]
pub struct ArtefactStore {
    root: PathBuf,
}

impl ArtefactStore {
    /// A store below `root`, which is made where it is missing.
    ///
    /// # Errors
    /// If the folders cannot be made.
    pub fn open(root: &Path) -> Result<Self, ArtefactError> {
        let store = Self::at(root);
        for dir in [store.root.join("artefacts"), store.tmp_root()] {
            fs::create_dir_all(&dir)
                .map_err(|source| ArtefactError::Root { root: root.to_owned(), source })?;
        }
        Ok(store)
    }

    /// Undoes [`ArtefactStore::open`] where nothing has been put into the store.
    pub fn remove_if_empty(&self) {
        for dir in [self.root.join("artefacts"), self.tmp_root(), self.root.clone()] {
            // A folder that holds something is not removed, and is to stay.
            let _ = fs::remove_dir(dir);
        }
    }

    /// The store below `root` for looking only: nothing is made, and one that is not there is empty.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The folder given to [`ArtefactStore::open`].
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn tmp_root(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where the artefact of a stage is, or would be.
    pub fn path(&self, kind: StageKind, key: &StageKey) -> PathBuf {
        self.root.join("artefacts").join(kind.name()).join(key.as_str())
    }

    /// The folder in which a stage that is not done keeps what it needs to go on where it was.
    pub fn checkpoint(&self, key: &StageKey) -> PathBuf {
        self.root.join("checkpoints").join(key.as_str())
    }

    /// Removes what a stage kept to go on with. Not an error where there is nothing.
    pub fn remove_checkpoint(&self, key: &StageKey) {
        // One that stays only takes room; `advrec gc` finds it.
        let _ = fs::remove_dir_all(self.checkpoint(key));
    }

    /// Whether the artefact is there; its content is not looked at.
    pub fn contains(&self, kind: StageKind, key: &StageKey) -> bool {
        self.path(kind, key).join(MANIFEST).is_file()
    }

    /// Reads the manifest.
    ///
    /// # Errors
    /// If it cannot be read, is not a manifest, or belongs to another stage.
    pub fn manifest(&self, kind: StageKind, key: &StageKey) -> Result<Manifest, ArtefactError> {
        manifest(&self.path(kind, key), key)
    }

    /// Checks every file of an artefact against its manifest.
    ///
    /// # Errors
    /// As [`ArtefactStore::manifest`], and if a file is missing or differs.
    pub fn verify(&self, kind: StageKind, key: &StageKey) -> Result<Manifest, ArtefactError> {
        verify(&self.path(kind, key), key)
    }

    /// A new empty folder to write an artefact in.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&self) -> Result<PathBuf, ArtefactError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{}-{number}", host(), std::process::id());
        let dir = self.tmp_root().join(name);
        if dir.exists() {
            // A process with this number died here before; nothing of it is wanted.
            fs::remove_dir_all(&dir).map_err(ArtefactError::io("remove", &dir))?;
        }
        fs::create_dir_all(&dir).map_err(ArtefactError::io("make the folder", &dir))?;
        Ok(dir)
    }

    /// Removes the folders of [`ArtefactStore::left_over_scratch`].
    pub fn remove_left_over_scratch(&self) {
        for folder in self.left_over_scratch() {
            // One that stays only takes room.
            let _ = fs::remove_dir_all(folder);
        }
    }

    /// The folders of [`ArtefactStore::scratch`] that processes of this machine left when they were
    /// killed. Those of other machines are not among them: whether their processes live is not known
    /// here.
    pub fn left_over_scratch(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.tmp_root()).into_iter().flatten().flatten();
        let left = entries.filter(|entry| {
            let name = entry.file_name();
            let mut parts = name.to_str().unwrap_or_default().rsplitn(3, '-');
            let (_, process, of) = (parts.next(), parts.next(), parts.next());
            let process = process.and_then(|p| p.parse::<i32>().ok()).filter(|&p| p > 0);
            of == Some(host().as_str()) && process.is_some_and(|process| !is_alive(process))
        });
        left.map(|entry| entry.path()).collect()
    }

    /// Makes the files in `scratch` the artefact of `stage`: writes the manifest, syncs, renames.
    /// Where the artefact is already there, that one stays, as if it had been made now, and `scratch` is
    /// removed.
    ///
    /// # Errors
    /// If a file cannot be read, written or synced; `scratch` is then left for a later clean-up.
    pub fn publish(
        &self,
        scratch: &Path,
        stage: &Stage,
        key: &StageKey,
        findings: impl Into<Findings>,
        provenance: Map<String, Value>,
    ) -> Result<Manifest, ArtefactError> {
        let Findings { metrics, projection } = findings.into();
        let mut files = Vec::new();
        let listing = fs::read_dir(scratch).map_err(ArtefactError::io("list", scratch))?;
        for entry in listing {
            let entry = entry.map_err(ArtefactError::io("list", scratch))?;
            let path = entry.path();
            let (bytes, blake3) = digest(&path)?;
            sync(&path)?;
            files.push(FileEntry {
                name: entry.file_name().to_string_lossy().into_owned(),
                bytes,
                blake3,
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let manifest = Manifest {
            key: key.clone(),
            stage: stage.clone(),
            version: stage.kind.version(),
            files,
            metrics,
            projection,
            provenance,
        };
        let path = scratch.join(MANIFEST);
        let text = serde_json::to_vec_pretty(&manifest).map_err(|e| ArtefactError::Damaged {
            path: path.clone(),
            reason: format!("the manifest cannot be written as JSON: {e}"),
        })?;
        fs::write(&path, text).map_err(ArtefactError::io("write", &path))?;
        sync(&path)?;
        sync(scratch)?;
        let target = self.path(stage.kind, key);
        let parent = self.root.join("artefacts").join(stage.kind.name());
        fs::create_dir_all(&parent).map_err(ArtefactError::io("make the folder", &parent))?;
        match fs::rename(scratch, &target) {
            Ok(()) => {}
            Err(_) if self.contains(stage.kind, key) => {
                fs::remove_dir_all(scratch).map_err(ArtefactError::io("remove", scratch))?;
                // It is wanted from now on, whatever `advrec gc` has thought of it.
                let touched = File::open(&target).and_then(|f| f.set_modified(SystemTime::now()));
                touched.map_err(ArtefactError::io("date", &target))?;
                return self.manifest(stage.kind, key);
            }
            // Without a manifest it is no artefact: what a removal that was cut off has left.
            Err(_) if target.is_dir() => {
                fs::remove_dir_all(&target).map_err(ArtefactError::io("remove", &target))?;
                fs::rename(scratch, &target).map_err(ArtefactError::io("rename to", &target))?;
            }
            Err(source) => {
                return Err(ArtefactError::Io { action: "rename to", path: target, source });
            }
        }
        sync(&parent)?;
        Ok(manifest)
    }

    /// Removes an artefact, whole or damaged. Not an error where there is none.
    ///
    /// # Errors
    /// If it is there and cannot be removed.
    pub fn remove(&self, kind: StageKind, key: &StageKey) -> Result<(), ArtefactError> {
        let path = self.path(kind, key);
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(ArtefactError::io("remove", &path)(e))
            }
            _ => Ok(()),
        }
    }
}

fn manifest(folder: &Path, key: &StageKey) -> Result<Manifest, ArtefactError> {
    let path = folder.join(MANIFEST);
    let text = fs::read(&path).map_err(ArtefactError::io("read", &path))?;
    let damaged = |reason: String| ArtefactError::Damaged { path: path.clone(), reason };
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|e| damaged(format!("the manifest: {e}")))?;
    if manifest.key != *key {
        return Err(damaged(format!("the manifest names key {}", manifest.key.short())));
    }
    Ok(manifest)
}

/// As [`ArtefactStore::verify`], of the artefact in this folder.
pub(super) fn verify(folder: &Path, key: &StageKey) -> Result<Manifest, ArtefactError> {
    let manifest = manifest(folder, key)?;
    for entry in &manifest.files {
        let path = folder.join(&entry.name);
        let damaged =
            |reason: &str| ArtefactError::Damaged { path: path.clone(), reason: reason.to_owned() };
        let (bytes, digest) = digest(&path)?;
        if bytes != entry.bytes {
            return Err(damaged(&format!("{bytes} bytes where {} were written", entry.bytes)));
        }
        if digest != entry.blake3 {
            return Err(damaged("its digest differs from the one written"));
        }
    }
    Ok(manifest)
}

/// Whether a process with this number is running here.
pub(super) fn is_alive(process: i32) -> bool {
    // SAFETY: kill touches no memory, and signal 0 is none.
    let found = unsafe { libc::kill(process, 0) } == 0;
    found || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

/// Length and BLAKE3 digest of a file.
fn digest(path: &Path) -> Result<(u64, String), ArtefactError> {
    let mut file = File::open(path).map_err(ArtefactError::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0u8; 1 << 16];
    let mut bytes = 0;
    loop {
        let n = file.read(&mut buffer).map_err(ArtefactError::io("read", path))?;
        if n == 0 {
            return Ok((bytes, hasher.finalize().to_hex().to_string()));
        }
        hasher.update(&buffer[..n]);
        bytes += n as u64;
    }
}

/// Flushes a file or a folder's entries to the disk.
fn sync(path: &Path) -> Result<(), ArtefactError> {
    File::open(path).and_then(|f| f.sync_all()).map_err(ArtefactError::io("sync", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published() -> (tempfile::TempDir, ArtefactStore, StageKey) {
        let dir = tempfile::tempdir().unwrap();
        let store = ArtefactStore::open(dir.path()).unwrap();
        let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let key = stage.key();
        let scratch = store.scratch().unwrap();
        fs::write(scratch.join("numbers"), b"12345").unwrap();
        let metrics = vec![Metric::new("m", "all", 1.5, 3)];
        store.publish(&scratch, &stage, &key, metrics, Map::new()).unwrap();
        assert!(!scratch.exists());
        (dir, store, key)
    }

    #[test]
    fn a_published_artefact_verifies_and_a_damaged_one_does_not() {
        let (_dir, store, key) = published();
        let manifest = store.verify(StageKind::Noop, &key).unwrap();
        assert_eq!(manifest.metrics, [Metric::new("m", "all", 1.5, 3)]);
        let file = store.path(StageKind::Noop, &key).join("numbers");
        fs::write(&file, b"12346").unwrap();
        assert!(store.verify(StageKind::Noop, &key).unwrap_err().to_string().contains("digest"));
        fs::write(&file, b"123").unwrap();
        assert!(store.verify(StageKind::Noop, &key).unwrap_err().to_string().contains("3 bytes"));
        fs::remove_file(&file).unwrap();
        assert!(store.verify(StageKind::Noop, &key).is_err());
    }

    #[test]
    fn scratch_of_killed_processes_is_removed_and_no_other() {
        let (dir, store, _) = published();
        let own = store.scratch().unwrap();
        // No process has the largest number.
        let left = dir.path().join(format!("tmp/{}-{}-0", host(), i32::MAX));
        let elsewhere = dir.path().join(format!("tmp/{}-x-{}-0", host(), i32::MAX));
        for folder in [&left, &elsewhere] {
            fs::create_dir(folder).unwrap();
        }
        store.remove_left_over_scratch();
        assert!(own.exists() && elsewhere.exists() && !left.exists());
    }

    #[test]
    fn what_is_left_of_a_removal_makes_room() {
        let (_dir, store, key) = published();
        let target = store.path(StageKind::Noop, &key);
        fs::remove_file(target.join(MANIFEST)).unwrap();
        let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let scratch = store.scratch().unwrap();
        fs::write(scratch.join("others"), b"other").unwrap();
        store.publish(&scratch, &stage, &key, Vec::new(), Map::new()).unwrap();
        let files = store.verify(StageKind::Noop, &key).unwrap().files;
        assert_eq!(files.len(), 1);
        assert!(!target.join("numbers").exists());
    }

    #[test]
    fn publishing_twice_keeps_the_first() {
        let (_dir, store, key) = published();
        let stage = Stage::new(StageKind::Noop, Map::new(), Vec::new());
        let folder = File::open(store.path(StageKind::Noop, &key)).unwrap();
        folder.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        let scratch = store.scratch().unwrap();
        fs::write(scratch.join("numbers"), b"other").unwrap();
        let kept = store.publish(&scratch, &stage, &key, Vec::new(), Map::new()).unwrap();
        assert_eq!(kept.metrics.len(), 1);
        let age = folder.metadata().unwrap().modified().unwrap().elapsed().unwrap_or_default();
        assert!(age.as_secs() < 3600, "{age:?}");
        assert!(!scratch.exists());
        store.verify(StageKind::Noop, &key).unwrap();
    }
}

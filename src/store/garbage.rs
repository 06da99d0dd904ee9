//! What the store holds and nothing needs.

use super::datasets::stage_key;
use super::size::on_disk;
use super::{ArtefactError, ArtefactStore, Database, DatabaseError};
use crate::plan::{StageKey, StageKind};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use thiserror::Error;

/// `advrec data` and `advrec import` take no lock, and register an artefact only after they have put it
/// into the store: one that the database does not know is left alone for so long.
const REGISTERING: Duration = Duration::from_secs(3600);

/// Why the store cannot be cleared.
#[derive(Debug, Error)]
pub enum GarbageError {
    #[error(
        "no grid has been swept with {database}, so nothing in the store would be needed; name the \
         database of this store with --db"
    )]
    NoGrid { database: PathBuf },
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Store(#[from] ArtefactError),
}

/// Which grids need their artefacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Every grid of the database.
    All,
    /// Of each name the grid that was swept last.
    Latest,
}

/// Kind of a thing in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Thing {
    Artefact(StageKind),
    /// Kept by a stage that is done or not needed.
    Checkpoint,
    /// Of an attempt that the database does not know.
    Log,
    /// Of a process that was killed.
    Scratch,
}

impl Thing {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Artefact(kind) => kind.name(),
            Self::Checkpoint => "checkpoints",
            Self::Log => "logs",
            Self::Scratch => "scratch",
        }
    }
}

/// Something that can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub thing: Thing,
    pub path: PathBuf,
    pub bytes: u64,
}

/// How many things, and how large they are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    pub count: usize,
    pub bytes: u64,
}

impl Amount {
    /// One thing more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What can go and what stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garbage {
    pub items: Vec<Item>,
    /// Artefacts that stay, by kind.
    pub kept: BTreeMap<StageKind, Amount>,
    /// Links, which may lead out of the store, and what has no key as its name: left alone.
    pub strange: Vec<PathBuf>,
    /// When the store was looked through.
    looked: Option<SystemTime>,
}

impl Garbage {
    /// Looks through the store. Only what was last changed before `before` can go, where it is given.
    ///
    /// # Errors
    /// If the database or the store cannot be read, or the database has no grid.
    pub fn find(
        database: &Database,
        store: &ArtefactStore,
        keep: Keep,
        before: Option<SystemTime>,
    ) -> Result<Self, GarbageError> {
        if database.latest_grid(None)?.is_none() {
            return Err(GarbageError::NoGrid { database: database.path().to_owned() });
        }
        let mut garbage = Self { looked: Some(SystemTime::now()), ..Self::default() };
        let artefacts = garbage.artefacts(store)?;
        let needed = needed(database, store, keep, &artefacts)?;
        let mut stored = HashSet::new();
        for (kind, key, path) in artefacts {
            let bytes = on_disk(&path);
            if needed.contains(&key) || !is_older(&path, before) {
                garbage.kept.entry(kind).or_default().add(bytes);
                stored.insert(key);
            } else {
                garbage.items.push(Item { thing: Thing::Artefact(kind), path, bytes });
            }
        }
        let mut add = |thing: Thing, path: PathBuf| {
            if is_older(&path, before) {
                let bytes = on_disk(&path);
                garbage.items.push(Item { thing, path, bytes });
            }
        };
        for entry in list(&store.root().join("checkpoints"))? {
            let key = entry.file_name().to_str().and_then(StageKey::parse);
            if key.is_some_and(|key| stored.contains(&key) || !needed.contains(&key)) {
                add(Thing::Checkpoint, entry.path());
            }
        }
        let logs = database.logs()?;
        for entry in list(&store.root().join("logs"))? {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !logs.contains(&entry.file_name()) {
                add(Thing::Log, entry.path());
            }
        }
        store.left_over_scratch().into_iter().for_each(|path| add(Thing::Scratch, path));
        Ok(garbage)
    }

    /// Every artefact of the store.
    fn artefacts(
        &mut self,
        store: &ArtefactStore,
    ) -> Result<Vec<(StageKind, StageKey, PathBuf)>, ArtefactError> {
        let mut artefacts = Vec::new();
        for folder in list(&store.root().join("artefacts"))? {
            let kind = folder.file_name().to_str().and_then(StageKind::named);
            let (Some(kind), true) = (kind, is_folder(&folder)) else {
                self.strange.push(folder.path());
                continue;
            };
            for entry in list(&folder.path())? {
                match entry.file_name().to_str().and_then(StageKey::parse) {
                    Some(key) if is_folder(&entry) => artefacts.push((kind, key, entry.path())),
                    _ => self.strange.push(entry.path()),
                }
            }
        }
        Ok(artefacts)
    }

    /// How much can go, by what it is.
    pub fn amounts(&self) -> BTreeMap<Thing, Amount> {
        let mut amounts: BTreeMap<Thing, Amount> = BTreeMap::new();
        for item in &self.items {
            amounts.entry(item.thing).or_default().add(item.bytes);
        }
        amounts
    }

    /// Removes all that can go and has not changed since it was found. An artefact first leaves its place, whole, so that a crash leaves none
    /// that is half there. Only for the holder of the sweep lock.
    ///
    /// # Errors
    /// If something cannot be removed; what was removed before stays so.
    pub fn remove(&self, store: &ArtefactStore) -> Result<(), ArtefactError> {
        let scratch = store.scratch()?;
        for (number, item) in self.items.iter().enumerate() {
            let io =
                |source| ArtefactError::Io { action: "remove", path: item.path.clone(), source };
            // Gone meanwhile, or wanted again: an import has found it in its place.
            if !is_older(&item.path, self.looked) {
                continue;
            }
            let aside = scratch.join(number.to_string());
            fs::rename(&item.path, &aside).map_err(io)?;
            // Neither follows links.
            match fs::symlink_metadata(&aside).map_err(io)?.is_dir() {
                true => fs::remove_dir_all(&aside).map_err(io)?,
                false => fs::remove_file(&aside).map_err(io)?,
            }
        }
        let path = scratch.clone();
        fs::remove_dir_all(scratch).map_err(|source| ArtefactError::Io {
            action: "remove",
            path,
            source,
        })
    }
}

/// Keys of all that the kept grids need, inputs of inputs among them, of what was registered, and of what
/// may be about to be.
fn needed(
    database: &Database,
    store: &ArtefactStore,
    keep: Keep,
    artefacts: &[(StageKind, StageKey, PathBuf)],
) -> Result<HashSet<StageKey>, DatabaseError> {
    let stored: HashMap<&StageKey, StageKind> =
        artefacts.iter().map(|(kind, key, _)| (key, *kind)).collect();
    let mut open = database.roots(keep)?;
    let registering = SystemTime::now().checked_sub(REGISTERING);
    for (_, key, path) in artefacts {
        if !is_older(path, registering) && database.stage_state(key)?.is_none() {
            open.push(key.clone());
        }
    }
    let mut needed = HashSet::new();
    while let Some(key) = open.pop() {
        if !needed.insert(key.clone()) {
            continue;
        }
        let mut inputs = database.inputs(&key)?;
        // What was made outside all sweeps has its inputs in its manifest alone.
        if inputs.is_empty()
            && let Some(kind) = stored.get(&key)
            && let Ok(manifest) = store.manifest(*kind, &key)
        {
            inputs = manifest.stage.inputs;
        }
        open.extend(inputs.into_iter().map(|input| input.key));
    }
    Ok(needed)
}

impl Database {
    /// Keys of the stages that cells use, and of registered datasets and imported weights.
    fn roots(&self, keep: Keep) -> Result<Vec<StageKey>, DatabaseError> {
        let grids = match keep {
            Keep::All => "grids",
            Keep::Latest => "latest_grids",
        };
        let mut statement = self.connection.prepare(&format!(
            "SELECT DISTINCT stage_key FROM cell_stages
             WHERE cell_id IN (SELECT id FROM cells WHERE grid_id IN (SELECT id FROM {grids}))
             UNION ALL SELECT key FROM datasets
             UNION ALL SELECT embedding_key FROM imports UNION ALL SELECT agent_key FROM imports"
        ))?;
        let mut rows = statement.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            keys.push(stage_key(row.get(0)?)?);
        }
        Ok(keys)
    }

    /// Names of the logs of all attempts.
    fn logs(&self) -> Result<HashSet<OsString>, DatabaseError> {
        let mut statement =
            self.connection.prepare("SELECT log_path FROM attempts WHERE log_path IS NOT NULL")?;
        let paths = statement.query_map([], |row| row.get::<_, String>(0))?;
        let name = |path: String| Path::new(&path).file_name().map(OsString::from);
        Ok(paths.collect::<Result<Vec<_>, _>>()?.into_iter().filter_map(name).collect())
    }
}

/// The entries of a folder in the order of their names; none where it is not there, or is a link.
fn list(folder: &Path) -> Result<Vec<DirEntry>, ArtefactError> {
    let io = |source| ArtefactError::Io { action: "list", path: folder.to_owned(), source };
    if !fs::symlink_metadata(folder).is_ok_and(|data| data.is_dir()) {
        return Ok(Vec::new());
    }
    let mut entries =
        fs::read_dir(folder).map_err(io)?.collect::<Result<Vec<_>, _>>().map_err(io)?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

/// A folder of its own, not a link to one.
fn is_folder(entry: &DirEntry) -> bool {
    entry.file_type().is_ok_and(|kind| kind.is_dir())
}

fn is_older(path: &Path, before: Option<SystemTime>) -> bool {
    let Some(before) = before else { return true };
    let changed = fs::symlink_metadata(path).and_then(|data| data.modified());
    changed.is_ok_and(|changed| changed < before)
}

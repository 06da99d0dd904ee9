//! Checkpoints of long trainings: a file with everything that decides the later bits, from which
//! another attempt at the same stage goes on. Draws are functions of their place (`crate::random`), so
//! there is no generator among it.
//!
//! The file is a safetensors file (flat float32 tensors, and under `header` in its metadata a
//! `Header` as JSON) followed by the 32 bytes of the BLAKE3 digest of all before. One file, since two
//! cannot be renamed together.

use super::lock::host;
use crate::plan::{Metric, StageKey};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thiserror::Error;

/// Name of the file in a stage's checkpoint folder.
pub const FILE: &str = "training.checkpoint";

/// How often a training is kept, unless it is said otherwise.
pub const INTERVAL: Duration = Duration::from_secs(30);

/// A checkpoint is followed by a pause at least this many times as long as it took: on a slow disk it
/// costs a fiftieth of the time at most.
const PAUSE: u32 = 50;

/// Name of the header in the file's metadata.
const HEADER: &str = "header";

const DIGEST_BYTES: usize = blake3::OUT_LEN;

/// Why a checkpoint could not be written or is of no use.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} was written by {found}, and this is {own}")]
    Foreign { path: PathBuf, found: String, own: String },
    #[error("the checkpoint has no {what} of the expected size")]
    Unfit { what: String },
}

/// What a checkpoint must have come from, to the letter: another program or device may give other bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Of the stage: its version, parameters and inputs.
    pub key: StageKey,
    /// Version and commit.
    pub program: String,
    /// Kind of device, and the version of the library that computes on it.
    pub device: String,
}

impl Origin {
    /// This program's training of a stage.
    pub fn new(key: StageKey, device: impl Into<String>) -> Self {
        let dirty = if env!("ADVREC_GIT_DIRTY") == "true" { " with changes" } else { "" };
        let (version, commit) = (env!("CARGO_PKG_VERSION"), env!("ADVREC_GIT_COMMIT"));
        Self { key, program: format!("{version} ({commit}{dirty})"), device: device.into() }
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { key, program, device } = self;
        write!(f, "advrec {program} on {device} for stage {}", key.short())
    }
}

/// A training after an epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State<'a> {
    /// Epochs done.
    pub epoch: u64,
    /// Of the epochs done.
    pub metrics: Vec<Metric>,
    /// Counters and finite numbers.
    numbers: BTreeMap<String, f64>,
    tensors: BTreeMap<String, Cow<'a, [f32]>>,
}

impl<'a> State<'a> {
    /// Without tensors and numbers as yet.
    pub fn new(epoch: u64, metrics: &[Metric]) -> Self {
        Self { epoch, metrics: metrics.to_vec(), ..Self::default() }
    }

    /// Adds a finite number. Names must differ.
    pub fn add_number(&mut self, name: impl Into<String>, value: f64) {
        self.numbers.insert(name.into(), value);
    }

    /// Adds the values of a tensor. Names must differ.
    pub fn add(&mut self, name: impl Into<String>, values: impl Into<Cow<'a, [f32]>>) {
        self.tensors.insert(name.into(), values.into());
    }

    /// A number.
    ///
    /// # Errors
    /// If it is missing.
    pub fn number(&self, name: &str) -> Result<f64, CheckpointError> {
        let unfit = || CheckpointError::Unfit { what: format!("number `{name}`") };
        self.numbers.get(name).copied().ok_or_else(unfit)
    }

    /// The values of a tensor of `length` numbers.
    ///
    /// # Errors
    /// If it is missing or has another length.
    pub fn tensor(&self, name: &str, length: usize) -> Result<&[f32], CheckpointError> {
        let values = self.tensors.get(name).filter(|values| values.len() == length);
        let unfit = || CheckpointError::Unfit { what: format!("tensor `{name}`") };
        values.map(|values| &**values).ok_or_else(unfit)
    }

    /// Copies a tensor's values over others.
    ///
    /// # Errors
    /// If it is missing or has another length.
    pub fn copy_to(&self, name: &str, values: &mut [f32]) -> Result<(), CheckpointError> {
        values.copy_from_slice(self.tensor(name, values.len())?);
        Ok(())
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    origin: Origin,
    epoch: u64,
    numbers: BTreeMap<String, f64>,
    metrics: Vec<Metric>,
}

/// Where a training is kept, and when.
#[derive(Debug)]
pub struct Checkpoint {
    /// `None` where nothing is kept.
    place: Option<Place>,
    every: Duration,
    /// When the next one is due.
    due: Instant,
    found: Option<State<'static>>,
    /// Whether it was said that nothing can be written.
    warned: bool,
}

#[derive(Debug)]
struct Place {
    folder: PathBuf,
    origin: Origin,
}

impl Checkpoint {
    /// Keeps nothing and has nothing.
    pub fn none() -> Self {
        Self { place: None, every: INTERVAL, due: Instant::now(), found: None, warned: false }
    }

    /// Looks for a checkpoint of this origin in a folder, which need not exist. One that cannot be used
    /// is passed over with a warning in the log. The training is kept there `every` so long, each epoch
    /// where that is zero.
    pub fn open(folder: &Path, origin: Origin, every: Duration) -> Self {
        let place = Place { folder: folder.to_owned(), origin };
        let found = place.read().unwrap_or_else(|error| {
            let error = crate::causes::message(&error);
            tracing::warn!(error, "the checkpoint is not used: training starts from the beginning");
            None
        });
        if let Some(state) = &found {
            tracing::info!(done = state.epoch, "goes on from epoch {}", state.epoch + 1);
        }
        Self { place: Some(place), every, due: Instant::now() + every, found, ..Self::none() }
    }

    /// Epochs that were done before, 0 at the beginning; until [`Checkpoint::resume`] takes them.
    pub fn epoch(&self) -> u64 {
        self.found.as_ref().map_or(0, |state| state.epoch)
    }

    /// A training where it was, the number of epochs done, and their metrics: a fresh one, into which
    /// `restore` puts the state that was found, or a fresh one as it is.
    ///
    /// # Errors
    /// Those of `fresh`.
    pub fn resume<T, E>(
        &mut self,
        fresh: impl Fn() -> Result<T, E>,
        restore: impl FnOnce(&mut T, &State<'_>) -> Result<(), CheckpointError>,
    ) -> Result<(T, u64, Vec<Metric>), E> {
        let mut training = fresh()?;
        let Some(state) = self.found.take() else { return Ok((training, 0, Vec::new())) };
        if let Err(error) = restore(&mut training, &state) {
            tracing::warn!(%error, "the checkpoint is not used: training starts from the beginning");
            // Half of the state may be in the other one.
            return Ok((fresh()?, 0, Vec::new()));
        }
        Ok((training, state.epoch, state.metrics))
    }

    /// Keeps the training after an epoch, if it `must` be or it is time. What cannot be written is
    /// warned of once: the training is not to end for that.
    pub fn keep<'a>(&mut self, must: bool, state: impl FnOnce() -> State<'a>) {
        let Some(place) = &self.place else { return };
        if !must && Instant::now() < self.due {
            return;
        }
        let start = Instant::now();
        let state = state();
        let written = place.write(&state);
        let took = start.elapsed();
        match written {
            Ok(bytes) => {
                let seconds = took.as_secs_f64();
                tracing::info!(epoch = state.epoch, bytes, seconds, "checkpoint");
            }
            Err(error) if !self.warned => {
                self.warned = true;
                let error = crate::causes::message(&error);
                tracing::warn!(
                    error,
                    "the training goes on without a checkpoint: should it be lost, the epochs since the \
                     last one are too"
                );
            }
            Err(_) => {}
        }
        let pause = if self.every.is_zero() { self.every } else { self.every.max(took * PAUSE) };
        self.due = Instant::now() + pause;
    }
}

/// Values in the form of the file.
struct Flat<'a> {
    values: &'a [f32],
    shape: [usize; 1],
}

impl View for Flat<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

impl Place {
    fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What is there; an error where it is of no use.
    fn read(&self) -> Result<Option<State<'static>>, CheckpointError> {
        self.remove_unfinished();
        let path = self.path();
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CheckpointError::Io { action: "read", path, source }),
            Ok(bytes) => bytes,
        };
        let damaged = |reason: String| CheckpointError::Damaged { path: path.clone(), reason };
        let (file, digest) = bytes
            .split_last_chunk::<DIGEST_BYTES>()
            .ok_or_else(|| damaged(format!("{} bytes are too few", bytes.len())))?;
        if blake3::hash(file) != *digest {
            return Err(damaged("its digest differs from the one written".to_owned()));
        }
        let (_, metadata) = SafeTensors::read_metadata(file).map_err(|e| damaged(e.to_string()))?;
        let header = metadata.metadata().as_ref().and_then(|m| m.get(HEADER));
        let header = header.ok_or_else(|| damaged("it has no header".to_owned()))?;
        let header: Header =
            serde_json::from_str(header).map_err(|e| damaged(format!("its header: {e}")))?;
        if header.origin != self.origin {
            let (found, own) = (header.origin.to_string(), self.origin.to_string());
            return Err(CheckpointError::Foreign { path, found, own });
        }
        let file = SafeTensors::deserialize(file).map_err(|e| damaged(e.to_string()))?;
        let values = |bytes: &[u8]| -> Vec<f32> {
            bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
        };
        let tensors = file.tensors().into_iter().map(|(name, t)| (name, values(t.data()).into()));
        let Header { epoch, numbers, metrics, .. } = header;
        Ok(Some(State { epoch, metrics, numbers, tensors: tensors.collect() }))
    }

    /// Replaces the checkpoint; returns its size in bytes.
    fn write(&self, state: &State<'_>) -> Result<u64, CheckpointError> {
        // Of this process alone: one that is taken for lost may still be writing.
        let temporary = self.folder.join(format!("{}-{}.tmp", host(), std::process::id()));
        let written = self.write_to(&temporary, state);
        if written.is_err() {
            // A full disk is not to be kept full.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn write_to(&self, temporary: &Path, state: &State<'_>) -> Result<u64, CheckpointError> {
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| CheckpointError::Io { action, path, source }
        };
        let damaged =
            |reason: String| CheckpointError::Damaged { path: temporary.to_owned(), reason };
        let header = Header {
            origin: self.origin.clone(),
            epoch: state.epoch,
            numbers: state.numbers.clone(),
            metrics: state.metrics.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|e| damaged(e.to_string()))?;
        let metadata = Some(HashMap::from([(HEADER.to_owned(), header)]));
        let views = state.tensors.iter().map(|(name, values)| {
            let shape = [values.len()];
            (name, Flat { values, shape })
        });
        let mut bytes =
            safetensors::serialize(views, metadata).map_err(|e| damaged(e.to_string()))?;
        let digest = blake3::hash(&bytes);
        bytes.extend_from_slice(digest.as_bytes());
        fs::create_dir_all(&self.folder).map_err(io("make the folder", &self.folder))?;
        let mut file = File::create(temporary).map_err(io("create", temporary))?;
        file.write_all(&bytes).map_err(io("write", temporary))?;
        file.sync_all().map_err(io("sync", temporary))?;
        let path = self.path();
        fs::rename(temporary, &path).map_err(io("rename to", &path))?;
        let folder = File::open(&self.folder).and_then(|folder| folder.sync_all());
        folder.map_err(io("sync", &self.folder))?;
        Ok(bytes.len() as u64)
    }

    /// Removes files that processes began and did not finish.
    fn remove_unfinished(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let paths = entries.flatten().map(|entry| entry.path());
        for path in paths.filter(|path| path.extension().is_some_and(|e| e == "tmp")) {
            // One that stays goes with the folder when the stage is done.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests;

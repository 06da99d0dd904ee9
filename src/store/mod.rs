//! Where results live: one SQLite file, written by the orchestrator alone, and a folder of artefacts.

pub mod artefact;
mod attempts;
mod chain;
pub mod checkpoint;
pub mod database;
mod datasets;
mod explanation;
pub mod filesystem;
pub mod garbage;
mod grids;
pub mod lock;
mod metrics;
mod migrations;
mod observations;
mod records;
mod rows;
pub mod size;
mod status;
mod sweeps;
mod verified;

pub use artefact::{ArtefactError, ArtefactStore, FileEntry, Manifest};
pub use attempts::{AttemptEnd, AttemptId, AttemptStart, AttemptState, StageState};
pub use chain::{CellHistory, Source, StageHistory};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use database::{Batch, Database, DatabaseError};
pub use datasets::{DatasetRow, ImportRow};
pub use explanation::{Artefact, Explainer, Explanation, Nearest, Verdict, Wait};
pub use garbage::{Garbage, GarbageError, Keep, Thing};
pub use grids::{GridId, GridRow};
pub use lock::{LockError, SweepLock};
pub use observations::Observation;
pub use records::{RecordedAttempt, RecordedGrid};
pub use rows::Rows;
pub use status::{FailureRow, GridStatus};
pub use sweeps::{SweepCounts, SweepEnding, SweepId, SweepStart};
pub use verified::Verified;

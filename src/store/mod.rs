//! Where results live: one SQLite file, written by the orchestrator alone, and a folder of artefacts.

pub mod artefact;
mod attempts;
pub mod database;
mod datasets;
pub mod filesystem;
mod grids;
pub mod lock;
mod metrics;
mod migrations;
mod rows;
mod status;
mod sweeps;
mod verified;

pub use artefact::{ArtefactError, ArtefactStore, FileEntry, Manifest};
pub use attempts::{AttemptEnd, AttemptId, AttemptStart, AttemptState, StageState};
pub use database::{Batch, Database, DatabaseError};
pub use datasets::{DatasetRow, ImportRow};
pub use grids::{GridId, GridRow};
pub use lock::{LockError, SweepLock};
pub use rows::Rows;
pub use status::{FailureRow, GridStatus};
pub use sweeps::{SweepCounts, SweepEnding, SweepId, SweepStart};
pub use verified::Verified;

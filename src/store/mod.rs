//! Where results live: one SQLite file, written by the orchestrator alone, and a folder of artefacts.

pub mod artefact;
pub mod database;

pub use artefact::{ArtefactError, ArtefactStore, FileEntry, Manifest};
pub use database::{Database, DatabaseError, DatasetRow};

//! Embeddings of the knowledge graph: TransE as PGPR trains it, their form on disk, and the `direct`
//! recommender that ranks by them alone (SPEC sections 2 and 5).
//!
//! Training is in plain Rust on one core: a batch touches some hundred rows of tables with hundreds
//! of thousands, so the work is sparse updates and short dot products, for which a tensor library
//! has no kernel.

mod batches;
pub mod direct;
pub mod embeddings;
mod gradient;
pub(crate) mod kernel;
mod optimizer;
mod parameters;
mod sampling;
mod schedule;
pub mod transe;

pub use embeddings::{Embeddings, EmbeddingsError};
pub use transe::{EpochReport, TransEError, TransEParams, resume, train};

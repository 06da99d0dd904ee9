//! Datasets: PGPR's file format, the synthetic generator, and the compact form that stages read.

pub mod arrays;
pub mod dataset;
pub mod pgpr;
pub mod pgpr_writer;
pub mod resolve;
pub mod synthetic;
pub mod verify;

pub use dataset::{Dataset, DatasetError, Interactions, Rows};
pub use resolve::{EMBEDDED, Named, ResolveError, read_named};
pub use synthetic::SyntheticSpec;

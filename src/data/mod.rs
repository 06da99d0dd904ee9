//! Datasets: PGPR's file format, the synthetic generator, and the compact form that stages read.

pub mod dataset;

pub use dataset::{Dataset, Interactions, Rows};

//! Numbers about results: ranking metrics of recommendations, measures of detectors, and statistics over
//! seeds and users.

pub mod classification;
pub mod paired;
pub mod ranking;
pub mod resampling;
pub mod statistics;

pub use classification::{Classification, Scored, classify};
pub use ranking::{RankingReport, ranking};

//! Numbers about results: ranking metrics of recommendations, and statistics over seeds and users.

pub mod ranking;
pub mod statistics;

pub use ranking::{RankingReport, ranking};

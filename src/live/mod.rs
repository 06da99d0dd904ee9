//! The live page, and how a sweep is told.

pub mod wording;

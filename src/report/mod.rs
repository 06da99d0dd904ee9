//! Reports: the tables of the paper from the database's views, with the paper's numbers beside.

mod database;
mod drift;
mod flags;
mod markdown;
pub mod paper;
pub mod table1;
mod terminal;
mod timed;

pub use database::ReportError;
pub use table1::Table1;

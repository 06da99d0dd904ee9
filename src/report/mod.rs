//! Reports: the tables of the paper from the database's views, with the paper's numbers beside, and figures.

mod crossed;
mod database;
mod drift;
pub mod figure;
mod flags;
mod markdown;
pub mod paper;
mod setting;
pub mod table1;
pub mod table2;
mod table2_layout;
mod terminal;
mod timed;

pub use database::ReportError;
pub use table1::Table1;
pub use table2::Table2;

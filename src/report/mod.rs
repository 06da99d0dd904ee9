//! Reports: the tables of the paper from the database's views, with the paper's numbers beside, and figures.

mod comparison;
mod crossed;
mod database;
pub mod document;
mod drift;
pub mod figure;
mod flags;
mod format;
pub mod general;
mod interval;
mod materialised;
mod metric_choice;
mod page;
pub mod paper;
mod per_user;
mod results;
mod setting;
pub mod table1;
mod table1_narrow;
mod table1_wide;
pub mod table2;
mod table2_layout;
mod timed;
mod verdict;

pub use comparison::Comparison;
pub use database::ReportError;
pub use document::Document;
pub use format::Format;
pub use general::{GeneralError, Request};
pub use interval::Interval;
pub use materialised::materialise;
pub use page::Page;
pub use per_user::paired_ndcg;
pub use results::{CellResult, Results};
pub use table1::Table1;
pub use table2::Table2;

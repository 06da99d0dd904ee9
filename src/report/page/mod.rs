//! The whole report as one HTML file that needs nothing else.

use super::{Document, Format, ReportError, Table1, Table2};
use rusqlite::Connection;

/// Everything that the page shows, read at one moment.
pub struct Page {
    documents: Vec<Document>,
}

impl Page {
    /// Reads the results of one grid, or of all.
    ///
    /// # Errors
    /// If the database cannot be read, or has no grid of this name.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Self, ReportError> {
        let table1 = Table1::read(db, grid)?.wide(true);
        let table2 = Table2::read(db, grid)?.map(|table| table.wide(true));
        Ok(Self { documents: std::iter::once(table1).chain(table2).collect() })
    }

    /// The page. `live`: a fragment of HTML that stands before everything else, such as the running sweep
    /// with the script that keeps it current.
    pub fn to_html(&self, live: Option<&str>) -> String {
        let page = Format::Html.write(&self.documents, true);
        match live {
            Some(live) => page.replacen("<main>\n", &format!("<main>\n{live}"), 1),
            None => page,
        }
    }
}

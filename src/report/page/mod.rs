//! The whole report as one HTML file that needs nothing else: no network, no other file, and no script to be
//! read. What its script adds is sorting, filters and the query behind a number.

mod cells;
mod failures;
mod figures;
mod findings;
mod flags;
mod provenance;
mod sentence;
mod tables;

use super::database::failed;
use super::figure::font_face;
use super::format::html::escaped;
use super::{Conformance, ReportError, Table1, Table2, materialise};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// What the page may load: what is in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      font-src data:; img-src data:; base-uri 'none'; form-action 'none'";

/// Everything that the page shows, read at one moment.
pub struct Page {
    title: String,
    /// When the last attempt ended.
    until: Option<String>,
    filters: String,
    sections: Vec<Section>,
}

/// A part of the page with a place in its table of contents.
struct Section {
    id: &'static str,
    title: String,
    body: String,
}

impl Section {
    fn new(id: &'static str, title: &str, body: String) -> Self {
        Self { id, title: title.to_owned(), body }
    }

    fn html(&self) -> String {
        let Self { id, title, body } = self;
        let title = escaped(title);
        format!(
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n\
             {body}</section>\n"
        )
    }
}

impl Page {
    /// Reads the results of one grid, or of all.
    ///
    /// # Errors
    /// If the database cannot be read, or has no grid of this name.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Self, ReportError> {
        let own = db.is_autocommit();
        materialise(db)?;
        let tables = || Ok((Table1::read(db, grid)?, Table2::read(db, grid)?));
        let page = tables().and_then(|(table1, table2)| Self::of_tables(db, grid, table1, table2));
        if own && !db.is_autocommit() {
            // The next page is of a later moment.
            db.execute_batch("ROLLBACK").map_err(failed("the database"))?;
        }
        page
    }

    /// Reads what the page shows beside tables that were read from the same database, with the intervals of its
    /// views, at the same moment.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn of_tables(
        db: &Connection,
        grid: Option<&str>,
        table1: Table1,
        table2: Option<Table2>,
    ) -> Result<Self, ReportError> {
        let table1 = table1.with_sources(db, grid)?;
        let table2 = table2.map(Table2::with_sources);
        let grids = cells::read(db, grid)?;
        let datasets: BTreeSet<&str> = table1.blocks.iter().map(|b| b.dataset.as_str()).collect();
        let mut sections = vec![findings::section(&table1, table2.as_ref(), &grids, grid)];
        let documents = [
            ("table-1", Some(table1.wide(true))),
            ("table-2", table2.as_ref().map(|table| table.wide(true))),
            ("conformance", Some(Conformance::read(db, grid)?.document())),
        ];
        for (id, document) in documents {
            let Some(document) = document else { continue };
            sections.push(Section::new(id, &document.title, tables::document(&document)));
        }
        sections.push(figures::read(db, grid, &datasets)?);
        sections.push(flags::section(&table1));
        sections.push(failures::read(db, grid)?);
        sections.push(cells::missing(&grids, &table1, table2.as_ref()));
        sections.push(provenance::read(db, grid)?);
        sections.push(queries());
        let names: Vec<&str> = grids.iter().map(|of| of.grid.as_str()).collect();
        let title = match (names.as_slice(), grid) {
            (_, Some(grid)) => format!("Results of the grid {grid}"),
            ([], None) => "No results yet".to_owned(),
            ([one], None) => format!("Results of the grid {one}"),
            (several, None) => format!("Results of {} grids", several.len()),
        };
        let sql = "SELECT max(ended) FROM attempts";
        let until = db.query_row(sql, [], |row| row.get(0)).map_err(failed("the attempts"))?;
        let filters = filters(&table1, table2.as_ref(), &datasets);
        Ok(Self { title, until, filters, sections })
    }

    /// The page. `live`: a fragment of HTML that stands before everything else, such as the running sweep
    /// with the script that keeps it current.
    pub fn to_html(&self, live: Option<&str>) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let connect = if live.is_some() { "; connect-src 'self'" } else { "" };
        let title = escaped(&self.title);
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}{connect}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"generator\" content=\"advrec {version}\">\n\
             <title>{title}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
             <style>\n{}\n{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">Skip to the report</a>\n<header>\n<h1>{title}</h1>\n",
            font_face()
        );
        let until = self.until.as_deref().map(|until| {
            let until = escaped(until);
            format!(", results until <time datetime=\"{until}\">{}</time>", readable(&until))
        });
        let _ = writeln!(out, "<p>advrec {version}{}</p>\n</header>", until.unwrap_or_default());
        out += "<nav aria-label=\"Contents\">\n<ol>\n";
        for Section { id, title, .. } in &self.sections {
            let _ = writeln!(out, "<li><a href=\"#{id}\">{}</a></li>", escaped(title));
        }
        out += "</ol>\n</nav>\n<main id=\"main\" tabindex=\"-1\">\n";
        out += live.unwrap_or_default();
        for (at, section) in self.sections.iter().enumerate() {
            out += &section.html();
            if at == 0 {
                out += &self.filters;
            }
        }
        out += "</main>\n";
        let _ = write!(out, "<script>\n{SCRIPT}</script>\n</body>\n</html>\n");
        out
    }
}

/// A moment as the database has it, without what nobody reads.
fn readable(moment: &str) -> String {
    match (moment.get(..10), moment.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => moment.to_owned(),
    }
}

/// Check boxes by dataset and by attack, for the script to show; nothing where there is no choice.
fn filters(table1: &Table1, table2: Option<&Table2>, datasets: &BTreeSet<&str>) -> String {
    let mut attacks: Vec<&str> = Vec::new();
    let rows = table1.blocks.iter().flat_map(|block| &block.rows);
    let tests = table2.into_iter().flat_map(|table| &table.blocks).flat_map(|block| &block.rows);
    let ids = rows.map(|row| &row.setting.attack).chain(tests.map(|test| &test.attack));
    let mut known = BTreeSet::new();
    attacks.extend(ids.map(String::as_str).filter(|id| known.insert(*id)));
    let set = |legend: &str, name: &str, values: &mut dyn Iterator<Item = &str>| {
        let boxes: String = values
            .map(|value| {
                let label = if (name, value) == ("attack", "none") { "none (clean)" } else { value };
                let (value, label) = (escaped(value), escaped(label));
                format!(
                    "<label><input type=\"checkbox\" name=\"{name}\" value=\"{value}\"> {label}</label>\n"
                )
            })
            .collect();
        format!("<fieldset>\n<legend>{legend}</legend>\n{boxes}</fieldset>\n")
    };
    let mut sets = String::new();
    if datasets.len() > 1 {
        sets += &set("Dataset", "dataset", &mut datasets.iter().copied());
    }
    if attacks.len() > 1 {
        sets += &set("Attack", "attack", &mut attacks.into_iter());
    }
    match sets.is_empty() {
        true => String::new(),
        false => format!(
            "<form id=\"filters\" aria-label=\"Filters\" hidden>\n{sets}<p><button type=\"reset\">Show \
             all</button> <output id=\"shown\" aria-live=\"polite\"></output></p>\n</form>\n"
        ),
    }
}

fn queries() -> Section {
    let body = "<p>The numbers are means over seeds from the views of the database, whose columns \
        <code>docs/views.md</code> lists. With scripts, a number that is underlined shows the query that \
        gives it: click it, or reach the table with the tab key, move with the arrow keys and press Enter. \
        Without scripts, or for other questions:</p>\n\
        <pre tabindex=\"0\"><code>advrec query \"SELECT attack, epsilon, metric, value, lower, upper, n FROM \
        table1 WHERE split = 'valid'\"\n\
        advrec query \"SELECT method, trained_on, attack, metric, value FROM table2\"\n\
        advrec export table1 --help</code></pre>\n\
        <p>A query of this page gives the mean, the ends of its 95 % interval, and the number of seeds or \
        stages that it is of.</p>\n";
    Section::new("queries", "Queries", body.to_owned())
}

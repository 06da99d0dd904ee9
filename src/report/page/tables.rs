//! Tables of documents, with what the page's script sorts and filters them by and makes queries from.

use crate::report::document::{Cell, Document, Notes, Part, Row, Table};
use crate::report::format::html::{digits, escaped, header, marked_up};
use crate::report::source::Source;
use std::fmt::Write as _;

/// Length from which the label of a row is broken into lines.
const LONG: usize = 40;

/// What is in the cells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Numbers,
    /// Text that is read in lines, and may be long.
    Text,
}

/// The parts of a document, each heading with the tables below it in a section of its own.
pub fn document(document: &Document) -> String {
    let mut out = String::new();
    let mut heading = document.title.as_str();
    let mut open = false;
    for (at, part) in document.parts.iter().enumerate() {
        if open && matches!(part, Part::Heading(_) | Part::Notes(_)) {
            out += "</section>\n";
            open = false;
        }
        out += &match part {
            Part::Heading(text) => {
                heading = text;
                open = true;
                let dataset = document.parts[at + 1..].iter().find_map(|part| match part {
                    Part::Table(table) => Some(table.dataset.as_deref()),
                    _ => None,
                });
                let dataset = of_dataset(dataset.flatten());
                format!("<section class=\"block\"{dataset}>\n<h3>{}</h3>\n", marked_up(text))
            }
            Part::Paragraph(text) => format!("<p>{}</p>\n", marked_up(text)),
            Part::Table(table) => written(table, heading, Kind::Numbers),
            Part::Notes(of) => notes(of),
        };
    }
    if open { out + "</section>\n" } else { out }
}

fn of_dataset(dataset: Option<&str>) -> String {
    dataset.map_or(String::new(), |name| format!(" data-dataset=\"{}\"", escaped(name)))
}

fn notes(notes: &Notes) -> String {
    let title = notes.title.as_ref().map(|text| format!("<h3>{}</h3>\n", marked_up(text)));
    let intro = notes.intro.as_ref().map(|text| format!("<p>{}</p>\n", marked_up(text)));
    let items: String =
        notes.items.iter().map(|item| format!("<li>{}</li>\n", marked_up(item))).collect();
    let (title, intro) = (title.unwrap_or_default(), intro.unwrap_or_default());
    format!("<div class=\"notes\">\n{title}{intro}<ul>\n{items}</ul>\n</div>\n")
}

/// A table. Its name is the caption, or the heading that it stands under, which is not shown twice.
pub fn written(table: &Table, heading: &str, kind: Kind) -> String {
    let intro = table.intro.as_ref();
    let intro = intro.map(|text| format!("<p class=\"intro\">{}</p>\n", marked_up(text)));
    let mut out = intro.unwrap_or_default();
    let columns = Columns::of(table);
    let (caption, hidden) = match &table.caption {
        Some(caption) => (caption.as_str(), ""),
        None => (heading, " class=\"unseen\""),
    };
    let class = if kind == Kind::Text { " class=\"text\"" } else { "" };
    let _ = write!(
        out,
        "<div class=\"scroll\" role=\"group\" tabindex=\"0\" aria-label=\"{}\"{}>\n\
         <table{class}>\n<caption{hidden}><span>{}</span></caption>\n<colgroup><col>",
        escaped(&table.titled(heading).replace('`', "")),
        of_dataset(table.dataset.as_deref()),
        marked_up(caption)
    );
    columns.0.iter().for_each(|column| out += &column.html());
    out += "</colgroup>\n<thead>\n";
    out += &header(table, |at| format!(" data-column=\"{at}\""));
    out += "</thead>\n";
    for group in &table.groups {
        out += "<tbody>\n";
        if let Some(label) = &group.label {
            let width = table.columns.len() + 1;
            let label = escaped(label);
            let _ =
                writeln!(out, "<tr><th scope=\"rowgroup\" colspan=\"{width}\">{label}</th></tr>");
        }
        group.rows.iter().for_each(|of| row(of, &columns, &mut out));
        out += "</tbody>\n";
    }
    out + "</table>\n</div>\n"
}

/// What most numbers of a column share of their queries: said once.
struct Columns<'a>(Vec<Column<'a>>);

struct Column<'a> {
    name: String,
    shared: Option<&'a Source>,
}

impl<'a> Columns<'a> {
    fn of(table: &'a Table) -> Self {
        let columns = table.columns.iter().enumerate().map(|(at, column)| {
            let mut rows = table.groups.iter().flat_map(|group| &group.rows);
            let shared = rows.find_map(|row| row.sources.get(at)?.as_ref());
            Column { name: column.full(), shared }
        });
        Self(columns.collect())
    }
}

impl Column<'_> {
    fn html(&self) -> String {
        match self.shared {
            Some(source) => format!(
                "<col data-name=\"{}\" data-view=\"{}\" data-sql=\"{}\">",
                escaped(&self.name),
                source.view,
                escaped(&source.query)
            ),
            None => format!("<col data-name=\"{}\">", escaped(&self.name)),
        }
    }
}

fn row(row: &Row, columns: &Columns<'_>, out: &mut String) {
    // The first conditions in each view are the row's.
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for source in row.sources.iter().flatten() {
        if chosen.iter().all(|(view, _)| *view != source.view) {
            chosen.push((source.view, &source.row));
        }
    }
    *out += "<tr";
    if let Some(attack) = &row.attack {
        let _ = write!(out, " data-attack=\"{}\"", escaped(attack));
    }
    for (view, conditions) in &chosen {
        let _ = write!(out, " data-{view}=\"{}\"", escaped(conditions));
    }
    let long = if row.label.chars().count() > LONG { " class=\"long\"" } else { "" };
    let _ = write!(out, "><th scope=\"row\"{long}>{}", escaped(&row.label));
    for mark in &row.marks {
        let _ = write!(out, " <a href=\"#flags\" aria-label=\"flag {mark}\">[{mark}]</a>");
    }
    *out += "</th>";
    for (at, of) in row.cells.iter().enumerate() {
        let source = row.sources.get(at).and_then(Option::as_ref);
        let shared = columns.0.get(at).and_then(|column| column.shared);
        cell(of, source, shared, &chosen, out);
    }
    *out += "</tr>\n";
}

fn cell(
    cell: &Cell,
    source: Option<&Source>,
    shared: Option<&Source>,
    chosen: &[(&str, &str)],
    out: &mut String,
) {
    *out += "<td";
    *out += &digits(cell);
    if let Some(source) = source {
        *out += " class=\"q\"";
        let said = shared.is_some_and(|s| s.view == source.view && s.query == source.query)
            && chosen.iter().any(|of| *of == (source.view, &source.row));
        if !said {
            let _ = write!(out, " data-sql=\"{}\"", escaped(&source.sql()));
        }
    }
    // Where there is little room, a line ends before the sign, not behind it.
    let _ = write!(out, ">{}</td>", escaped(&cell.text()).replace("± ", "±\u{a0}"));
}

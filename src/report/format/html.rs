//! Tables for a web page: captions, headers with their scope, nothing that needs a script.

use crate::report::document::{Cell, Document, Notes, Part, Table};
use std::fmt::Write as _;

/// What a page of its own begins with, up to its title.
const HEAD: &str = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
const STYLE: &str = "<style>\n\
    body { font-family: sans-serif; margin: 1rem; }\n\
    .table { overflow-x: auto; }\n\
    table { border-collapse: collapse; margin: 1rem 0; }\n\
    caption { text-align: left; font-weight: bold; }\n\
    th, td { padding: 0.2rem 0.6rem; text-align: right; white-space: nowrap; }\n\
    th[scope=row], th[scope=rowgroup] { text-align: left; font-weight: normal; }\n\
    th[scope=rowgroup] { font-style: italic; }\n\
    thead { border-top: 2px solid; border-bottom: 1px solid; }\n\
    table > tbody:last-child { border-bottom: 2px solid; }\n\
    </style>\n";

pub(super) fn write(documents: &[Document], standalone: bool) -> String {
    let sections: String = documents.iter().map(section).collect();
    if !standalone {
        return sections;
    }
    let titles: Vec<String> = documents.iter().map(|document| escaped(&document.title)).collect();
    format!(
        "{HEAD}<title>{}</title>\n{STYLE}</head>\n<body>\n<main>\n{sections}</main>\n</body>\n</html>\n",
        titles.join("; ")
    )
}

fn section(document: &Document) -> String {
    let mut out = format!("<section>\n<h1>{}</h1>\n", escaped(&document.title));
    let mut heading = document.title.as_str();
    for part in &document.parts {
        out += &match part {
            Part::Heading(text) => {
                heading = text;
                format!("<h2>{}</h2>\n", marked_up(text))
            }
            Part::Paragraph(text) => format!("<p>{}</p>\n", marked_up(text)),
            Part::Table(table) => written(table, &table.titled(heading)),
            Part::Notes(notes) => listed(notes),
        };
    }
    out + "</section>\n"
}

fn written(table: &Table, caption: &str) -> String {
    let intro = table.intro.as_ref().map(|text| format!("<p>{}</p>\n", marked_up(text)));
    let mut out = intro.unwrap_or_default();
    let _ = writeln!(
        out,
        "<div class=\"table\" tabindex=\"0\">\n<table>\n<caption>{}</caption>\n<thead>",
        marked_up(caption)
    );
    out += &header(table, |_| String::new());
    out += "</thead>\n";
    for group in &table.groups {
        out += "<tbody>\n";
        if let Some(label) = &group.label {
            let width = table.columns.len() + 1;
            let label = escaped(label);
            let _ =
                writeln!(out, "<tr><th scope=\"rowgroup\" colspan=\"{width}\">{label}</th></tr>");
        }
        for row in &group.rows {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escaped(&row.marked()));
            row.cells.iter().for_each(|of| out += &cell(of));
            out += "</tr>\n";
        }
        out += "</tbody>\n";
    }
    out + "</table>\n</div>\n"
}

/// The lines of the header. `attributes`: more of a column by its place, from 0 for the labels of the rows.
pub(in crate::report) fn header(table: &Table, attributes: impl Fn(usize) -> String) -> String {
    let column = |at: usize, title: &str, tall: bool| {
        let tall = if tall { " rowspan=\"2\"" } else { "" };
        format!("<th scope=\"col\"{tall}{}>{}</th>", attributes(at), escaped(title))
    };
    let mut columns = table.columns.iter().enumerate().map(|(at, of)| (at + 1, &of.title));
    if !table.has_spans() {
        let titles: String = columns.map(|(at, title)| column(at, title, false)).collect();
        return format!("<tr>{}{titles}</tr>\n", column(0, &table.stub, false));
    }
    let mut above = column(0, &table.stub, true);
    let mut below = String::new();
    for (span, width) in table.spans() {
        let own = columns.by_ref().take(width);
        match span {
            Some(span) => {
                let span = escaped(span);
                let _ = write!(above, "<th scope=\"colgroup\" colspan=\"{width}\">{span}</th>");
                below.extend(own.map(|(at, title)| column(at, title, false)));
            }
            None => above.extend(own.map(|(at, title)| column(at, title, true))),
        }
    }
    format!("<tr>{above}</tr>\n<tr>{below}</tr>\n")
}

fn cell(cell: &Cell) -> String {
    format!("<td{}>{}</td>", digits(cell), escaped(&cell.text()))
}

/// Every digit of a number and its interval as attributes, for what sorts or reads the table.
pub(in crate::report) fn digits(cell: &Cell) -> String {
    match cell {
        Cell::Estimate(estimate, _) if !estimate.ambiguous => {
            let mut attributes = format!(" data-value=\"{}\"", estimate.mean);
            for (name, end) in [("lower", estimate.lower), ("upper", estimate.upper)] {
                if let Some(end) = end {
                    let _ = write!(attributes, " data-{name}=\"{end}\"");
                }
            }
            attributes
        }
        Cell::Number(value, _) => format!(" data-value=\"{value}\""),
        _ => String::new(),
    }
}

fn listed(notes: &Notes) -> String {
    let title = notes.title.as_ref().map(|text| format!("<h2>{}</h2>\n", marked_up(text)));
    let intro = notes.intro.as_ref().map(|text| format!("<p>{}</p>\n", marked_up(text)));
    let items: String =
        notes.items.iter().map(|item| format!("<li>{}</li>\n", marked_up(item))).collect();
    format!("{}{}<ul>\n{items}</ul>\n", title.unwrap_or_default(), intro.unwrap_or_default())
}

pub(in crate::report) fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Escaped text, with what stands between backticks as code.
pub(in crate::report) fn marked_up(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| match at % 2 {
            0 => escaped(part),
            _ => format!("<code>{}</code>", escaped(part)),
        })
        .collect()
}

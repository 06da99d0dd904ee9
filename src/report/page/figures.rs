//! The figures of the page, and what is missing for others.

use super::Section;
use crate::report::ReportError;
use crate::report::figure::{Figure, Users, dataset_name, figures, file_name};
use crate::report::format::html::{escaped, marked_up};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Draws every figure that there are results for. `datasets`: those of the tables.
pub fn read(
    db: &Connection,
    grid: Option<&str>,
    datasets: &BTreeSet<&str>,
) -> Result<Section, ReportError> {
    let (drawn, skipped) = figures(db, grid, Users::default())?;
    let mut body = String::new();
    let mut undrawn = Vec::new();
    for figure in &drawn {
        let svg = match figure.to_svg(false) {
            Ok(svg) => svg,
            Err(error) => {
                undrawn.push(error.to_string());
                continue;
            }
        };
        let shown = shown(figure, datasets);
        let shown = match shown.is_empty() {
            true => String::new(),
            false => {
                let names = serde_json::to_string(&shown).unwrap_or_default();
                format!(" data-datasets=\"{}\"", escaped(&names))
            }
        };
        let name = escaped(&figure.name);
        let _ = write!(
            body,
            "<figure id=\"figure-{name}\"{shown}>\n<div class=\"plate\">{svg}</div>\n\
             <figcaption><span class=\"name\">{name}</span> {}</figcaption>\n</figure>\n",
            escaped(&figure.caption)
        );
    }
    body = match body.is_empty() {
        true => "<p>There is no figure yet.</p>\n".to_owned(),
        false => format!("<div class=\"figures\">\n{body}</div>\n"),
    };
    if !undrawn.is_empty() || !skipped.is_empty() {
        body += "<h3>Not drawn</h3>\n<ul>\n";
        for error in undrawn {
            let _ = writeln!(body, "<li>{}</li>", escaped(&error));
        }
        for of in skipped {
            let (figure, needs) = (escaped(of.figure), marked_up(of.needs));
            let _ = writeln!(body, "<li><code>{figure}</code> needs {needs}.</li>");
        }
        body += "</ul>\n";
    }
    body += "<p><code>advrec report --figures DIR</code> writes them as files.</p>\n";
    Ok(Section::new("figures", "Figures", body))
}

/// The datasets that a figure shows, by the titles of its panels or by its own name; none where neither says.
fn shown<'a>(figure: &Figure, datasets: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let titled = |name: &str| {
        let name = dataset_name(name);
        figure.panels.iter().any(|panel| {
            panel.title.strip_prefix(&name).is_some_and(|r| r.is_empty() || r.starts_with(':'))
        })
    };
    let by_panels: Vec<&str> = datasets.iter().copied().filter(|name| titled(name)).collect();
    if !by_panels.is_empty() {
        return by_panels;
    }
    let named = |name: &&str| {
        let part = format!("-{}", file_name(name));
        figure.name.split_once(&part).is_some_and(|(_, r)| r.is_empty() || r.starts_with('-'))
    };
    datasets.iter().copied().filter(named).collect()
}

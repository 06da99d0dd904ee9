//! Plain text of about 100 columns.

use crate::report::document::{Document, Notes, Part, Row, Table};
use comfy_table::{CellAlignment, Table as Grid, presets};

/// Width from which labels are broken.
const LABEL: usize = 36;
/// Width at which sentences are broken.
const WIDTH: usize = 98;

pub(super) fn write(document: &Document) -> String {
    let mut out = format!("{}\n", document.title);
    for part in &document.parts {
        out += &match part {
            Part::Heading(text) | Part::Paragraph(text) => format!("\n{text}\n"),
            Part::Table(table) => written(table),
            Part::Notes(notes) => listed(notes),
        };
    }
    out
}

/// A table right below its caption; columns but the first to the right.
fn written(table: &Table) -> String {
    let mut grid = Grid::new();
    let titles = table.columns.iter().map(|column| column.alone.clone());
    grid.load_preset(presets::NOTHING)
        .set_header(std::iter::once(table.stub.clone()).chain(titles));
    for group in &table.groups {
        if let Some(label) = &group.label {
            grid.add_row([label]);
        }
        let indent = if group.label.is_some() { "  " } else { "" };
        for row in &group.rows {
            let label = format!("{indent}{}", broken(row));
            grid.add_row(std::iter::once(label).chain(row.cells.iter().map(|cell| cell.text())));
        }
    }
    for (index, column) in grid.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let above = [&table.caption, &table.intro].into_iter().flatten();
    let above: String = above.map(|text| format!("\n{text}\n")).collect();
    let lines = grid.lines().map(|line| format!("  {}\n", line.trim_end()));
    std::iter::once(above).chain(lines).collect()
}

/// The label, a long one on two lines.
fn broken(row: &Row) -> String {
    let label = row.marked();
    match label.rsplit_once(", ") {
        Some((start, end)) if label.chars().count() > LABEL => format!("{start},\n    {end}"),
        _ => label,
    }
}

fn listed(notes: &Notes) -> String {
    let above = [&notes.title, &notes.intro].into_iter().flatten();
    let mut out: String = above.map(|text| format!("\n{text}")).collect();
    out.push('\n');
    notes.items.iter().for_each(|note| out += &wrapped(note));
    out
}

/// A note as an item of a list, broken between words.
fn wrapped(note: &str) -> String {
    let mut out = String::from("-");
    let mut column = 1;
    for word in note.split(' ') {
        let width = word.chars().count();
        if column + 1 + width > WIDTH {
            out += "\n ";
            column = 1;
        }
        out.push(' ');
        out += word;
        column += 1 + width;
    }
    out.push('\n');
    out
}

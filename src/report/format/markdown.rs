//! GitHub's Markdown, with tables aligned so that they read as plain text too.

use crate::report::document::{Document, Notes, Part, Table};

pub(super) fn write(document: &Document) -> String {
    let mut out = format!("# {}\n", document.title);
    for part in &document.parts {
        out += &match part {
            Part::Heading(text) => format!("\n## {text}\n"),
            Part::Paragraph(text) => format!("\n{text}\n"),
            Part::Table(table) => written(table),
            Part::Notes(notes) => listed(notes),
        };
    }
    out
}

fn written(of: &Table) -> String {
    let titles = of.columns.iter().map(|column| column.alone.clone());
    let header: Vec<String> = std::iter::once(of.stub.clone()).chain(titles).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    for group in &of.groups {
        if let Some(label) = &group.label {
            let mut row = vec![String::new(); header.len()];
            row[0] = format!("**{label}**");
            rows.push(row);
        }
        rows.extend(group.rows.iter().map(|row| {
            let cells = row.cells.iter().map(|cell| cell.text());
            std::iter::once(row.marked()).chain(cells).collect()
        }));
    }
    let caption = of.caption.as_ref().map(|text| format!("\n### {text}\n")).unwrap_or_default();
    let intro = of.intro.as_ref().map(|text| format!("\n{text}\n")).unwrap_or_default();
    format!("{caption}{intro}\n{}", table(&header, &rows))
}

fn listed(notes: &Notes) -> String {
    let title = notes.title.as_ref().map(|text| format!("\n## {text}\n")).unwrap_or_default();
    let intro = notes.intro.as_ref().map(|text| format!("\n{text}\n")).unwrap_or_default();
    let items: String = notes.items.iter().map(|item| format!("- {item}\n")).collect();
    format!("{title}{intro}\n{items}")
}

/// Lays out a table: the first column to the left, the others to the right. Every row has as many
/// cells as the header.
fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let cell = |text: &String| text.replace('|', "\\|");
    let lines: Vec<Vec<String>> = std::iter::once(header)
        .chain(rows.iter().map(Vec::as_slice))
        .map(|cells| cells.iter().map(cell).collect())
        .collect();
    let widths: Vec<usize> = (0..header.len())
        .map(|c| lines.iter().map(|line| line[c].chars().count()).max().unwrap_or(0).max(3))
        .collect();
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (c, (text, &width)) in line.iter().zip(&widths).enumerate() {
            out +=
                &if c == 0 { format!("| {text:<width$} ") } else { format!("| {text:>width$} ") };
        }
        out += "|\n";
        if i == 0 {
            for (c, &width) in widths.iter().enumerate() {
                out += &match c {
                    0 => format!("| {} ", "-".repeat(width)),
                    _ => format!("| {}: ", "-".repeat(width - 1)),
                };
            }
            out += "|\n";
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_line_up_and_those_in_cells_are_escaped() {
        let text = |cells: &[&str]| -> Vec<String> { cells.iter().map(|&c| c.into()).collect() };
        let rows = [text(&["ε = 0.1", "1.25 ± 0.10"]), text(&["a|b", "2"])];
        insta::assert_snapshot!(table(&text(&["attack", "NDCG"]), &rows), @r"
        | attack  |        NDCG |
        | ------- | ----------: |
        | ε = 0.1 | 1.25 ± 0.10 |
        | a\|b    |           2 |
        ");
    }
}

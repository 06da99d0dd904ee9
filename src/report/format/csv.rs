//! RFC 4180 with one line a number, whatever the layout of its table, and every digit.

use crate::report::document::{Cell, Document};
use std::fmt::Write as _;

const HEADER: &str = "table,group,row,notes,column,value,lower,upper,seeds,text\n";

pub(super) fn write(documents: &[Document]) -> String {
    let mut out = String::from(HEADER);
    for (title, table) in documents.iter().flat_map(Document::tables) {
        for (group, row) in
            table.groups.iter().flat_map(|group| group.rows.iter().map(move |row| (group, row)))
        {
            let marks: Vec<String> = row.marks.iter().map(usize::to_string).collect();
            for (column, cell) in table.columns.iter().zip(&row.cells) {
                let number = |value: Option<f64>| value.map(|v| v.to_string()).unwrap_or_default();
                let numbers = match cell {
                    Cell::Blank => continue,
                    Cell::Missing => [const { String::new() }; 5],
                    Cell::Text(text) => {
                        [String::new(), String::new(), String::new(), String::new(), text.clone()]
                    }
                    Cell::Number(value, _) => {
                        let [lower, upper, seeds, text] = [const { String::new() }; 4];
                        [value.to_string(), lower, upper, seeds, text]
                    }
                    Cell::Estimate(estimate, decimals) if estimate.ambiguous => {
                        let [value, lower, upper, seeds] = [const { String::new() }; 4];
                        [value, lower, upper, seeds, estimate.text(*decimals)]
                    }
                    Cell::Estimate(estimate, _) => [
                        estimate.mean.to_string(),
                        number(estimate.lower),
                        number(estimate.upper),
                        estimate.n.to_string(),
                        String::new(),
                    ],
                };
                let places = [
                    title.clone(),
                    group.label.clone().unwrap_or_default(),
                    row.label.clone(),
                    marks.join(" "),
                    column.full(),
                ];
                let fields: Vec<String> =
                    places.iter().chain(&numbers).map(|field| quoted(field)).collect();
                let _ = writeln!(out, "{}", fields.join(","));
            }
        }
    }
    out
}

/// A field, in quotation marks where it needs them.
pub fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

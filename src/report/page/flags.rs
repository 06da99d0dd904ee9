//! Reasons not to take numbers at face value: what was found, result by result.

use super::Section;
use super::sentence::{Sentence, list};
use super::tables::{self, Kind};
use crate::report::Table1;
use crate::report::document::{Cell, Column, Row, Table};

/// The flags of the rows of Table 1.
pub fn section(table1: &Table1) -> Section {
    let mut body = String::new();
    for block in &table1.blocks {
        let rows = block.rows.iter().flat_map(|row| row.flags.iter().map(move |flag| (row, flag)));
        let rows: Vec<Row> = rows
            .map(|(row, flag)| {
                let source = |columns: &str| row.flag_source(&flag.flag, columns);
                let cells = [
                    (Cell::Text(format!("[{}] {}", flag.number(), flag.flag)), None),
                    (Cell::Text(flag.seeds.to_string()), source("count(*)")),
                    (Cell::Number(flag.value, 4), source("avg(value)")),
                    (Cell::Number(flag.reference, 4), source("avg(reference)")),
                ];
                Row::sourced(row.label.clone(), cells).under(&row.setting.attack)
            })
            .collect();
        if !rows.is_empty() {
            let columns = ["flag", "seeds", "value", "held against"].map(Column::alone).to_vec();
            let table = Table::plain("agent or attack", columns, rows);
            let table = table.captioned(block.title()).of_dataset(&block.dataset);
            body += &tables::written(&table, "Flags", Kind::Numbers);
        }
    }
    body = match (body.is_empty(), table1.blocks.is_empty()) {
        (true, true) => "<p>There is no result yet that could have one.</p>\n".to_owned(),
        (true, false) => "<p>No result has a flag.</p>\n".to_owned(),
        (false, _) => {
            let meanings: Vec<Sentence> =
                table1.flag_notes().iter().map(|note| Sentence::new(note)).collect();
            format!(
                "<p>Reasons not to take a number at face value:</p>\n{}<p>Of each result, the mean over \
                 its flagged seeds of the value that raised the flag and of what it is held against:</p>\n\
                 {body}",
                list(&meanings)
            )
        }
    };
    Section::new("flags", "Flags", body)
}

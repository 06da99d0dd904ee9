//! Attacks at chosen time steps: metrics against the realised frequency, the data of the paper's Figure 2.

use super::document::{Cell, Column, Row, Table};
use super::source::Source;
use super::table1::{Block, ResultRow};

impl ResultRow {
    /// Attack, timing rule, and the asked and realised frequency.
    fn timing(&self) -> [String; 4] {
        let setting = &self.setting;
        let epsilon = setting.epsilon.map(|e| format!(" ε={e}")).unwrap_or_default();
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.3}"));
        let beyond: String = setting.beyond().iter().map(|b| format!(", {b}")).collect();
        [
            format!("{}{epsilon}{beyond}", self.setting.attack),
            setting.timing.clone().unwrap_or_default(),
            setting.frequency.map_or("–".to_owned(), |f| f.to_string()),
            number(self.realised_frequency),
        ]
    }
}

impl Block {
    /// The rows with chosen time steps, with every number; nothing where there are none.
    pub(super) fn timed_wide(&self) -> Option<Table> {
        let columns = [
            "timing", "asked", "realised", "NDCG", "NDCG all", "HR", "HR all", "left out", "seeds",
        ];
        let metrics =
            [("valid", "ndcg"), ("all_users", "ndcg"), ("valid", "hr"), ("all_users", "hr")];
        let table = self.at_chosen_steps(&columns, |row| {
            let mut cells = metrics.map(|(split, metric)| row.sourced(split, metric)).to_vec();
            cells.extend([row.sourced_left_out(), row.sourced_seeds()]);
            cells
        });
        table.map(|table| table.captioned("Attacks at chosen time steps"))
    }

    /// The same, shorter.
    pub(super) fn timed_narrow(&self) -> Option<Table> {
        let columns = ["timing", "asked", "realised", "NDCG valid", "NDCG all", "seeds"];
        let table = self.at_chosen_steps(&columns, |row| {
            let [valid, all] = ["valid", "all_users"].map(|split| row.cell(split, "ndcg", 2));
            [valid, all, Cell::Text(row.seeds())].map(|cell| (cell, None)).to_vec()
        });
        table.map(|table| table.captioned("attacks at chosen time steps"))
    }

    /// A table of timing and of what `cells` adds to it.
    fn at_chosen_steps(
        &self,
        columns: &[&str],
        cells: impl Fn(&ResultRow) -> Vec<(Cell, Option<Source>)>,
    ) -> Option<Table> {
        let rows: Vec<Row> = self
            .timed()
            .map(|row| {
                let [attack, timing @ ..] = row.timing();
                let realised = row.realised_frequency.and(row.of_table1("max(realised_frequency)"));
                let timing = timing.into_iter().map(Cell::Text).zip([None, None, realised]);
                Row::sourced(attack, timing.chain(cells(row))).under(&row.setting.attack)
            })
            .collect();
        let columns = columns.iter().map(|&title| Column::alone(title)).collect();
        (!rows.is_empty()).then(|| Table::plain("attack", columns, rows))
    }
}

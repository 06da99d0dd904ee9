//! Table 1 for the terminal: the numbers of the wide form, in tables that fit into about 100 columns.

use super::document::{Cell, Column, Document, Notes, Part, Row, Table};
use super::drift::DRIFTS;
use super::table1::{Block, METRICS, ResultRow, Table1};

impl Table1 {
    /// With two decimals, in narrow tables; `verdicts` as in the wide form.
    pub fn narrow(&self, verdicts: bool) -> Document {
        let block = |block: &Block| {
            let valid = "valid: users with a full list of ten, as the paper averages";
            let all = "all: every user with test items, missing places counted as misses";
            let mut tables = vec![
                block.of_split("valid").captioned(valid),
                block.of_split("all_users").captioned(all),
            ];
            if verdicts {
                tables.extend(block.verdicts());
            }
            tables.extend(block.interquartile_means());
            tables.extend(block.drifts());
            tables.extend(block.timed_narrow());
            tables.into_iter().map(Part::Table).collect()
        };
        self.document(block, None, Notes::bare(self.short_notes(verdicts)))
    }

    fn short_notes(&self, verdicts: bool) -> Vec<String> {
        let mut notes = vec![format!(
            "Top 10, in percent; means over seeds {}. \"left out\": users without a full list of ten.",
            self.interval.in_short()
        )];
        if self.blocks.iter().any(Block::has_paper) {
            notes.push("\"paper\": the published number for the row above it.".to_owned());
        }
        notes.extend(self.flag_notes());
        if verdicts {
            notes.extend(self.verdict_note());
        }
        for dataset in &self.synthetic {
            notes.push(format!(
                "The dataset `{dataset}` is made up, whole or in its review words: its numbers are not \
                 results on Amazon reviews."
            ));
        }
        if self.blocks.iter().any(Block::is_ambiguous) {
            notes.push(
                "\"several\": combinations that the view `table1` does not tell apart.".to_owned(),
            );
        }
        notes
    }
}

impl Block {
    /// The metrics of one split; the paper's numbers stand below those that they compare with.
    fn of_split(&self, split: &str) -> Table {
        let valid = split == "valid";
        let mut columns = METRICS.map(|(_, title)| Column::alone(title)).to_vec();
        columns.push(Column::alone(if valid { "seeds" } else { "left out" }));
        let mut rows = Vec::new();
        for row in self.untimed() {
            let mut cells = METRICS.map(|(metric, _)| row.cell(split, metric, 2)).to_vec();
            cells.push(Cell::Text(if valid { row.seeds() } else { row.left_out() }));
            rows.push(row.laid_out(cells));
            if let Some(paper) = row.paper.as_ref().filter(|_| valid) {
                let numbers = METRICS.map(|(name, _)| Cell::number_or_blank(paper.metric(name), 2));
                let cells = numbers.into_iter().chain([Cell::Blank]).collect();
                rows.push(Row::new("  paper", cells));
            }
        }
        Table::plain("agent or attack", columns, rows)
    }

    /// Drift of the rows that have it; nothing where none has.
    fn drifts(&self) -> Option<Table> {
        let rows: Vec<&ResultRow> = self.untimed().filter(|row| !row.drift.is_empty()).collect();
        if rows.is_empty() {
            return None;
        }
        let with_paper = self.has_paper();
        let columns =
            DRIFTS.iter().flat_map(|(_, title)| Column::beside_paper(title, with_paper)).collect();
        let rows = rows.into_iter().map(|row| {
            let cells = DRIFTS.into_iter().flat_map(|(reference, _)| {
                let ours = Cell::estimate(row.drift(reference), 3);
                let paper = row.paper.as_ref().map(|p| p.drift(reference));
                let paper = with_paper.then(|| Cell::number_or_blank(paper, 3));
                [ours].into_iter().chain(paper)
            });
            Row::new(row.label.clone(), cells.collect())
        });
        Some(
            Table::plain("agent or attack", columns, rows.collect())
                .captioned("drift of the paths: MMD from the clean agent's and from fgsm_l1's"),
        )
    }
}

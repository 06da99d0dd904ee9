//! Table 1 with every number and all notes.

use super::document::{Cell, Column, Document, Notes, Part, Row, Table};
use super::drift::DRIFTS;
use super::source::Source;
use super::table1::{Block, METRICS, Table1};

impl Table1 {
    /// Every number and all notes; `verdicts`: with the changes against clean and how the numbers stand to
    /// the paper's.
    pub fn wide(&self, verdicts: bool) -> Document {
        let block = |block: &Block| {
            let mut tables = vec![block.wide()];
            if verdicts {
                tables.extend(block.verdicts());
            }
            tables.extend(block.interquartile_means());
            tables.extend(block.timed_wide());
            tables.extend(block.matrix());
            let tables = tables.into_iter().map(|table| table.of_dataset(&block.dataset));
            tables.map(Part::Table).collect()
        };
        let flags = self.flag_notes();
        let flags = (!flags.is_empty()).then(|| Notes {
            title: Some("Flags".to_owned()),
            intro: Some("Numbers in brackets stand beside the rows they belong to.".to_owned()),
            items: flags,
        });
        self.document(block, flags, Notes::titled("How to read it", self.notes(verdicts)))
    }

    fn notes(&self, verdicts: bool) -> Vec<String> {
        let mut notes = vec![
            format!(
                "All metrics are of the top 10 and in percent: means over seeds {}. One seed has no \
                 interval.",
                self.interval.of_means()
            ),
            "NDCG, Recall, HR and Precision are `valid`: averaged, as the paper's program does, over \
             the users who get a full list of ten. \"left out\" is the mean number of users who do not."
                .to_owned(),
            "The columns \"all\" are `all_users`: averaged over every user with test items, missing \
             places counted as misses. Where many users are left out, `valid` averages a handful of \
             survivors; read \"all\" then."
                .to_owned(),
        ];
        if self.blocks.iter().any(Block::has_paper) {
            notes.push(format!(
                "\"paper\" is the published number: {}. The paper does not define its attacks to the \
                 last detail; rows of more than one definition may stand beside the same number.",
                self.paper
            ));
        }
        if self.blocks.iter().any(Block::has_drift) {
            notes.push(
                "MMD-org and MMD-l1: the square root of the biased squared MMD between the row's \
                 paths and those of the clean agent, and of `fgsm_l1`. A row against itself is two \
                 halves of its paths, the value that chance alone gives. The view `drift` has the \
                 unbiased statistic and its p-value."
                    .to_owned(),
            );
        }
        if verdicts {
            notes.extend(self.verdict_note());
        }
        notes.extend(self.synthetic.iter().map(|dataset| {
            format!(
                "The dataset `{dataset}` is made up, whole or in its review words: its numbers are \
                 not results on Amazon reviews."
            )
        }));
        if self.blocks.iter().any(Block::is_ambiguous) {
            notes.push(
                "\"several\": combinations that differ only in parameters which the view `table1` \
                 does not show; query the view `runs` for each."
                    .to_owned(),
            );
        }
        notes
    }
}

impl Block {
    fn wide(&self) -> Table {
        let with_paper = self.has_paper();
        let drifts =
            if self.untimed().any(|row| !row.drift.is_empty()) { &DRIFTS[..] } else { &[] };
        let mut columns = vec![Column::alone("seeds")];
        let beside = METRICS.iter().map(|(_, title)| title).chain(drifts.iter().map(|(_, t)| t));
        columns.extend(beside.flat_map(|title| Column::beside_paper(title, with_paper)));
        columns.extend(
            METRICS.map(|(_, title)| Column::under("all users", title, format!("{title} all"))),
        );
        columns.push(Column::alone("left out"));
        let rows: Vec<Row> = self
            .untimed()
            .map(|row| {
                let mut cells = vec![row.sourced_seeds()];
                let mut beside = |ours: (Cell, Option<Source>), paper: Option<f64>| {
                    cells.push(ours);
                    if with_paper {
                        cells.push((Cell::number_or_blank(paper, 3), None));
                    }
                };
                for (metric, _) in METRICS {
                    let paper = row.paper.as_ref().and_then(|p| p.metric(metric));
                    beside(row.sourced("valid", metric), paper);
                }
                for &(reference, _) in drifts {
                    let paper = row.paper.as_ref().map(|p| p.drift(reference));
                    beside(row.sourced_drift(reference), paper);
                }
                cells.extend(METRICS.map(|(metric, _)| row.sourced("all_users", metric)));
                cells.push(row.sourced_left_out());
                row.laid_out_from(cells)
            })
            .collect();
        Table::plain("agent or attack", columns, rows)
    }
}

//! Table 2 with every number, and for the terminal.

use super::crossed::{Crossed, crossed};
use super::document::{Cell, Column, Document, Notes, Part, Row, Table};
use super::table2::{Detection, DetectorBlock, Table2};
use std::ops::Range;

const TITLE: &str = "Table 2: detection of attacked paths";
/// The measures by their names in the database and in the table.
pub(super) const METRICS: [(&str, &str); 6] = [
    ("precision", "P"),
    ("recall", "R"),
    ("f1", "F1"),
    ("auroc", "AUROC"),
    ("auprc", "AUPRC"),
    ("fpr_at_95_tpr", "FPR@95"),
];
/// Those that the paper has.
pub(super) const PAPERS: usize = 3;
/// Detectors beside one another that fit into a terminal.
const ABREAST: usize = 4;

impl Table2 {
    /// Every number and all notes, to stand below Table 1; `verdicts`: with how the numbers stand to the
    /// paper's.
    pub fn wide(&self, verdicts: bool) -> Document {
        let mut parts = Vec::new();
        for blocks in self.places() {
            parts.push(Part::Heading(blocks[0].place.title()));
            let own = blocks.iter().flat_map(|block| {
                let table = block.wide().captioned(block.label.clone());
                std::iter::once(table).chain(block.verdicts().filter(|_| verdicts))
            });
            let tables = own.chain(crossed(blocks).iter().map(Crossed::wide)).collect::<Vec<_>>();
            let tables = tables.into_iter().map(|t| t.of_dataset(&blocks[0].place.dataset));
            parts.extend(tables.map(Part::Table));
        }
        let mut notes = self.notes();
        if verdicts {
            notes.extend(self.verdict_note());
        }
        parts.push(Part::Notes(Notes::titled("How to read Table 2", notes)));
        Document { title: TITLE.to_owned(), parts }
    }

    /// For the terminal, to stand below Table 1; `verdicts` as in the wide form.
    pub fn narrow(&self, verdicts: bool) -> Document {
        let mut parts = Vec::new();
        for blocks in self.places() {
            parts.push(Part::Heading(blocks[0].place.title()));
            for block in blocks {
                parts.push(Part::Table(block.narrow().captioned(block.label.clone())));
                parts.extend(block.verdicts().filter(|_| verdicts).map(Part::Table));
            }
            parts.extend(crossed(blocks).iter().flat_map(Crossed::narrow).map(Part::Table));
        }
        let mut notes = self.short_notes();
        if verdicts {
            notes.extend(self.verdict_note());
        }
        parts.push(Part::Notes(Notes::bare(notes)));
        Document { title: TITLE.to_owned(), parts }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Positive is a path of the attacked rollout, by the detector's rule `label`; negative a clean \
             path that no training saw. P, R, F1: precision, recall and F1 where a score of 0.5 or more \
             says attacked; AUPRC: average precision; FPR@95: the false-positive rate at which 95 % of the \
             attacked paths are found. P, F1 and AUPRC depend on the share of attacked paths, which is \
             `prevalence` in the view `table2`."
                .to_owned(),
            format!(
                "Means over seeds {}; of one seed ± half of its 95 % bootstrap interval over users.",
                self.interval.of_means()
            ),
            "The test without an attack is of two halves of the clean paths: AUROC 0.5 is right there."
                .to_owned(),
        ];
        if self.has_paper() {
            notes.push(format!(
                "\"paper\" is the published number: {}. The paper names neither the definition of its \
                 attacks nor the rule that chose the attacked steps; rows of more than one may stand \
                 beside the same number.",
                self.paper
            ));
        }
        notes
    }

    fn short_notes(&self) -> Vec<String> {
        let mut notes = vec![format!(
            "P, R, F1: precision, recall and F1 at 0.5; FPR@95: false-positive rate where 95 % of \
                 the attacked paths are found. {}, of one seed half of its bootstrap interval over users.",
            self.interval.of_signs()
        )];
        if self.has_paper() {
            notes.push("\"paper\": the published numbers for the row above them.".to_owned());
        }
        notes
    }

    pub(super) fn has_paper(&self) -> bool {
        self.blocks.iter().any(DetectorBlock::has_paper)
    }
}

impl DetectorBlock {
    pub(super) fn has_paper(&self) -> bool {
        self.rows.iter().any(|row| row.paper.is_some())
    }

    fn wide(&self) -> Table {
        let with_paper = self.has_paper();
        let mut columns = vec![Column::alone("seeds")];
        for (i, (_, title)) in METRICS.into_iter().enumerate() {
            columns.extend(Column::beside_paper(title, with_paper && i < PAPERS));
        }
        let rows = self.rows.iter().map(|row| {
            let mut cells = vec![row.sourced_seeds()];
            for (i, (metric, _)) in METRICS.into_iter().enumerate() {
                cells.push(row.sourced(metric));
                if with_paper && i < PAPERS {
                    let paper = row.paper.as_ref().and_then(|p| p.metric(metric));
                    cells.push((Cell::number_or_blank(paper, 3), None));
                }
            }
            Row::sourced(row.label.clone(), cells).under(&row.attack)
        });
        Table::plain("tested on", columns, rows.collect())
    }

    /// With intervals where they say most: all six would not fit.
    fn narrow(&self) -> Table {
        let mut columns = METRICS.map(|(_, title)| Column::alone(title)).to_vec();
        columns.push(Column::alone("seeds"));
        let mut rows = Vec::new();
        for row in &self.rows {
            let mut cells = METRICS.map(|(metric, _)| match metric {
                "f1" | "auroc" => row.cell(metric),
                _ => Cell::number(row.estimate(metric).map(|e| e.mean), 3),
            });
            let seeds = [Cell::Text(row.seeds())];
            rows.push(Row::new(row.label.clone(), cells.iter().cloned().chain(seeds).collect()));
            if let Some(paper) = &row.paper {
                cells = METRICS.map(|(metric, _)| Cell::number_or_blank(paper.metric(metric), 3));
                let cells = cells.into_iter().chain([Cell::Blank]).collect();
                rows.push(Row::new("  paper", cells));
            }
        }
        Table::plain("tested on", columns, rows)
    }
}

impl Detection {
    fn cell(&self, metric: &str) -> Cell {
        Cell::estimate(self.estimate(metric), 3)
    }
}

impl Crossed<'_> {
    fn wide(&self) -> Table {
        self.of_columns(0..self.columns.len()).captioned(self.title.clone())
    }

    /// As many tables as a terminal needs.
    fn narrow(&self) -> Vec<Table> {
        let starts = (0..self.columns.len()).step_by(ABREAST);
        let ranges = starts.map(|start| start..self.columns.len().min(start + ABREAST));
        let mut tables: Vec<Table> = ranges.map(|range| self.of_columns(range)).collect();
        if let Some(first) = tables.first_mut() {
            first.caption = Some(self.title.clone());
        }
        tables
    }

    fn of_columns(&self, range: Range<usize>) -> Table {
        let columns = self.columns[range.clone()].iter().map(|of| Column::alone(of.clone()));
        let rows = self.rows.iter().map(|row| {
            let cells = row.tests[range.clone()].iter().map(|test| {
                let mean = test.and_then(|test| test.estimate(self.metric)).map(|e| e.mean);
                (Cell::number(mean, 3), test.and_then(|test| test.source(self.metric)))
            });
            Row::sourced(row.label.clone(), cells).under(row.attack)
        });
        Table::plain("tested on", columns.collect(), rows.collect())
    }
}

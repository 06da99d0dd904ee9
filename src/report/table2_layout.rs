//! Table 2 as Markdown, with every number, and for the terminal.

use super::crossed::{Crossed, crossed};
use super::markdown;
use super::table1::Estimate;
use super::table2::{Detection, DetectorBlock, Table2};
use super::terminal::{broken, laid_out, wrapped};
use comfy_table::{Table, presets};

/// The measures by their names in the database and in the table.
const METRICS: [(&str, &str); 6] = [
    ("precision", "P"),
    ("recall", "R"),
    ("f1", "F1"),
    ("auroc", "AUROC"),
    ("auprc", "AUPRC"),
    ("fpr_at_95_tpr", "FPR@95"),
];
/// Those that the paper has.
const PAPERS: usize = 3;
/// Detectors beside one another that fit into a terminal.
const ABREAST: usize = 4;

impl Table2 {
    /// As GitHub Markdown, to stand below Table 1.
    pub fn to_markdown(&self) -> String {
        let mut out = String::from("\n# Table 2: detection of attacked paths\n");
        for blocks in self.places() {
            out += &format!("\n## {}\n", blocks[0].place.title());
            for block in blocks {
                out += &format!("\n### {}\n\n{}", block.label, block.to_markdown());
            }
            for table in crossed(blocks) {
                out += &format!("\n### {}\n\n{}", table.title, table.to_markdown());
            }
        }
        out += "\n## How to read Table 2\n\n";
        for note in self.notes() {
            out += &format!("- {note}\n");
        }
        out
    }

    /// As plain text, to stand below Table 1.
    pub fn to_text(&self) -> String {
        let mut out = String::from("\nTable 2: detection of attacked paths\n");
        for blocks in self.places() {
            out += &format!("\n{}\n", blocks[0].place.title());
            for block in blocks {
                out += &format!("\n{}\n{}", block.label, block.to_text());
            }
            for table in crossed(blocks) {
                out += &table.to_text();
            }
        }
        out.push('\n');
        for note in self.short_notes() {
            out += &wrapped(&note);
        }
        out
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Positive is a path of the attacked rollout, by the detector's rule `label`; negative a clean \
             path that no training saw. P, R, F1: precision, recall and F1 where a score of 0.5 or more \
             says attacked; AUPRC: average precision; FPR@95: the false-positive rate at which 95 % of the \
             attacked paths are found. P, F1 and AUPRC depend on the share of attacked paths, which is \
             `prevalence` in the view `table2`."
                .to_owned(),
            "Means over seeds ± half of their 95 % Student t interval; of one seed ± half of its 95 % \
             bootstrap interval over users."
                .to_owned(),
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
        let mut notes = vec![
            "P, R, F1: precision, recall and F1 at 0.5; FPR@95: false-positive rate where 95 % of the \
             attacked paths are found. ±: half of the 95 % t interval over seeds, of one seed half of its \
             bootstrap interval over users."
                .to_owned(),
        ];
        if self.has_paper() {
            notes.push("\"paper\": the published numbers for the row above them.".to_owned());
        }
        notes
    }

    fn has_paper(&self) -> bool {
        self.blocks.iter().any(DetectorBlock::has_paper)
    }
}

impl DetectorBlock {
    fn has_paper(&self) -> bool {
        self.rows.iter().any(|row| row.paper.is_some())
    }

    fn to_markdown(&self) -> String {
        let with_paper = self.has_paper();
        let mut header = vec!["tested on".to_owned(), "seeds".to_owned()];
        for (i, (_, title)) in METRICS.into_iter().enumerate() {
            header.push(title.to_owned());
            if with_paper && i < PAPERS {
                header.push("paper".to_owned());
            }
        }
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| {
                let mut cells = vec![row.label.clone(), row.seeds()];
                for (i, (metric, _)) in METRICS.into_iter().enumerate() {
                    cells.push(row.cell(metric));
                    if with_paper && i < PAPERS {
                        let paper = row.paper.as_ref().and_then(|p| p.metric(metric));
                        cells.push(paper.map(|v| format!("{v:.3}")).unwrap_or_default());
                    }
                }
                cells
            })
            .collect();
        markdown::table(&header, &rows)
    }

    /// With intervals where they say most: all six would not fit.
    fn to_text(&self) -> String {
        let mut table = Table::new();
        let titles = METRICS.map(|(_, title)| title);
        let header = std::iter::once("tested on").chain(titles).chain(["seeds"]);
        table.load_preset(presets::NOTHING).set_header(header);
        for row in &self.rows {
            let mut cells = vec![broken(&row.label)];
            cells.extend(METRICS.map(|(metric, _)| match metric {
                "f1" | "auroc" => row.cell(metric),
                _ => mean(row.estimate(metric).map(|e| e.mean)),
            }));
            cells.push(row.seeds());
            table.add_row(cells);
            if let Some(paper) = &row.paper {
                let numbers = METRICS.map(|(metric, _)| {
                    paper.metric(metric).map(|v| format!("{v:.3}")).unwrap_or_default()
                });
                let cells = std::iter::once("  paper".to_owned()).chain(numbers);
                table.add_row(cells.chain([String::new()]));
            }
        }
        laid_out(table)
    }
}

impl Detection {
    fn cell(&self, metric: &str) -> String {
        self.estimate(metric).map_or("–".to_owned(), |estimate: &Estimate| estimate.text(3))
    }
}

impl Crossed {
    fn to_markdown(&self) -> String {
        let header: Vec<String> =
            std::iter::once("tested on".to_owned()).chain(self.columns.iter().cloned()).collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|(label, values)| {
                std::iter::once(label.clone()).chain(values.iter().map(|v| mean(*v))).collect()
            })
            .collect();
        markdown::table(&header, &rows)
    }

    fn to_text(&self) -> String {
        let mut out = format!("\n{}\n", self.title);
        for start in (0..self.columns.len()).step_by(ABREAST) {
            let end = self.columns.len().min(start + ABREAST);
            let mut table = Table::new();
            let columns = self.columns[start..end].iter().cloned();
            let header = std::iter::once("tested on".to_owned()).chain(columns);
            table.load_preset(presets::NOTHING).set_header(header);
            for (label, values) in &self.rows {
                let cells = values[start..end].iter().map(|v| mean(*v));
                table.add_row(std::iter::once(broken(label)).chain(cells));
            }
            out += &laid_out(table);
        }
        out
    }
}

/// A mean without its interval.
fn mean(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.3}"))
}

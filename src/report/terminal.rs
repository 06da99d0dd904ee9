//! Table 1 for the terminal: what the Markdown file holds, in tables that fit into about 100 columns.

use super::drift::DRIFTS;
use super::table1::{Block, Estimate, METRICS, ResultRow, Table1};
use comfy_table::{CellAlignment, Table, presets};

/// Width from which labels are broken.
const LABEL: usize = 36;
/// Width at which notes are broken.
const WIDTH: usize = 98;

impl Table1 {
    /// The report as plain text, with two decimals.
    pub fn to_text(&self) -> String {
        let mut out = String::from("Table 1: ranking under attack\n");
        if self.blocks.is_empty() {
            out += "\nNo cell is finished, so there is nothing to show yet.\n";
        }
        for block in &self.blocks {
            out += &format!("\n{}\n", block.title());
            out += "\nvalid: users with a full list of ten, as the paper averages\n";
            out += &block.table("valid");
            out += "\nall: every user with test items, missing places counted as misses\n";
            out += &block.table("all_users");
            out += &block.drift_table();
            out += &block.timed_table();
        }
        if !self.unfinished.is_empty() {
            out += "\nMissing\n";
            for unfinished in &self.unfinished {
                out += &wrapped(&unfinished.sentence());
            }
        } else if self.blocks.is_empty() {
            out += "\nThe database has no grid. Run `advrec sweep GRID.yaml` first.\n";
        }
        if !self.blocks.is_empty() {
            out.push('\n');
            for note in self.short_notes() {
                out += &wrapped(&note);
            }
        }
        out
    }

    fn short_notes(&self) -> Vec<String> {
        let mut notes = vec![
            "Top 10, in percent; means over seeds ± half of their 95 % t interval. \"left out\": users \
             without a full list of ten."
                .to_owned(),
        ];
        if self.blocks.iter().any(Block::has_paper) {
            notes.push("\"paper\": the published number for the row above it.".to_owned());
        }
        notes.extend(self.flag_notes());
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
    fn table(&self, split: &str) -> String {
        let valid = split == "valid";
        let mut table = Table::new();
        let metrics = METRICS.map(|(_, title)| title);
        let last = if valid { "seeds" } else { "left out" };
        let header = std::iter::once("agent or attack").chain(metrics).chain([last]);
        table.load_preset(presets::NOTHING).set_header(header);
        for row in self.untimed() {
            let mut cells = vec![broken(&row.marked())];
            cells.extend(METRICS.map(|(metric, _)| short(row.estimate(split, metric))));
            cells.push(if valid { row.seeds() } else { row.left_out() });
            table.add_row(cells);
            if let Some(paper) = row.paper.as_ref().filter(|_| valid) {
                let number = |name| paper.metric(name).map(|v| format!("{v:.2}"));
                let numbers = METRICS.map(|(name, _)| number(name).unwrap_or_default());
                let cells = std::iter::once("  paper".to_owned()).chain(numbers);
                table.add_row(cells.chain([String::new()]));
            }
        }
        laid_out(table)
    }

    /// Drift of the rows that have it; nothing where none has.
    fn drift_table(&self) -> String {
        let rows: Vec<&ResultRow> = self.untimed().filter(|row| !row.drift.is_empty()).collect();
        if rows.is_empty() {
            return String::new();
        }
        let paper = self.has_paper().then_some("paper");
        let mut table = Table::new();
        let header = std::iter::once("agent or attack")
            .chain(DRIFTS.iter().flat_map(|(_, title)| [*title].into_iter().chain(paper)));
        table.load_preset(presets::NOTHING).set_header(header);
        for row in rows {
            let mut cells = vec![broken(&row.label)];
            for (reference, _) in DRIFTS {
                cells.push(row.drift(reference).map_or("–".to_owned(), |e| e.text(3)));
                if paper.is_some() {
                    let number = row.paper.as_ref().map(|p| format!("{:.3}", p.drift(reference)));
                    cells.push(number.unwrap_or_default());
                }
            }
            table.add_row(cells);
        }
        format!(
            "\ndrift of the paths: MMD from the clean agent's and from fgsm_l1's\n{}",
            laid_out(table)
        )
    }

    /// Rows whose attack acts at chosen time steps; nothing where there are none.
    fn timed_table(&self) -> String {
        let mut table = Table::new();
        let header = ["attack", "timing", "asked", "realised", "NDCG valid", "NDCG all", "seeds"];
        table.load_preset(presets::NOTHING).set_header(header);
        for row in self.timed() {
            let [attack, timing, asked, realised] = row.timing();
            let [valid, all] = ["valid", "all_users"].map(|s| short(row.estimate(s, "ndcg")));
            table.add_row([attack, timing, asked, realised, valid, all, row.seeds()]);
        }
        match table.row_count() {
            0 => String::new(),
            _ => format!("\nattacks at chosen time steps\n{}", laid_out(table)),
        }
    }
}

/// A table's lines, columns but the first to the right.
pub(super) fn laid_out(mut table: Table) -> String {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| format!("  {}\n", line.trim_end())).collect()
}

impl ResultRow {
    /// Mean number of users who do not get a full list.
    pub(super) fn left_out(&self) -> String {
        match self.estimate("all", "users_left_out") {
            Some(e) if e.ambiguous => "several".to_owned(),
            Some(e) if e.mean.fract() == 0.0 => format!("{:.0}", e.mean),
            Some(e) => format!("{:.1}", e.mean),
            None => "–".to_owned(),
        }
    }
}

/// A long label on two lines.
pub(super) fn broken(label: &str) -> String {
    match label.rsplit_once(", ") {
        Some((start, end)) if label.chars().count() > LABEL => format!("{start},\n    {end}"),
        _ => label.to_owned(),
    }
}

fn short(estimate: Option<&Estimate>) -> String {
    estimate.map_or("–".to_owned(), |estimate| estimate.text(2))
}

/// A note as an item of a list, broken between words.
pub(super) fn wrapped(note: &str) -> String {
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

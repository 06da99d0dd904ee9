//! Table 1: ranking metrics of the clean and the attacked agent, from the view `table1`.

use super::database::{self, ReportError};
use super::document::{Cell, Document, Notes, Part, Row};
use super::drift::{self, DriftFrom};
use super::flags::{self, Flag};
use super::interval::Interval;
use super::paper::{self, PaperRow};
pub use super::setting::Setting;
use super::setting::told_apart;
use super::source::Source;
use super::table1_source::Chosen;
use rusqlite::Connection;
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};

/// The ranking metrics by their names in the database and in the table.
pub(super) const METRICS: [(&str, &str); 4] =
    [("ndcg", "NDCG"), ("recall", "Recall"), ("hr", "HR"), ("precision", "Precision")];

/// What stands above what the numbers lack.
pub const MISSING: &str = "Missing";

/// Table 1, a block for each dataset (and grid and range of users, where there are several).
#[derive(Clone, Debug, Serialize)]
pub struct Table1 {
    pub blocks: Vec<Block>,
    /// Cells that are not finished, by grid.
    pub unfinished: Vec<Unfinished>,
    /// Datasets that are made up, whole or in their review words.
    pub synthetic: Vec<String>,
    /// Where the paper's numbers come from.
    pub paper: String,
    /// What the intervals over seeds are.
    pub interval: Interval,
}

/// A grid with cells that have no result yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unfinished {
    pub grid: String,
    pub cells: u64,
    pub unfinished: u64,
    /// Cells with a failed or blocked stage; part of `unfinished`.
    pub failed: u64,
}

/// The rows that belong beside one another.
#[derive(Clone, Debug, Serialize)]
pub struct Block {
    pub dataset: String,
    pub grid: String,
    /// Range of users, as in the grid; empty where the view does not say.
    pub users: String,
    pub rows: Vec<ResultRow>,
}

/// One combination of parameters.
#[derive(Clone, Debug, Serialize)]
pub struct ResultRow {
    /// What the table calls it.
    pub label: String,
    #[serde(flatten)]
    pub setting: Setting,
    pub realised_frequency: Option<f64>,
    /// By split, then metric.
    pub values: BTreeMap<String, BTreeMap<String, Estimate>>,
    /// Interquartile means of at least five seeds, by split, then metric.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub interquartile_means: BTreeMap<String, BTreeMap<String, Estimate>>,
    /// The paper's row that this one reproduces.
    pub paper: Option<PaperRow>,
    /// Drift from other cells of the grid.
    pub drift: Vec<DriftFrom>,
    /// Why the row is not to be taken at face value.
    pub flags: Vec<Flag>,
    /// What chooses it in the views, once it is asked for.
    #[serde(skip)]
    pub(super) chosen: Option<Chosen>,
}

/// Mean over seeds with the ends of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    pub mean: f64,
    pub lower: Option<f64>,
    pub upper: Option<f64>,
    pub n: u64,
    /// Whether other combinations share all parameters that the view shows; the value is then that
    /// of the first, and the table does not show it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    /// Whether the mean is not in the middle of its interval, so that both ends are shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skewed: bool,
}

impl Estimate {
    /// Both ends of the interval.
    pub(super) fn ends(&self) -> Option<(f64, f64)> {
        self.lower.zip(self.upper)
    }

    /// The mean with half of its interval, to so many decimals.
    pub(super) fn text(&self, decimals: usize) -> String {
        match self {
            e if e.ambiguous => "several".to_owned(),
            Estimate { mean, lower: Some(lower), upper: Some(upper), skewed: true, .. } => {
                format!("{mean:.decimals$} [{lower:.decimals$}, {upper:.decimals$}]")
            }
            Estimate { mean, lower: Some(lower), upper: Some(upper), .. } => {
                format!("{mean:.decimals$} ± {:.decimals$}", (upper - lower) / 2.0)
            }
            Estimate { mean, .. } => format!("{mean:.decimals$}"),
        }
    }
}

impl Table1 {
    /// Reads the results of one grid, or of all.
    ///
    /// # Errors
    /// If the database cannot be read, or has no grid of this name.
    pub fn read(db: &Connection, grid: Option<&str>) -> Result<Self, ReportError> {
        let paper = paper::table1()?;
        let mut table = Self {
            blocks: Vec::new(),
            unfinished: Vec::new(),
            synthetic: Vec::new(),
            paper: format!("{}, {}", paper.paper, paper.place),
            interval: Interval::T,
        };
        let known = database::relations(db)?;
        if let Some(name) = grid {
            database::check_grid(db, &known, name)?;
        }
        if known.contains("table1") {
            database::read_rows(db, grid, &mut table.blocks)?;
        }
        if known.contains("drift") {
            drift::read(db, grid, &mut table.blocks)?;
        }
        if known.contains("flags") {
            flags::read(db, grid, &mut table.blocks)?;
        }
        for block in &mut table.blocks {
            for row in &mut block.rows {
                let Setting { agent, attack, epsilon, .. } = &row.setting;
                if row.setting.is_continuous()
                    && row.setting.is_plain()
                    && !matches!(agent.as_str(), "direct" | "random_walk")
                {
                    row.paper = paper.row(&block.dataset, attack, *epsilon).cloned();
                }
            }
            block.rows.sort_by(|a, b| {
                let place =
                    |row: &ResultRow| (row.setting.section(), paper.place_of(&row.setting.attack));
                let epsilons = (a.setting.epsilon.unwrap_or(0.0), b.setting.epsilon.unwrap_or(0.0));
                (place(a), &a.setting.agent, &a.setting.attack)
                    .cmp(&(place(b), &b.setting.agent, &b.setting.attack))
                    .then(epsilons.0.total_cmp(&epsilons.1))
                    .then_with(|| a.setting.objective.cmp(&b.setting.objective))
                    .then_with(|| a.setting.timing.cmp(&b.setting.timing))
                    .then_with(|| {
                        let (a, b) = (a.setting.frequency, b.setting.frequency);
                        b.unwrap_or(1.0).total_cmp(&a.unwrap_or(1.0))
                    })
                    .then_with(|| a.setting.defense.cmp(&b.setting.defense))
                    .then_with(|| {
                        let [a, b] = [a, b].map(|row| row.setting.adaptive_lambda);
                        a.unwrap_or(-1.0).total_cmp(&b.unwrap_or(-1.0))
                    })
            });
            block.label();
        }
        if ["grids", "cells", "cell_stages", "stages"].iter().all(|name| known.contains(*name)) {
            table.unfinished = database::unfinished(db, grid)?;
        }
        if known.contains("datasets") {
            let shown: BTreeSet<&str> = table.blocks.iter().map(|b| b.dataset.as_str()).collect();
            table.synthetic = database::synthetic(db)?
                .into_iter()
                .filter(|d| shown.contains(d.as_str()))
                .collect();
        }
        Ok(table)
    }

    /// The blocks as `block` lays them out, then what is missing and `notes`; `flags` before both.
    pub(super) fn document(
        &self,
        block: impl Fn(&Block) -> Vec<Part>,
        flags: Option<Notes>,
        notes: Notes,
    ) -> Document {
        let paragraph = |text: &str| Part::Paragraph(text.to_owned());
        let mut parts = Vec::new();
        if self.blocks.is_empty() {
            parts.push(paragraph("No cell is finished, so there is nothing to show yet."));
        }
        for of in &self.blocks {
            parts.push(Part::Heading(of.title()));
            parts.extend(block(of));
        }
        parts.extend(flags.map(Part::Notes));
        let missing = self.missing();
        if !missing.is_empty() {
            parts.push(Part::Notes(Notes::titled(MISSING, missing)));
        } else if self.blocks.is_empty() {
            parts.push(paragraph("The database has no grid. Run `advrec sweep GRID.yaml` first."));
        }
        if !self.blocks.is_empty() {
            parts.push(Part::Notes(notes));
        }
        Document { title: "Table 1: ranking under attack".to_owned(), parts }
    }
}

impl Table1 {
    /// What the numbers lack, and what to do.
    fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> = self.unfinished.iter().map(Unfinished::sentence).collect();
        let rows = || self.blocks.iter().flat_map(|block| &block.rows);
        let empty = rows().filter(|row| row.estimate("valid", "ndcg").is_none()).count();
        if empty > 0 {
            missing.push(format!(
                "{} no `valid` numbers, for no user gets a full list of ten there; read \"all\".",
                counted(empty, "row has", "rows have")
            ));
        }
        missing.extend(self.single_seeds());
        missing
    }

    /// How many rows have no interval because there is one seed.
    pub(super) fn single_seeds(&self) -> Option<String> {
        let of_one = |row: &&ResultRow| {
            let mut estimates = row.values.values().flat_map(BTreeMap::values);
            !row.values.is_empty() && estimates.all(|estimate| estimate.n == 1)
        };
        let rows = self.blocks.iter().flat_map(|block| &block.rows);
        let alone = rows.filter(of_one).count();
        (alone > 0).then(|| {
            format!(
                "{} a single seed, and so no interval; give the grid more `seeds`.",
                counted(alone, "row has", "rows have")
            )
        })
    }
}

fn counted(n: usize, one: &str, several: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { several })
}

impl Unfinished {
    /// What is missing, and what to do.
    pub(super) fn sentence(&self) -> String {
        let advice = match self.failed {
            0 => ". Run `advrec sweep` on it to go on.".to_owned(),
            n => format!(", {n} of them failed. `advrec status` shows why."),
        };
        let Self { grid, unfinished, cells, .. } = self;
        format!("Grid `{grid}`: {unfinished} of {cells} cells have no result yet{advice}")
    }
}

impl Block {
    pub(super) fn title(&self) -> String {
        let users = match self.users.as_str() {
            "" => String::new(),
            "all" => ", all users".to_owned(),
            range => format!(", users {range}"),
        };
        format!("{} (grid `{}`{users})", self.dataset, self.grid)
    }

    pub(super) fn has_paper(&self) -> bool {
        self.rows.iter().any(|row| row.paper.is_some())
    }

    pub(super) fn is_ambiguous(&self) -> bool {
        let splits = self.rows.iter().flat_map(|row| row.values.values());
        splits.flat_map(BTreeMap::values).any(|e| e.ambiguous)
    }

    /// Names the rows; those that would be called alike get the parameters in which they differ.
    fn label(&mut self) {
        let labels: Vec<String> =
            self.rows.iter().map(|row| row.setting.label(row.realised_frequency)).collect();
        let parameters: Vec<&Map<String, Json>> =
            self.rows.iter().map(|row| &row.setting.parameters).collect();
        let labels = told_apart(labels, &parameters);
        for (row, label) in self.rows.iter_mut().zip(labels) {
            row.label = label;
        }
    }

    pub(super) fn has_drift(&self) -> bool {
        self.rows.iter().any(|row| !row.drift.is_empty())
    }

    /// Rows whose attack acts at chosen time steps.
    pub(super) fn timed(&self) -> impl Iterator<Item = &ResultRow> {
        self.rows.iter().filter(|row| row.setting.is_timed())
    }

    /// The other rows.
    pub(super) fn untimed(&self) -> impl Iterator<Item = &ResultRow> {
        self.rows.iter().filter(|row| !row.setting.is_timed())
    }
}

impl ResultRow {
    pub(super) fn estimate(&self, split: &str, metric: &str) -> Option<&Estimate> {
        self.values.get(split)?.get(metric)
    }

    pub(super) fn cell(&self, split: &str, metric: &str, decimals: usize) -> Cell {
        Cell::estimate(self.estimate(split, metric), decimals)
    }

    /// The row of a table, with the numbers of its flags.
    pub(super) fn laid_out(&self, cells: Vec<Cell>) -> Row {
        let mut marks: Vec<usize> = self.flags.iter().map(Flag::number).collect();
        marks.sort_unstable();
        Row { marks, ..Row::new(self.label.clone(), cells) }.under(&self.setting.attack)
    }

    /// The same, of cells with where their numbers come from.
    pub(super) fn laid_out_from(&self, cells: Vec<(Cell, Option<Source>)>) -> Row {
        let (cells, sources) = cells.into_iter().unzip();
        Row { sources, ..self.laid_out(cells) }
    }

    /// Mean number of users who do not get a full list.
    pub(super) fn left_out(&self) -> String {
        match self.estimate("all", "users_left_out") {
            Some(e) if e.ambiguous => "several".to_owned(),
            Some(e) if e.mean.fract() == 0.0 => format!("{:.0}", e.mean),
            Some(e) => format!("{:.1}", e.mean),
            None => "–".to_owned(),
        }
    }

    /// Number of seeds; a range where the metrics do not all have the same.
    pub(super) fn seeds(&self) -> String {
        let counts = || self.values.values().flat_map(BTreeMap::values).map(|e| e.n);
        match (counts().min(), counts().max()) {
            (Some(least), Some(most)) if least < most => format!("{least}–{most}"),
            (Some(n), _) => n.to_string(),
            _ => "–".to_owned(),
        }
    }
}

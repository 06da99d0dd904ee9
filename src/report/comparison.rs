//! Two cells against one another, over the same seeds and over the same users.

use super::database::ReportError;
use super::document::{Cell, Column, Document, Notes, Part, Row, Table};
use super::general::GeneralError;
use super::interval::{Interval, seed_of};
use super::metric_choice::{Spread, choose};
use super::results::{self, MetricName};
use super::table1::Estimate;
use crate::metrics::paired::{effect_size, holm, permutation_test, signed_rank_test};
use crate::metrics::statistics::mean;
use crate::plan::{Plan, StageKind};
use rusqlite::Connection;
use serde::Serialize;
use std::collections::BTreeMap;

/// Two combinations of parameters, a cell each for every seed.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What tells each of the two.
    pub labels: [String; 2],
    /// A metric each, over the seeds of both.
    pub seeds: Vec<Difference>,
    /// NDCG of single users, mean over seeds; nothing where the lists are not in the store.
    pub users: Option<Difference>,
}

/// A metric of two cells, paired.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub metric: String,
    pub split: String,
    /// Means of the pairs' two sides.
    pub means: [f64; 2],
    /// The second side less the first, with the 95 % t interval; `n` pairs.
    pub difference: Estimate,
    /// Cohen's d of paired samples.
    pub effect_size: Option<f64>,
    pub permutation_p: Option<f64>,
    pub wilcoxon_p: Option<f64>,
    /// The permutation test's p-value, corrected for the number of metrics.
    pub holm_p: Option<f64>,
}

impl Difference {
    /// `None` without pairs.
    fn of(metric: &str, split: &str, pairs: &[[f64; 2]]) -> Option<Self> {
        let differences: Vec<f64> = pairs.iter().map(|[a, b]| b - a).collect();
        let side = |at: usize| mean(&pairs.iter().map(|pair| pair[at]).collect::<Vec<_>>());
        let seed = seed_of(&format!("{metric} {split}"));
        Some(Self {
            metric: metric.to_owned(),
            split: split.to_owned(),
            means: [side(0)?, side(1)?],
            difference: Interval::T.estimate(&differences, "")?,
            effect_size: effect_size(&differences),
            permutation_p: permutation_test(&differences, seed),
            wilcoxon_p: signed_rank_test(&differences),
            holm_p: None,
        })
    }

    fn row(&self, label: String) -> Row {
        let p = |p: Option<f64>| match p {
            None => Cell::Missing,
            Some(p) if p < 0.001 => Cell::Text("<0.001".to_owned()),
            Some(p) => Cell::Number(p, 3),
        };
        let cells = vec![
            Cell::Number(self.means[0], 3),
            Cell::Number(self.means[1], 3),
            Cell::Estimate(self.difference, 3),
            Cell::number(self.effect_size, 2),
            p(self.permutation_p),
            p(self.wilcoxon_p),
            p(self.holm_p),
        ];
        Row::new(label, cells)
    }
}

impl Comparison {
    /// Compares two sets of cells of a plan, a cell a seed. `users`: what each user has, of both sides.
    ///
    /// # Errors
    /// If the metrics are not there, or the database cannot be read.
    pub fn new(
        db: &Connection,
        plan: &Plan,
        sides: [&BTreeMap<u64, usize>; 2],
        labels: [String; 2],
        asked: (&[String], &[String]),
        users: Option<Vec<[f64; 2]>>,
    ) -> Result<Self, GeneralError> {
        let known = results::metric_names(db)?;
        let spread = Spread { metric: true, split: false };
        let metrics = choose(&known, asked.0, asked.1, spread)?;
        let of = |metric: &MetricName| -> Result<Option<Difference>, ReportError> {
            let values = results::values(db, metric)?;
            let kind = StageKind::named(&metric.kind);
            let value = |cell: usize| {
                let mut stages = plan.cells[cell].stages.iter().map(|&stage| &plan.stages[stage]);
                let stage = stages.find(|planned| Some(planned.stage.kind) == kind)?;
                values.get(stage.key.as_str()).copied()
            };
            let pairs: Vec<[f64; 2]> = sides[0]
                .iter()
                .filter_map(|(seed, &a)| Some([value(a)?, value(*sides[1].get(seed)?)?]))
                .collect();
            Ok(Difference::of(&metric.name, &metric.split, &pairs))
        };
        let seeds: Result<Vec<Option<Difference>>, _> = metrics.iter().map(of).collect();
        let mut seeds: Vec<Difference> = seeds?.into_iter().flatten().collect();
        let p_values: Vec<f64> = seeds.iter().filter_map(|of| of.permutation_p).collect();
        let corrected = holm(&p_values);
        let tested = seeds.iter_mut().filter(|of| of.permutation_p.is_some());
        tested.zip(corrected).for_each(|(of, p)| of.holm_p = Some(p));
        let users = users.and_then(|pairs| Difference::of("ndcg", "all_users", &pairs));
        Ok(Self { labels, seeds, users })
    }

    /// As tables and notes.
    pub fn document(&self) -> Document {
        let columns = ["A", "B", "B − A", "d", "p perm.", "p Wilcoxon", "p Holm"];
        let columns = || columns.map(Column::alone).to_vec();
        let labels = ["A", "B"].iter().zip(&self.labels);
        let mut parts: Vec<Part> =
            labels.map(|(name, label)| Part::Paragraph(format!("{name}: {label}"))).collect();
        let pairs = self.seeds.iter().map(|of| of.difference.n).max().unwrap_or(0);
        if pairs == 0 {
            parts.push(Part::Paragraph(
                "No seed has a result of both; `advrec why` shows what is missing.".to_owned(),
            ));
        } else {
            let rows = self.seeds.iter().map(|of| of.row(format!("{} ({})", of.metric, of.split)));
            let plural = if pairs == 1 { "" } else { "s" };
            parts.push(Part::Table(
                Table::plain("metric", columns(), rows.collect())
                    .captioned(format!("over {pairs} seed{plural}, paired")),
            ));
        }
        if let Some(users) = &self.users {
            let rows = vec![users.row(format!("{} ({})", users.metric, users.split))];
            parts.push(Part::Table(Table::plain("metric", columns(), rows).captioned(format!(
                "over {} users, paired, means over seeds",
                users.difference.n
            ))));
        }
        parts.push(Part::Notes(Notes::bare(self.notes(pairs))));
        Document { title: "Two cells compared".to_owned(), parts }
    }

    fn notes(&self, pairs: u64) -> Vec<String> {
        let mut notes = vec![
            "B − A: mean ± half of its 95 % t interval. d: Cohen's d of paired samples. p perm.: \
             permutation test of the signs, exact for up to 12 pairs. p Holm: that p corrected for the \
             number of metrics."
                .to_owned(),
        ];
        if (1..6).contains(&pairs) {
            let least = 2.0 / 2f64.powi(pairs as i32);
            let plural = if pairs == 1 { "" } else { "s" };
            notes.push(format!("Of {pairs} seed{plural} no p-value can be below {least}."));
        }
        if self.users.is_none() {
            notes.push(
                "Only seeds are compared: the store does not have the lists of both.".to_owned(),
            );
        }
        notes
    }
}

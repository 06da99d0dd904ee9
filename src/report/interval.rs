//! Intervals over seeds: Student's t, as the views have it, or the bootstrap, from every seed's own value.

use super::database::{ReportError, failed, identity, relations};
use super::document::{Cell, Column, Row, Table};
use super::table1::{Block, Estimate, METRICS, Table1};
use super::table2::Table2;
use crate::metrics::resampling::{bootstrap_interval, interquartile_mean};
use crate::metrics::statistics::{estimate, mean};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::{Map, Value as Json};
use std::collections::HashMap;

/// Seeds from which an interquartile mean leaves anything out at either end and keeps enough.
pub(super) const SEEDS_OF_IQM: usize = 5;
/// What stands above them.
pub(super) const IQM_CAPTION: &str =
    "interquartile means over seeds, where there are at least five";
/// The splits of ranking metrics, and what they are called.
const SPLITS: [(&str, &str); 2] = [("valid", "valid"), ("all_users", "all users")];

/// What an interval over seeds is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// Student's t
    #[default]
    T,
    /// Percentiles of means of seeds that are drawn again; also interquartile means of five or more seeds
    Bootstrap,
}

impl Interval {
    /// How means are shown, after "means over seeds".
    pub(super) fn of_means(self) -> &'static str {
        match self {
            Self::T => "± half of their 95 % Student t interval",
            Self::Bootstrap => "with their 95 % bootstrap interval, which draws seeds, in brackets",
        }
    }

    /// The same, shorter.
    pub(super) fn in_short(self) -> &'static str {
        match self {
            Self::T => "± half of their 95 % t interval",
            Self::Bootstrap => "[their 95 % bootstrap interval]",
        }
    }

    /// What the signs beside a mean say.
    pub(super) fn of_signs(self) -> &'static str {
        match self {
            Self::T => "±: half of the 95 % t interval over seeds",
            Self::Bootstrap => "In brackets: the 95 % bootstrap interval over seeds; ±",
        }
    }

    /// Mean and interval of one value a seed; `None` without values. `identity` is what the draws of a
    /// bootstrap follow from.
    pub(super) fn estimate(self, values: &[f64], identity: &str) -> Option<Estimate> {
        match self {
            Self::T => {
                let of = estimate(values)?;
                let (lower, upper) = of.interval.unzip();
                Some(Estimate {
                    mean: of.mean,
                    lower,
                    upper,
                    n: of.n,
                    ambiguous: false,
                    skewed: false,
                })
            }
            Self::Bootstrap => bootstrapped(values, mean, identity),
        }
    }
}

/// A statistic of one value a seed with its bootstrap interval.
fn bootstrapped(
    values: &[f64],
    statistic: fn(&[f64]) -> Option<f64>,
    identity: &str,
) -> Option<Estimate> {
    let (lower, upper) = bootstrap_interval(values, statistic, seed_of(identity)).unzip();
    let mean = statistic(values)?;
    Some(Estimate { mean, lower, upper, n: values.len() as u64, ambiguous: false, skewed: true })
}

/// The interquartile mean with its bootstrap interval, where there are enough seeds.
pub(super) fn interquartile(values: &[f64], identity: &str) -> Option<Estimate> {
    let enough = values.len() >= SEEDS_OF_IQM;
    enough.then(|| bootstrapped(values, interquartile_mean, identity))?
}

/// A number that the same text always gives.
pub(super) fn seed_of(identity: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(identity.as_bytes()).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// Keys of stages by kind, grid and parameters.
type Stages = HashMap<(String, (String, String)), Vec<String>>;
/// Values by key of the stage, then split and metric.
type Values = HashMap<String, HashMap<(String, String), f64>>;

/// The values that the rows of views are means of.
struct Seeds {
    stages: Stages,
    values: Values,
}

impl Seeds {
    /// Reads the results of stages of these kinds. Where the database cannot say which stages a result is the
    /// mean of, there are none.
    fn read(db: &Connection, grid: Option<&str>, kinds: &[&str]) -> Result<Self, ReportError> {
        let (mut stages, mut values) = (Stages::new(), Values::new());
        if !relations(db)?.contains("result_stages") {
            return Ok(Self { stages, values });
        }
        for kind in kinds {
            Self::read_stages(db, grid, kind, &mut stages)?;
            Self::read_values(db, kind, &mut values)?;
        }
        Ok(Self { stages, values })
    }

    fn read_stages(
        db: &Connection,
        grid: Option<&str>,
        kind: &str,
        stages: &mut Stages,
    ) -> Result<(), ReportError> {
        let what = "the stages of the results";
        let sql = "SELECT grid, parameters, stage_key FROM result_stages
            WHERE kind = ?1 AND (?2 IS NULL OR grid = ?2) ORDER BY grid, parameters, stage_key";
        let mut statement = db.prepare(sql).map_err(failed(what))?;
        let mut rows = statement.query(params![kind, grid]).map_err(failed(what))?;
        while let Some(row) = rows.next().map_err(failed(what))? {
            let text = |at: usize| row.get::<_, String>(at).map_err(failed(what));
            let json = |source| ReportError::Json { what: "the parameters of a result", source };
            let parameters = serde_json::from_str(&text(1)?).map_err(json)?;
            let key = (kind.to_owned(), identity(&text(0)?, &parameters));
            stages.entry(key).or_default().push(text(2)?);
        }
        Ok(())
    }

    fn read_values(db: &Connection, kind: &str, values: &mut Values) -> Result<(), ReportError> {
        let what = "the metrics";
        let sql = "SELECT m.stage_key, m.split, m.name, m.value
            FROM stages s JOIN metrics m ON m.stage_key = s.key
            WHERE s.state = 'done' AND s.kind = ?1 AND m.split IN ('all', 'valid', 'all_users')";
        let mut statement = db.prepare(sql).map_err(failed(what))?;
        let mut rows = statement.query([kind]).map_err(failed(what))?;
        while let Some(row) = rows.next().map_err(failed(what))? {
            let mut add = || -> rusqlite::Result<()> {
                let of = values.entry(row.get(0)?).or_default();
                of.insert((row.get(1)?, row.get(2)?), row.get(3)?);
                Ok(())
            };
            add().map_err(failed(what))?;
        }
        Ok(())
    }

    /// Keys of the stages that a row is the mean of.
    fn stages(&self, grid: &str, kind: &str, row: &Map<String, Json>) -> &[String] {
        let key = (kind.to_owned(), identity(grid, row));
        self.stages.get(&key).map_or(&[], Vec::as_slice)
    }

    fn of(&self, stages: &[String], split: &str, name: &str) -> Vec<f64> {
        let metric = (split.to_owned(), name.to_owned());
        let values = stages.iter().filter_map(|key| self.values.get(key)?.get(&metric).copied());
        values.collect()
    }
}

/// What the draws of a row's metric follow from.
fn draws(grid: &str, row: &Map<String, Json>, split: &str, metric: &str) -> String {
    let row = serde_json::to_string(row).unwrap_or_default();
    format!("{grid} {row} {split} {metric}")
}

impl Table1 {
    /// Puts bootstrap intervals in place of the views', and adds interquartile means. Drift keeps the
    /// intervals of the view.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn bootstrap(&mut self, db: &Connection, grid: Option<&str>) -> Result<(), ReportError> {
        let seeds = Seeds::read(db, grid, &["ranking", "direct"])?;
        self.interval = Interval::Bootstrap;
        for block in &mut self.blocks {
            for row in &mut block.rows {
                let kind = if row.setting.agent == "direct" { "direct" } else { "ranking" };
                let parameters = &row.setting.parameters;
                let stages = seeds.stages(&block.grid, kind, parameters);
                for (split, metrics) in &mut row.values {
                    for (metric, estimate) in metrics {
                        let values = seeds.of(stages, split, metric);
                        let identity = draws(&block.grid, parameters, split, metric);
                        let new = Interval::Bootstrap.estimate(&values, &identity);
                        // Another number of values is none of the row's.
                        let Some(new) = new.filter(|new| new.n == estimate.n) else { continue };
                        *estimate = Estimate { ambiguous: estimate.ambiguous, ..new };
                        if let Some(middle) = interquartile(&values, &identity) {
                            let means = row.interquartile_means.entry(split.clone()).or_default();
                            means.insert(metric.clone(), middle);
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Table2 {
    /// Puts bootstrap intervals over seeds in place of the views'; a single seed keeps its own.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn bootstrap(&mut self, db: &Connection, grid: Option<&str>) -> Result<(), ReportError> {
        let seeds = Seeds::read(db, grid, &["detection"])?;
        self.interval = Interval::Bootstrap;
        for block in &mut self.blocks {
            let grid = &block.place.grid;
            for row in &mut block.rows {
                let stages = seeds.stages(grid, "detection", &row.parameters);
                for (metric, estimate) in row.values.iter_mut().filter(|(_, e)| e.n > 1) {
                    let values = seeds.of(stages, "all", metric);
                    let identity = draws(grid, &row.parameters, "all", metric);
                    let new = Interval::Bootstrap.estimate(&values, &identity);
                    if let Some(new) = new.filter(|new| new.n == estimate.n) {
                        *estimate = new;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Block {
    /// Interquartile means, where rows have them: a table a split.
    pub(super) fn interquartile_means(&self) -> Vec<Table> {
        let of_split = |(split, title): (&str, &str)| {
            let rows: Vec<Row> = self
                .untimed()
                .filter_map(|row| {
                    let means = row.interquartile_means.get(split)?;
                    let cells = METRICS.map(|(metric, _)| Cell::estimate(means.get(metric), 3));
                    Some(row.laid_out(cells.to_vec()))
                })
                .collect();
            let columns = METRICS.map(|(_, title)| Column::alone(title)).to_vec();
            let caption = format!("{IQM_CAPTION}: {title}");
            (!rows.is_empty())
                .then(|| Table::plain("agent or attack", columns, rows).captioned(caption))
        };
        SPLITS.into_iter().filter_map(of_split).collect()
    }
}

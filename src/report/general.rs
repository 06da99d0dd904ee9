//! Tables of any grid: rows and columns by its parameters, by metric and by split.

use super::database::{ReportError, check_grid, relations};
use super::document::{Cell, Column, Document, Group, Notes, Part, Row, Table};
use super::interval::{IQM_CAPTION, Interval, interquartile};
use super::metric_choice::{Spread, choose, suggestion};
use super::results::{self, CellResult, MetricName, Results};
use super::table1::Estimate;
use crate::grid::{CATALOGUE, CellFilter, FilterError, nearest, plain};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Decimals of all numbers.
const DECIMALS: usize = 3;
/// How many names a message lists.
const LISTED: usize = 12;

/// What a table is to show.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Axes: parameters, `metric`, `split` or `grid`.
    pub rows: Vec<String>,
    pub cols: Vec<String>,
    /// Which cells; all where there is none.
    pub filter: Option<CellFilter>,
    /// The filter as it was written.
    pub filter_text: String,
    /// The metrics; `ndcg`, or the four of Table 1 where they are an axis, where there are none.
    pub metrics: Vec<String>,
    /// The splits; `valid` before `all`, or every one where they are an axis, where there are none.
    pub splits: Vec<String>,
    pub interval: Interval,
}

/// Why there is no such table.
#[derive(Debug, Error)]
pub enum GeneralError {
    #[error(transparent)]
    Report(#[from] ReportError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(
        "`{name}` is no axis{near}; axes are parameters (`advrec plan --parameters` lists all), \
         `metric`, `split` and `grid`"
    )]
    Axis { name: String, near: String },
    #[error("`{0}` is an axis twice; remove one of the two")]
    Twice(String),
    #[error("no result has {what}{near}; there are {there}")]
    Unknown { what: String, near: String, there: String },
    #[error("there is no result yet; `advrec status` shows how far the cells are")]
    Empty,
    #[error(
        "several {what}s ({values}) without an axis; add `{what}` to --rows or --cols, or name one with --{what}"
    )]
    Several { what: &'static str, values: String },
    #[error(
        "{place} has {count} results that the axes do not tell apart: they differ in {differing}; add it to \
         --rows or --cols, or choose with --where"
    )]
    Ambiguous { place: String, count: usize, differing: String },
}

/// What rows or columns go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Parameter(&'static str),
    Metric,
    Split,
    Grid,
}

impl Axis {
    fn named(name: &str) -> Result<Self, GeneralError> {
        let own = [("metric", Self::Metric), ("split", Self::Split), ("grid", Self::Grid)];
        if let Some((_, axis)) = own.iter().find(|(own, _)| *own == name) {
            return Ok(*axis);
        }
        if let Some(parameter) = CATALOGUE.iter().find(|parameter| parameter.name == name) {
            return Ok(Self::Parameter(parameter.name));
        }
        let names = CATALOGUE.iter().map(|parameter| parameter.name);
        let near = nearest(name, own.iter().map(|(name, _)| *name).chain(names));
        Err(GeneralError::Axis { name: name.to_owned(), near: suggestion(near) })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Parameter(name) => name,
            Self::Metric => "metric",
            Self::Split => "split",
            Self::Grid => "grid",
        }
    }

    fn value(self, result: &CellResult, metric: &MetricName) -> String {
        match self {
            Self::Parameter(name) => result.cell.params.get(name).map_or("–".to_owned(), plain),
            Self::Metric => metric.name.clone(),
            Self::Split => metric.split.clone(),
            Self::Grid => result.grid.clone(),
        }
    }
}

/// The values of one cell of the table.
#[derive(Default)]
struct Gathered<'a> {
    /// By stage, once each: the first of the grid's cells that has it, and its value.
    stages: Vec<(&'a str, &'a CellResult, f64)>,
}

/// Names of rows or of columns, a value for each axis, in the order in which cells have them.
type Names = Vec<Vec<String>>;

/// Makes the table of a request from the cells of one grid, or of all.
///
/// # Errors
/// If the request is at fault, names what is not there, or leaves open which results are meant; if the
/// database cannot be read.
pub fn table(
    db: &Connection,
    grid: Option<&str>,
    request: &Request,
) -> Result<Document, GeneralError> {
    let axes = |names: &[String]| -> Result<Vec<Axis>, GeneralError> {
        names.iter().map(|name| Axis::named(name)).collect()
    };
    let (rows, cols) = (axes(&request.rows)?, axes(&request.cols)?);
    let all: Vec<Axis> = rows.iter().chain(&cols).copied().collect();
    if let Some(twice) = (1..all.len()).find(|&at| all[..at].contains(&all[at])) {
        return Err(GeneralError::Twice(all[twice].name().to_owned()));
    }
    if let Some(name) = grid {
        check_grid(db, &relations(db)?, name)?;
    }
    let Results { cells } = Results::read(db, grid)?;
    let chosen = match &request.filter {
        Some(filter) => {
            let cells: Vec<_> = cells.iter().map(|result| result.cell.clone()).collect();
            filter.choose(&cells)?
        }
        None => vec![true; cells.len()],
    };
    let cells: Vec<&CellResult> =
        cells.iter().zip(chosen).filter_map(|(cell, chosen)| chosen.then_some(cell)).collect();
    let spread = Spread { metric: all.contains(&Axis::Metric), split: all.contains(&Axis::Split) };
    let names = results::metric_names(db)?;
    let metrics = choose(&names, &request.metrics, &request.splits, spread)?;
    let mut row_names: Names = Vec::new();
    let mut column_names: Names = Vec::new();
    let mut gathered: BTreeMap<(usize, usize), Gathered> = BTreeMap::new();
    let mut unfinished = BTreeSet::new();
    for metric in &metrics {
        let values = results::values(db, metric)?;
        for (at, &cell) in cells.iter().enumerate() {
            let place = |names: &mut Names, axes: &[Axis]| {
                let own: Vec<String> = axes.iter().map(|axis| axis.value(cell, metric)).collect();
                names.iter().position(|known| *known == own).unwrap_or_else(|| {
                    names.push(own);
                    names.len() - 1
                })
            };
            let place = (place(&mut row_names, &rows), place(&mut column_names, &cols));
            let stage = cell.stage(&metric.kind);
            let Some((key, &value)) = stage.and_then(|key| Some((key, values.get(key)?))) else {
                unfinished.insert(at);
                continue;
            };
            let own = gathered.entry(place).or_default();
            if own.stages.iter().all(|(known, ..)| *known != key) {
                own.stages.push((key, cell, value));
            }
        }
    }
    let told = |axes: &[Axis], names: &[String]| {
        let parts = axes.iter().zip(names).map(|(axis, name)| format!("{}={name}", axis.name()));
        parts.collect::<Vec<_>>().join(" ")
    };
    for (&(row, column), own) in &gathered {
        let place =
            || format!("{} {}", told(&rows, &row_names[row]), told(&cols, &column_names[column]));
        own.check(&all, place)?;
    }
    let estimate = |row: usize, column: usize, of: &dyn Fn(&[f64], &str) -> Option<Estimate>| {
        let stages = &gathered.get(&(row, column))?.stages;
        let values: Vec<f64> = stages.iter().map(|(_, _, value)| *value).collect();
        let identity = format!("{:?} {:?}", row_names[row], column_names[column]);
        of(&values, &identity)
    };
    let laid_out = |of: &dyn Fn(&[f64], &str) -> Option<Estimate>| {
        let cell = |row: usize, column: usize| {
            Cell::estimate(estimate(row, column, of).as_ref(), DECIMALS)
        };
        lay_out(
            &rows,
            (&row_names, &in_order(&row_names)),
            (&column_names, &in_order(&column_names)),
            cell,
        )
    };
    let means = |values: &[f64], identity: &str| request.interval.estimate(values, identity);
    let mut parts = vec![Part::Table(laid_out(&means))];
    let iqm = gathered.values().any(|of| interquartile(&of.values(), "").is_some());
    if request.interval == Interval::Bootstrap && iqm {
        parts.push(Part::Table(laid_out(&interquartile).captioned(IQM_CAPTION)));
    }
    let seeds = gathered.values().map(|of| of.stages.len());
    let notes = notes(&metrics, request, seeds, unfinished.len(), cells.len());
    parts.push(Part::Notes(Notes::bare(notes)));
    let named = |axes: &[Axis]| axes.iter().map(|axis| axis.name()).collect::<Vec<_>>().join(", ");
    Ok(Document { title: format!("Results by {} and {}", named(&rows), named(&cols)), parts })
}

impl Gathered<'_> {
    fn values(&self) -> Vec<f64> {
        self.stages.iter().map(|(_, _, value)| *value).collect()
    }

    /// Refuses results that differ in more than the seed.
    fn check(&self, axes: &[Axis], place: impl Fn() -> String) -> Result<(), GeneralError> {
        let [(_, first, _), others @ ..] = self.stages.as_slice() else { return Ok(()) };
        let seed = |of: &CellResult| of.cell.params.get("seed").cloned();
        let seeds: Vec<_> = self.stages.iter().map(|(_, of, _)| seed(of)).collect();
        let twice = (1..seeds.len()).any(|at| seeds[..at].contains(&seeds[at]));
        let params = |of: &CellResult| of.cell.params.to_map();
        let mut differing: BTreeSet<String> = BTreeSet::new();
        for (_, other, _) in others {
            let (a, b) = (params(first), params(other));
            let names = a.keys().chain(b.keys()).filter(|name| a.get(*name) != b.get(*name));
            differing.extend(names.cloned());
            if first.grid != other.grid {
                differing.insert("grid".to_owned());
            }
        }
        differing.remove("seed");
        if !twice {
            // Of other seeds they are another detector's only by the choice of the first cell; and equal
            // cells of two grids are one.
            differing.retain(|name| !name.starts_with("detector.") && name != "grid");
            if differing.is_empty() {
                return Ok(());
            }
        }
        differing.retain(|name| axes.iter().all(|axis| axis.name() != name));
        if differing.len() > 1 {
            differing.remove("grid");
        }
        // What a grid varies brings other parameters with it.
        let varied = |name: &String| first.cell.axes.contains(name);
        if differing.iter().any(varied) {
            differing.retain(varied);
        }
        let differing: Vec<String> =
            differing.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
        let differing = match differing.is_empty() {
            true => "the version of the program that made them".to_owned(),
            false => differing.join(", "),
        };
        Err(GeneralError::Ambiguous { place: place(), count: self.stages.len(), differing })
    }
}

/// Places of names, so that equal values of the first axis stand together, of those equal ones of the
/// second, and so on; each axis in the order in which its values appear.
fn in_order(names: &Names) -> Vec<usize> {
    let rank = |names_at: usize, axis: usize| {
        names.iter().position(|other| other[axis] == names[names_at][axis])
    };
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_cached_key(|&at| {
        (0..names[at].len()).map(|axis| rank(at, axis)).collect::<Vec<_>>()
    });
    order
}

/// Rows in groups by the first of several axes, columns under spans by all axes but the last. Names come
/// with the order of their places.
fn lay_out(
    rows: &[Axis],
    (row_names, row_order): (&Names, &[usize]),
    (column_names, column_order): (&Names, &[usize]),
    cell: impl Fn(usize, usize) -> Cell,
) -> Table {
    let columns: Vec<Column> = column_order
        .iter()
        .map(|&at| match column_names[at].split_last() {
            Some((last, [])) => Column::alone(last.clone()),
            Some((last, above)) => {
                Column::under(above.join(", "), last.clone(), column_names[at].join(", "))
            }
            None => Column::alone("value"),
        })
        .collect();
    let mut groups: Vec<Group> = Vec::new();
    for &at in row_order {
        let names = &row_names[at];
        let (label, own) = match names.split_first() {
            Some((first, own)) if !own.is_empty() => (Some(first.clone()), own),
            _ => (None, &names[..]),
        };
        let cells = column_order.iter().map(|&column| cell(at, column)).collect();
        let row = Row::new(own.join(", "), cells);
        match groups.last_mut() {
            Some(group) if group.label == label => group.rows.push(row),
            _ => groups.push(Group { label, rows: vec![row] }),
        }
    }
    let stub = rows.iter().map(|axis| axis.name()).collect::<Vec<_>>().join(", ");
    Table { groups, ..Table::plain(&stub, columns, Vec::new()) }
}

fn notes(
    metrics: &[MetricName],
    request: &Request,
    seeds: impl Iterator<Item = usize> + Clone,
    unfinished: usize,
    cells: usize,
) -> Vec<String> {
    let mut sources: Vec<(String, Vec<&str>)> = Vec::new();
    for MetricName { kind, split, name } in metrics {
        let source = format!("split `{split}` of the stages `{kind}`.");
        match sources.iter_mut().find(|(known, _)| *known == source) {
            Some((_, names)) => names.push(name),
            None => sources.push((source, vec![name])),
        }
    }
    let told = sources.iter().map(|(source, names)| format!("{}: {source}", names.join(", ")));
    let mut notes: Vec<String> = told.collect();
    let count = match (seeds.clone().min(), seeds.max()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most} seeds"),
        (Some(1), _) => "one seed, which has no interval".to_owned(),
        (Some(n), _) => format!("{n} seeds"),
        (None, _) => "no seed yet".to_owned(),
    };
    notes.push(format!("Means over seeds {}; {count}.", request.interval.of_means()));
    if !request.filter_text.is_empty() {
        notes.push(format!("Cells with {}.", request.filter_text));
    }
    if unfinished > 0 {
        notes.push(format!("{unfinished} of {cells} cells have no such result (–), or none yet."));
    }
    notes
}

//! Curves of the trainings: of the embedding, the agent and the detector.

use super::super::database::{ReportError, failed, identity};
use super::super::setting::told_apart;
use super::frame::SERIES;
use super::names::{dataset, differences};
use super::picture::{Axis, Figure, Key, Mark, Panel, Pattern, Pen};
use super::results::{Parameters, file_name, place, text};
use super::series::add;
use super::{Kind, Source};
use crate::metrics::statistics::mean;
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};

pub const KIND: Kind = Kind {
    id: "training",
    needs: "a trained embedding, agent or detector with two epochs or more",
    draw,
};

/// Stages that are trained; what is drawn of each, and the sections of the parameters that a training depends
/// on.
const TRAININGS: [(&str, &str, &[&str], &[&str]); 3] = [
    ("embedding", "loss", &["train_loss"], &["graph", "embedding"]),
    (
        "agent",
        "reward",
        &["train_reward"],
        &["graph", "embedding", "agent", "adversarial_training"],
    ),
    (
        "detector",
        "loss",
        &["train_loss", "validation_loss"],
        &["graph", "embedding", "agent", "adversarial_training", "detector"],
    ),
];

/// What tells curves apart: grid, dataset, kind of stage, parameters as text.
type Identity = (String, String, String, String);

/// A curve over the seeds: the values of each metric at each epoch.
#[derive(Default)]
struct Curve {
    parameters: Parameters,
    values: BTreeMap<String, BTreeMap<u64, Vec<f64>>>,
}

fn read(db: &Connection, grid: Option<&str>) -> Result<BTreeMap<Identity, Curve>, ReportError> {
    let what = "the metrics of trainings";
    let sql = "
        WITH trained AS MATERIALIZED (
            SELECT g.name AS grid, s.kind, s.key, min(c.id) AS cell
            FROM latest_grids g
            JOIN cells c ON c.grid_id = g.id
            JOIN cell_stages cs ON cs.cell_id = c.id
            JOIN stages s ON s.key = cs.stage_key
                AND s.kind IN ('embedding', 'agent', 'detector') AND s.state = 'done'
            WHERE ?1 IS NULL OR g.name = ?1
            GROUP BY g.name, s.key)
        SELECT t.grid, t.kind, c.params, m.name, m.split, m.value
        FROM trained t JOIN cells c ON c.id = t.cell
        JOIN metrics m ON m.stage_key = t.key AND m.split GLOB 'epoch/*'
            AND m.name IN ('train_loss', 'train_reward', 'validation_loss')
        ORDER BY t.grid, t.key";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query([grid]).map_err(failed(what))?;
    let mut curves: BTreeMap<Identity, Curve> = BTreeMap::new();
    let mut last = (String::new(), Parameters::new());
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, kind, json): (String, String, String) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            if last.0 != json {
                last.1 = serde_json::from_str(&json).unwrap_or_default();
                last.0 = json;
            }
            let training = TRAININGS.iter().find(|(known, ..)| *known == kind);
            let Some((_, _, metrics, sections)) = training else { return Ok(()) };
            let (metric, split): (String, String) = (row.get(3)?, row.get(4)?);
            let epoch = place(&split).filter(|_| metrics.contains(&metric.as_str()));
            let Some(epoch) = epoch else { return Ok(()) };
            let own = last.1.iter().filter(|(name, _)| {
                name.split_once('.').is_some_and(|(section, _)| sections.contains(&section))
            });
            let own: Parameters = own.map(|(name, value)| (name.clone(), value.clone())).collect();
            let dataset = text(&last.1, "dataset").unwrap_or_default().to_owned();
            let (grid, parameters) = identity(&grid, &own);
            let curve = curves.entry((grid, dataset, kind, parameters)).or_default();
            curve.parameters = own;
            let values = curve.values.entry(metric).or_default();
            values.entry(epoch as u64).or_default().push(row.get(5)?);
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(curves)
}

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let mut curves = read(source.db, source.grid)?;
    curves.retain(|_, curve| curve.values.values().any(|epochs| epochs.len() > 1));
    let pairs: BTreeSet<(&str, &str)> =
        curves.keys().map(|(grid, dataset, ..)| (grid.as_str(), dataset.as_str())).collect();
    let figures = pairs.iter().map(|(grid, name)| {
        let mut legend: Vec<Key> = Vec::new();
        let panels = TRAININGS.iter().filter_map(|training| {
            let of = curves
                .iter()
                .filter(|((g, d, kind, _), _)| (g.as_str(), d.as_str(), kind.as_str()) == (*grid, *name, training.0));
            panel(training.0, training.1, &of.map(|(_, curve)| curve).collect::<Vec<_>>(), &mut legend)
        });
        let panels: Vec<Panel> = panels.collect();
        // One figure of one dataset needs no name in its file's.
        let suffix = match pairs.len() {
            1 => String::new(),
            _ => format!("-{}-{}", file_name(grid), file_name(name)),
        };
        Figure {
            name: format!("{}{suffix}", KIND.id),
            caption: format!(
                "Trainings of the grid {grid} on {}: means over seeds as far as all of them trained, \
                 bands from the lowest to the highest",
                dataset(name)
            ),
            legend,
            columns: panels.len().min(2),
            panels,
        }
    });
    // Grids that share their trainings would have the same figure.
    let mut distinct: Vec<(&str, Figure)> = Vec::new();
    for ((_, name), figure) in pairs.iter().zip(figures) {
        if distinct.iter().all(|(of, known)| of != name || known.panels != figure.panels) {
            distinct.push((name, figure));
        }
    }
    Ok(distinct.into_iter().map(|(_, figure)| figure).collect())
}

fn panel(kind: &str, quantity: &str, curves: &[&Curve], legend: &mut Vec<Key>) -> Option<Panel> {
    if curves.is_empty() {
        return None;
    }
    let parameters: Vec<&Parameters> = curves.iter().map(|curve| &curve.parameters).collect();
    let labels = differences(told_apart(vec![String::new(); curves.len()], &parameters));
    let mut marks = Vec::new();
    let mut last = 1;
    for (at, (curve, label)) in curves.iter().zip(labels).enumerate() {
        for (metric, epochs) in &curve.values {
            let (part, mut dash) = match metric.starts_with("validation") {
                true => ("validation", Pattern::Dashed),
                false => ("training", Pattern::Solid),
            };
            // More curves than colours are told apart by their dash.
            if at >= SERIES.len() && dash == Pattern::Solid {
                dash = Pattern::DashDot;
            }
            let pen = Pen::new(SERIES[at % SERIES.len()], dash);
            let label = match label.is_empty() {
                true => part.to_owned(),
                false => format!("{kind} {part}: {}", label.replace(&format!("{kind}."), "")),
            };
            add(legend, &label, pen, false);
            // A seed that ended early would take its part of the mean with it: a step that no training made.
            let seeds = epochs.values().map(Vec::len).max().unwrap_or_default();
            let epochs: BTreeMap<&u64, &Vec<f64>> =
                epochs.iter().filter(|(_, values)| values.len() == seeds).collect();
            last = last.max(epochs.keys().next_back().map_or(1, |epoch| **epoch));
            let points =
                epochs.iter().map(|(epoch, v)| (**epoch as f64, mean(v).unwrap_or_default()));
            let band = epochs.values().map(|v| {
                (
                    v.iter().copied().fold(f64::INFINITY, f64::min),
                    v.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                )
            });
            marks.push(Mark::Line {
                points: points.collect(),
                band: band.collect(),
                pen,
                dots: false,
            });
        }
    }
    Some(Panel {
        title: kind.to_owned(),
        x: Axis::linear("epoch", 1.0, last.max(2) as f64),
        y: Axis::around(quantity, marks.iter().flat_map(Mark::heights)),
        marks,
        low: false,
    })
}

//! NDCG of every seed under each attack on every time step, as box plots.

use super::super::database::{ReportError, failed, identity};
use super::super::setting::told_apart;
use super::frame::{BLACK, GREY};
use super::names::{attack_label, colour, dataset};
use super::picture::{Axis, Figure, Mark, Panel, Pattern, Pen};
use super::results::{Group, Outcome, Parameters, attack, grouped, is_special, of_attack, timing};
use super::{Kind, Source};
use crate::metrics::statistics::percentile;
use rusqlite::params;
use std::collections::HashMap;

pub const KIND: Kind = Kind {
    id: "seeds",
    needs: "NDCG of three seeds or more, clean and under an attack on every time step",
    draw,
};

/// Seeds below which quartiles say nothing.
const FEWEST: usize = 3;

/// Values of the seeds by what identifies their results.
type Values = HashMap<(String, String), Vec<f64>>;

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let values = read(source)?;
    let of = |outcome: &Outcome| {
        let found = values.get(&identity(&outcome.grid, &outcome.parameters));
        found.filter(|found| found.len() >= FEWEST)
    };
    let shown = |outcome: &&Outcome| {
        let parameters = &outcome.parameters;
        let plain = timing(parameters) == "always" && !is_special(parameters);
        plain && of(outcome).is_some()
    };
    // A single row compares nothing.
    let compared = |group: &Group<'_>, name: &str| group.of(name).nth(1).is_some();
    let wanted = |group: &Group<'_>| group.datasets().iter().any(|name| compared(group, name));
    let groups = grouped(source.of_kind("ranking").filter(shown), &[], wanted);
    let figures = groups.iter().map(|group| {
        let datasets = group.datasets().into_iter().filter(|name| compared(group, name));
        let panels = datasets.map(|name| {
            let mut rows: Vec<(&Parameters, &Vec<f64>)> =
                group.of(name).filter_map(|o| Some((&o.parameters, of(o)?))).collect();
            rows.sort_by_key(|(p, _)| (attack(p) != "none", attack(p).starts_with("noise")));
            panel(name, &rows)
        });
        Figure {
            name: format!("{}{}", KIND.id, group.suffix),
            caption: group.caption(
                "NDCG over users with a full list under attacks on every time step: each seed (dots), \
                 quartiles (boxes), range (whiskers); the line is the clean median",
            ),
            legend: Vec::new(),
            columns: 1,
            panels: panels.collect(),
        }
    });
    Ok(figures.collect())
}

fn panel(name: &str, rows: &[(&Parameters, &Vec<f64>)]) -> Panel {
    let quantile = |values: &[f64], share| percentile(values, share).unwrap_or_default();
    let five = |values: &[f64]| [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(values, share));
    let mut marks = Vec::new();
    for (parameters, values) in rows {
        if attack(parameters) == "none" {
            let pen = Pen::new(GREY, Pattern::Dashed);
            marks.push(Mark::Upright { at: quantile(values, 0.5), pen });
        }
    }
    marks.extend(rows.iter().enumerate().map(|(row, (parameters, values))| Mark::Box {
        row,
        five: five(values),
        values: values.to_vec(),
        colour: if attack(parameters) == "none" { BLACK } else { colour(attack(parameters)) },
    }));
    let own: Vec<Parameters> =
        rows.iter().map(|(parameters, _)| of_attack(parameters, &[])).collect();
    let labels = own.iter().map(|parameters| attack_label(parameters, &[])).collect();
    Panel {
        title: dataset(name),
        x: Axis::around("NDCG (%)", rows.iter().flat_map(|(_, values)| values.iter().copied())),
        y: Axis::names("", told_apart(labels, &own.iter().collect::<Vec<_>>())),
        marks,
        low: false,
    }
}

fn read(source: &Source<'_>) -> Result<Values, ReportError> {
    let Source { db, grid, users, .. } = source;
    let what = "the view `cell_results`";
    // Cells that differ in the detector alone share a ranking, which counts once.
    let sql = "
        SELECT DISTINCT k.grid, k.shared_parameters, k.ranking, m.value
        FROM cell_results k
        JOIN stages s ON s.key = k.ranking AND s.state = 'done'
        JOIN metrics m ON m.stage_key = k.ranking AND m.name = 'ndcg' AND m.split = ?2
        WHERE ?1 IS NULL OR k.grid = ?1
        ORDER BY k.grid, k.ranking";
    let mut statement = db.prepare(sql).map_err(failed(what))?;
    let mut rows = statement.query(params![grid, users.split()]).map_err(failed(what))?;
    let mut values = Values::new();
    while let Some(row) = rows.next().map_err(failed(what))? {
        let mut add = || -> rusqlite::Result<()> {
            let (grid, parameters): (String, String) = (row.get(0)?, row.get(1)?);
            let parameters: Parameters = serde_json::from_str(&parameters).unwrap_or_default();
            values.entry(identity(&grid, &parameters)).or_default().push(row.get(3)?);
            Ok(())
        };
        add().map_err(failed(what))?;
    }
    Ok(values)
}

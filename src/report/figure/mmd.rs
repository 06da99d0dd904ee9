//! Drift between attacks, maximum mean discrepancy of their paths, as a matrix.

use super::super::database::{ReportError, identity};
use super::super::setting::told_apart;
use super::heat::{self, Heat};
use super::names::{attack_label, dataset};
use super::picture::Figure;
use super::results::{Group, Parameters, attack, grouped, is_special, of_attack};
use super::{Kind, Source};
use serde_json::Value as Json;

pub const KIND: Kind =
    Kind { id: "mmd", needs: "drift between cells (`drift.compare: references` or `all`)", draw };

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let groups = grouped(source.of_kind("drift"), &[], |group| !maps(group).is_empty());
    let figures = groups.iter().map(|group| Figure {
        name: format!("{}{}", KIND.id, group.suffix),
        caption: group.caption(
            "Maximum mean discrepancy (square root of the biased estimate) between the action sequences under \
             two attacks; on the diagonal two halves of the same ones; means over seeds, darker is higher",
        ),
        legend: Vec::new(),
        columns: 1,
        panels: heat::panels(maps(group), 3),
    });
    Ok(figures.collect())
}

fn maps(group: &Group<'_>) -> Vec<Heat> {
    let maps = group.datasets().into_iter().filter_map(|name| {
        // The attack of each result, of what it is compared with, and their distance.
        let pairs: Vec<(Parameters, Parameters, f64)> = group
            .of(name)
            .filter_map(|o| {
                let Some(Json::Object(other)) = o.parameters.get("other") else { return None };
                let mmd = o.value("all", "mmd_biased")?.mean;
                Some((of_attack(&o.parameters, &[]), of_attack(other, &[]), mmd))
            })
            .collect();
        let mut attacks: Vec<&Parameters> = pairs.iter().map(|(one, ..)| one).collect();
        let key = |p: &Parameters| (attack(p) != "none", is_special(p), identity("", p));
        attacks.sort_by_key(|parameters| key(parameters));
        attacks.dedup();
        let labels = attacks.iter().map(|parameters| attack_label(parameters, &[])).collect();
        let rows = told_apart(labels, &attacks);
        let place = |wanted: &Parameters| attacks.iter().position(|known| *known == wanted);
        let values: Vec<(usize, usize, f64)> = pairs
            .iter()
            .filter_map(|(one, other, mmd)| Some((place(one)?, place(other)?, *mmd)))
            .collect();
        // Compared with references alone, the others have no columns of their own.
        let full = |column: &usize| {
            let filled = |row| values.iter().any(|v| (v.0, v.1) == (row, *column));
            (0..rows.len()).all(filled)
        };
        let columns: Vec<usize> = (0..rows.len()).filter(full).collect();
        let columns = if columns.is_empty() { (0..rows.len()).collect() } else { columns };
        let kept = values.iter().filter_map(|(row, column, mmd)| {
            Some((*row, columns.iter().position(|c| c == column)?, *mmd))
        });
        (rows.len() > 1).then(|| Heat {
            title: dataset(name),
            row_label: String::new(),
            column_label: String::new(),
            values: kept.collect(),
            columns: columns.iter().map(|&at| rows[at].clone()).collect(),
            rows,
        })
    });
    maps.collect()
}

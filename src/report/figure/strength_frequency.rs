//! NDCG over attack strength ε and frequency as heat maps.

use super::super::database::ReportError;
use super::heat::{self, Heat};
use super::names::{attack_label, dataset};
use super::picture::Figure;
use super::results::{Group, attack, by_attack, grouped, number};
use super::{Kind, Source};

pub const KIND: Kind = Kind {
    id: "strength-frequency",
    needs: "NDCG under an attack with two values or more of both `epsilon` and `frequency`",
    draw,
};

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let groups = grouped(source.of_kind("ranking"), &[], |group| !maps(group).is_empty());
    let figures = groups.iter().map(|group| Figure {
        name: format!("{}{}", KIND.id, group.suffix),
        caption: group.caption(
            "NDCG (%) over users with a full list, by attack strength and asked frequency; means over seeds, \
             darker is higher",
        ),
        legend: Vec::new(),
        columns: 1,
        panels: heat::panels(maps(group), 2),
    });
    Ok(figures.collect())
}

/// A map for each dataset and each attack, timing and whatever else the attack's parameters say.
fn maps(group: &Group<'_>) -> Vec<Heat> {
    let attacks = group.datasets().into_iter().flat_map(|name| {
        let attacked = group.of(name).filter(|o| attack(&o.parameters) != "none");
        let attacks = by_attack(attacked, &["epsilon", "frequency"]);
        attacks.into_iter().map(move |(own, outcomes)| (name, own, outcomes))
    });
    let maps = attacks.filter_map(|(name, own, outcomes)| {
        let values: Vec<(f64, f64, f64)> = outcomes
            .iter()
            .filter_map(|o| {
                let (epsilon, frequency) =
                    (number(&o.parameters, "epsilon")?, number(&o.parameters, "frequency")?);
                Some((epsilon, frequency, o.ndcg()?.mean))
            })
            .collect();
        let distinct = |of: fn(&(f64, f64, f64)) -> f64| {
            let mut all: Vec<f64> = values.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all.dedup();
            all
        };
        let (mut epsilons, frequencies) = (distinct(|v| v.0), distinct(|v| v.1));
        // The strongest on top, as on an axis.
        epsilons.reverse();
        let place = |of: &[f64], value: f64| of.iter().position(|v| *v == value);
        let fields = values.iter().filter_map(|(epsilon, frequency, ndcg)| {
            Some((place(&epsilons, *epsilon)?, place(&frequencies, *frequency)?, *ndcg))
        });
        let many = epsilons.len() > 1 && frequencies.len() > 1;
        many.then(|| Heat {
            title: format!("{}: {}", dataset(name), attack_label(&own, &[])),
            row_label: "ε".to_owned(),
            column_label: "frequency (share of time steps)".to_owned(),
            values: fields.collect(),
            rows: epsilons.iter().map(f64::to_string).collect(),
            columns: frequencies.iter().map(f64::to_string).collect(),
        })
    });
    maps.collect()
}

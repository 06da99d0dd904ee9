//! Attacks crafted on one agent against another: NDCG of the attacked agent as a matrix.

use super::super::database::ReportError;
use super::heat::{self, Heat};
use super::names::{attack_label, dataset};
use super::picture::Figure;
use super::results::{
    Group, Outcome, Parameters, attack, by_attack, grouped, number, text, timing,
};
use super::{Kind, Source};
use std::collections::BTreeSet;

pub const KIND: Kind = Kind {
    id: "transfer",
    needs: "NDCG under an attack that is crafted on another agent (`transfer.algorithm`, `transfer.seed`)",
    draw,
};

const CLEAN: &str = "no attack";

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let agents = ["agent.algorithm"];
    let groups = grouped(source.of_kind("ranking"), &agents, |group| !maps(group).is_empty());
    let figures = groups.iter().map(|group| Figure {
        name: format!("{}{}", KIND.id, group.suffix),
        caption: group.caption(
            "NDCG (%) over users with a full list of agents under attacks on every time step that were crafted \
             on the same or on another agent; means over seeds, darker is higher",
        ),
        legend: Vec::new(),
        columns: 1,
        panels: heat::panels(maps(group), 2),
    });
    Ok(figures.collect())
}

/// The agent under attack.
fn victim(parameters: &Parameters) -> String {
    text(parameters, "agent.algorithm").unwrap_or("imported").replace('_', " ")
}

/// The agent that the attack was crafted on.
fn crafted_on(parameters: &Parameters) -> String {
    if attack(parameters) == "none" {
        return CLEAN.to_owned();
    }
    let algorithm = text(parameters, "transfer.algorithm").map(|name| name.replace('_', " "));
    let seed = number(parameters, "transfer.seed");
    let seed = seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
    algorithm.unwrap_or_else(|| victim(parameters)) + &seed
}

/// A map for each dataset and attack with at least one result that was crafted on another agent.
fn maps(group: &Group<'_>) -> Vec<Heat> {
    let is_transfer = |o: &Outcome| o.parameters.keys().any(|name| name.starts_with("transfer."));
    let plain = |o: &&Outcome| {
        timing(&o.parameters) == "always" && !o.parameters.contains_key("adaptive.lambda")
    };
    let attacks = group.datasets().into_iter().flat_map(|name| {
        let attacks =
            by_attack(group.of(name).filter(plain), &["transfer.algorithm", "transfer.seed"]);
        attacks.into_iter().map(move |(own, outcomes)| (name, own, outcomes))
    });
    let transferred = attacks.filter(|(.., outcomes)| outcomes.iter().any(|o| is_transfer(o)));
    let maps = transferred.map(|(name, own, mut outcomes)| {
        let victims: BTreeSet<String> = outcomes.iter().map(|o| victim(&o.parameters)).collect();
        let clean = group.of(name).filter(|o| attack(&o.parameters) == "none");
        outcomes.extend(clean.filter(|o| victims.contains(&victim(&o.parameters))));
        let columns: Vec<String> = victims.into_iter().collect();
        let mut rows: Vec<String> = outcomes.iter().map(|o| crafted_on(&o.parameters)).collect();
        rows.sort_by_key(|row| (row != CLEAN, row.clone()));
        rows.dedup();
        let place = |of: &[String], name: String| of.iter().position(|known| *known == name);
        let values = outcomes.iter().filter_map(|o| {
            let row = place(&rows, crafted_on(&o.parameters))?;
            Some((row, place(&columns, victim(&o.parameters))?, o.ndcg()?.mean))
        });
        Heat {
            title: format!("{}: {}", dataset(name), attack_label(&own, &[])),
            row_label: "crafted on".to_owned(),
            column_label: "agent under attack".to_owned(),
            values: values.collect(),
            rows,
            columns,
        }
    });
    maps.collect()
}

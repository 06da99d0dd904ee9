//! The paper's Figure 2: NDCG against the share of the time steps that is attacked.

use super::super::database::{ReportError, identity};
use super::names::{Pens, attack_label};
use super::picture::{Axis, Figure, Pattern, Pen};
use super::results::{Group, Outcome, Parameters, attack, grouped, number, timing};
use super::series::{self, Series, Sheaf, series};
use super::{Kind, Source};
use std::collections::HashMap;

pub const KIND: Kind = Kind {
    id: "figure2",
    needs: "NDCG under an attack with `timing: random` or `strategic` at two frequencies or more",
    draw,
};

const CAPTION: &str = "NDCG over users with a full list against the realised share of attacked time steps; \
    dash-dot random, solid strategic timing; bands are 95 % intervals over seeds";

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let realised: HashMap<(String, String), f64> = source
        .of_kind("rollout")
        .filter_map(|o| {
            let frequency = o.value("all", "realised_frequency")?;
            Some((identity(&o.grid, &o.parameters), frequency.mean))
        })
        .collect();
    let place = |outcome: &Outcome| {
        let parameters = &outcome.parameters;
        let timed = attack(parameters) != "none" && timing(parameters) != "always";
        let frequency = realised.get(&identity(&outcome.grid, parameters));
        frequency.copied().filter(|_| timed)
    };
    let lines = |group: &Group<'_>, dataset: &str| -> Vec<Series> {
        series(group, dataset, &place, &["frequency", "threshold"])
    };
    let has_lines = |g: &Group<'_>| g.datasets().iter().any(|name| !lines(g, name).is_empty());
    let groups = grouped(source.of_kind("ranking"), &[], has_lines);
    let figures = groups.iter().map(|group| {
        let mut pens = Pens::default();
        let several = group.datasets().iter().any(|name| by_strength(lines(group, name)).len() > 1);
        let sheaves = |name: &str| match several {
            true => by_strength(lines(group, name)),
            false => vec![(String::new(), lines(group, name))],
        };
        // What the panel's title says.
        let hidden = |more| if several { vec!["epsilon", more] } else { vec![more] };
        let mut pen = |parameters: &Parameters| {
            // The colour says the attack, the dash its timing.
            let colour =
                pens.of(&attack_label(parameters, &hidden("timing")), attack(parameters)).colour;
            (attack_label(parameters, &hidden("")), Pen::new(colour, dash(timing(parameters))))
        };
        let axis = |_: &[f64]| Axis::linear("share of time steps attacked", 0.0, 1.02);
        series::figure(group, (KIND.id, CAPTION), &sheaves, &mut pen, &axis)
    });
    Ok(figures.collect())
}

/// A panel for each ε, where an attack has several: lines of all would hide one another.
fn by_strength(lines: Vec<Series>) -> Vec<Sheaf> {
    let alike = |a: &Series, b: &Series| {
        let of = |s: &Series| (attack(&s.parameters).to_owned(), timing(&s.parameters).to_owned());
        of(a) == of(b) && number(&a.parameters, "epsilon") != number(&b.parameters, "epsilon")
    };
    if !lines.iter().any(|a| lines.iter().any(|b| alike(a, b))) {
        return vec![(String::new(), lines)];
    }
    let mut sheaves: Vec<(Option<f64>, Vec<Series>)> = Vec::new();
    for line in lines {
        let epsilon = number(&line.parameters, "epsilon");
        match sheaves.iter_mut().find(|(known, _)| *known == epsilon) {
            Some((_, sheaf)) => sheaf.push(line),
            None => sheaves.push((epsilon, vec![line])),
        }
    }
    sheaves.sort_by(|a, b| a.0.unwrap_or(0.0).total_cmp(&b.0.unwrap_or(0.0)));
    let titled = sheaves.into_iter().map(|(epsilon, sheaf)| {
        (epsilon.map_or(String::new(), |epsilon| format!(", ε={epsilon}")), sheaf)
    });
    titled.collect()
}

/// As in the paper: dash-dot for random, solid for strategic.
fn dash(timing: &str) -> Pattern {
    match timing {
        "random" => Pattern::DashDot,
        "strategic" => Pattern::Solid,
        "oracle" => Pattern::Dotted,
        _ => Pattern::Dashed,
    }
}

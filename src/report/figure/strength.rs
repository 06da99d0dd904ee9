//! Attack strength ε against NDCG, for attacks on every time step.

use super::super::database::ReportError;
use super::names::{Pens, attack_label};
use super::picture::{Axis, Figure};
use super::results::{Group, Outcome, Parameters, attack, grouped, is_special, number, timing};
use super::series::{self, Series, series};
use super::{Kind, Source};

pub const KIND: Kind = Kind {
    id: "attack-strength",
    needs: "NDCG under an attack on every time step with two values of `epsilon` or more",
    draw,
};

const CAPTION: &str = "NDCG over users with a full list against the strength of attacks on every time step, \
    each in its own norm; bands are 95 % intervals over seeds";

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let place = |outcome: &Outcome| {
        let parameters = &outcome.parameters;
        let plain = timing(parameters) == "always" && !is_special(parameters);
        number(parameters, "epsilon").filter(|_| plain)
    };
    let lines = |group: &Group<'_>, dataset: &str| -> Vec<Series> {
        series(group, dataset, &place, &["epsilon"])
    };
    let has_lines = |g: &Group<'_>| g.datasets().iter().any(|name| !lines(g, name).is_empty());
    let groups = grouped(source.of_kind("ranking"), &[], has_lines);
    let figures = groups.iter().map(|group| {
        let mut pens = Pens::default();
        let mut pen = |parameters: &Parameters| {
            let label = attack_label(parameters, &[]);
            let pen = pens.of(&label, attack(parameters));
            (label, pen)
        };
        let axis = |places: &[f64]| Axis::of_sizes("attack strength ε", places.iter().copied());
        let sheaves = |name: &str| vec![(String::new(), lines(group, name))];
        series::figure(group, (KIND.id, CAPTION), &sheaves, &mut pen, &axis)
    });
    Ok(figures.collect())
}

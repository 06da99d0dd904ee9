//! The attention that a detector gives to each time step.

use super::super::database::ReportError;
use super::frame::BLACK;
use super::names::{Pens, attack_label, dataset};
use super::picture::{Axis, Figure, Key, Mark, Panel, Pattern, Pen};
use super::results::{Group, Outcome, attack, grouped, of_attack};
use super::series::add;
use super::{Kind, Source};

pub const KIND: Kind = Kind {
    id: "attention",
    needs: "the test of a detector with `detector.method: gru_attention`",
    draw,
};

const CLEAN: Pen = Pen::new(BLACK, Pattern::Dotted);

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let has_weights = |g: &Group<'_>| g.outcomes.iter().any(|o| weights(o, "attacked").is_some());
    let groups = grouped(source.of_kind("detection"), &[], has_weights);
    Ok(groups.iter().map(figure).collect())
}

/// Time steps from 0 and mean weights of `clean` or `attacked` paths.
fn weights(outcome: &Outcome, of: &str) -> Option<Vec<(f64, f64)>> {
    let curve = outcome.curve(&format!("attention_{of}"));
    let points: Vec<_> = curve.iter().map(|(step, weight)| (step - 1.0, weight.mean)).collect();
    (points.len() > 1).then_some(points)
}

fn figure(group: &Group<'_>) -> Figure {
    let mut pens = Pens::default();
    let mut legend: Vec<Key> = Vec::new();
    let mut panels = Vec::new();
    for name in group.datasets() {
        let mut marks = Vec::new();
        let line = |points, pen| Mark::Line { points, band: Vec::new(), pen, dots: true };
        let attacked = || group.of(name).filter(|o| attack(&o.parameters) != "none");
        // Every test draws its clean paths from the same; the first stands for all.
        if let Some(points) = attacked().find_map(|o| weights(o, "clean")) {
            add(&mut legend, "clean paths", CLEAN, true);
            marks.push(line(points, CLEAN));
        }
        for outcome in attacked() {
            let Some(points) = weights(outcome, "attacked") else { continue };
            let label = attack_label(&of_attack(&outcome.parameters, &[]), &[]);
            let pen = pens.of(&label, attack(&outcome.parameters));
            add(&mut legend, &label, pen, true);
            marks.push(line(points, pen));
        }
        let steps = marks.iter().map(|m| m.heights().len()).max().unwrap_or(0);
        panels.push(Panel {
            title: dataset(name),
            x: Axis::names("time step", (1..=steps).map(|step| step.to_string()).collect()),
            y: Axis::around("attention weight", marks.iter().flat_map(Mark::heights)),
            marks,
            low: false,
        });
    }
    Figure {
        name: format!("{}{}", KIND.id, group.suffix),
        caption: group.caption(
            "Mean attention weight that the detector gives to each time step of clean and of attacked paths; \
             means over seeds",
        ),
        legend,
        columns: panels.len().min(2),
        panels,
    }
}

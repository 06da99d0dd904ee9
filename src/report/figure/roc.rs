//! Detectors: true against false positives, and precision against recall.

use super::super::database::ReportError;
use super::frame::GREY;
use super::names::{Pens, attack_label, dataset};
use super::picture::{Axis, Figure, Key, Mark, Panel, Pattern, Pen};
use super::results::{Group, Outcome, attack, grouped, of_attack};
use super::series::add;
use super::{Kind, Source};

pub const KIND: Kind =
    Kind { id: "roc", needs: "the test of a detector (`detector.method`)", draw };

/// Share of the attacked paths that a detector is often asked to find.
const WANTED: f64 = 0.95;
const MARK: Pen = Pen::new(GREY, Pattern::Dashed);

fn draw(source: &Source<'_>) -> Result<Vec<Figure>, ReportError> {
    let has_curves = |group: &Group<'_>| group.outcomes.iter().any(|o| curve(o).is_some());
    let groups = grouped(source.of_kind("detection"), &[], has_curves);
    Ok(groups.iter().map(figure).collect())
}

fn curve(outcome: &Outcome) -> Option<Vec<(f64, f64)>> {
    let points: Vec<_> = outcome.curve("roc_tpr").iter().map(|(x, y)| (*x, y.mean)).collect();
    (points.len() > 1).then_some(points)
}

fn figure(group: &Group<'_>) -> Figure {
    let mut pens = Pens::default();
    let mut legend: Vec<Key> = Vec::new();
    let mut panels = Vec::new();
    for name in group.datasets() {
        let (mut roc, mut pr, mut found) = (Vec::new(), Vec::new(), Vec::new());
        roc.push(Mark::Level { at: WANTED, pen: MARK });
        pr.push(Mark::Upright { at: WANTED, pen: MARK });
        for outcome in group.of(name) {
            let Some(points) = curve(outcome) else { continue };
            let id = attack(&outcome.parameters);
            let label = match id {
                "none" => "clean halves".to_owned(),
                _ => attack_label(&of_attack(&outcome.parameters, &[]), &[]),
            };
            let pen = pens.of(&label, id);
            add(&mut legend, &label, pen, false);
            roc.push(Mark::Line { points, band: Vec::new(), pen, dots: false });
            let precision = outcome.curve("pr_precision");
            let points = precision.iter().map(|(x, y)| (*x, y.mean)).collect();
            pr.push(Mark::Line { points, band: Vec::new(), pen, dots: false });
            if let Some(rate) = outcome.value("all", "fpr_at_95_tpr") {
                found.push(Mark::Dot { at: (rate.mean, WANTED), colour: pen.colour });
            }
        }
        roc.extend(found);
        let share = |label: &str| Axis::linear(label, 0.0, 1.0);
        panels.push(Panel {
            title: format!("{}: ROC", dataset(name)),
            x: share("false positive rate"),
            y: share("true positive rate"),
            marks: roc,
            low: false,
        });
        panels.push(Panel {
            title: format!("{}: PR", dataset(name)),
            x: share("recall"),
            y: share("precision"),
            marks: pr,
            low: false,
        });
    }
    add(&mut legend, "95 % TPR", MARK, false);
    Figure {
        name: format!("{}{}", KIND.id, group.suffix),
        caption: group.caption(
            "Detection of attacked paths: ROC with the false positive rate at 95 % true positives (dots), and \
             precision against recall; clean halves: two halves of the clean paths; means over seeds",
        ),
        legend,
        columns: 2,
        panels,
    }
}

//! Lines of NDCG against a number that attacks differ in, a panel for each dataset.

use super::names::{CLEAN, dataset};
use super::picture::{Axis, Figure, Key, Mark, Panel, Pen, Sample};
use super::results::{Group, Outcome, Parameters, by_attack};

/// One attack at two values or more of what varies.
pub struct Series {
    /// The attack's, without what varies.
    pub parameters: Parameters,
    pub points: Vec<(f64, f64)>,
    /// The 95 % intervals over seeds; empty with one seed.
    pub band: Vec<(f64, f64)>,
}

/// Sorts a dataset's results into lines. `place`: a result's value on the horizontal axis, where it belongs to a
/// line at all; `varies`: the parameters behind it.
pub fn series(
    group: &Group<'_>,
    dataset: &str,
    place: &dyn Fn(&Outcome) -> Option<f64>,
    varies: &[&str],
) -> Vec<Series> {
    let placed = group.of(dataset).filter(|outcome| place(outcome).is_some());
    let lines = by_attack(placed, varies).into_iter().map(|(parameters, outcomes)| {
        let mut values: Vec<_> =
            outcomes.into_iter().filter_map(|o| Some((place(o)?, o.ndcg()?))).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let points = values.iter().map(|(x, value)| (*x, value.mean)).collect();
        // NDCG is never negative, whatever a symmetric interval says.
        let ends = |(low, high): (f64, f64)| (low.max(0.0), high);
        let band = values.iter().filter_map(|(_, value)| value.interval.map(ends)).collect();
        Series { parameters, points, band }
    });
    lines.filter(|line| line.points.len() > 1).collect()
}

/// Adds an entry to a legend that has it not.
pub fn add(legend: &mut Vec<Key>, label: &str, pen: Pen, dots: bool) {
    if legend.iter().all(|key| key.label != label) {
        legend.push(Key { label: label.to_owned(), sample: Sample::Line { pen, dots } });
    }
}

/// Lines that share a panel, and what of its title tells it from the others of its dataset.
pub type Sheaf = (String, Vec<Series>);

/// The figure of a group's lines, with the clean level. `sheaves`: of a dataset, one a panel; `pen`: the label
/// and the pen of a line; `axis`: the horizontal axis of a panel with these places.
pub fn figure(
    group: &Group<'_>,
    (id, caption): (&str, &str),
    sheaves: &dyn Fn(&str) -> Vec<Sheaf>,
    pen: &mut dyn FnMut(&Parameters) -> (String, Pen),
    axis: &dyn Fn(&[f64]) -> Axis,
) -> Figure {
    let mut legend: Vec<Key> = Vec::new();
    let mut panels = Vec::new();
    let datasets = group.datasets();
    let all = datasets.iter().flat_map(|name| sheaves(name).into_iter().map(move |s| (*name, s)));
    for (name, (part, lines)) in all {
        let places: Vec<f64> = lines.iter().flat_map(|s| s.points.iter().map(|p| p.0)).collect();
        if places.is_empty() {
            continue;
        }
        let mut marks = Vec::new();
        if let Some(clean) = group.clean(name) {
            add(&mut legend, "clean", CLEAN, false);
            marks.push(Mark::Level { at: clean.mean, pen: CLEAN });
        }
        for Series { parameters, points, band } in lines {
            let (label, pen) = pen(&parameters);
            add(&mut legend, &label, pen, true);
            marks.push(Mark::Line { points, band, pen, dots: true });
        }
        panels.push(Panel {
            title: dataset(name) + &part,
            x: axis(&places),
            y: Axis::around("NDCG (%)", marks.iter().flat_map(Mark::heights)),
            marks,
            low: false,
        });
    }
    let (name, caption) = (format!("{id}{}", group.suffix), group.caption(caption));
    Figure { name, caption, legend, columns: panels.len().min(2), panels }
}

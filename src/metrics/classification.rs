//! Measures of a detector on labelled scores (SPEC section 8): precision, recall and F1 at a threshold,
//! AUROC, average precision, the false-positive rate at a true-positive rate of 95 %, and curves.
//!
//! Intervals are bootstrap percentiles over *users*: the paths of one user start at the same node and
//! share most of their states, so resampling single paths would take them for more evidence than they
//! are.

mod sorted;

use super::statistics::percentile;
use crate::plan::Metric;
use crate::random::{Purpose, generator};
use rand::Rng;
use rayon::prelude::*;
use serde::Serialize;
use sorted::{Counts, Sorted};

/// Resamples of a bootstrap, unless more are asked for: the ends of a 95 % interval are then its fifth
/// and sixth values from either side.
pub const RESAMPLES: usize = 200;
/// Most points of [`curve`].
pub const CURVE_POINTS: usize = 2_000;
/// The true-positive rate of `fpr_at_95_tpr`, in twentieths: compared in whole numbers.
const TPR_TWENTIETHS: u64 = 19;
/// Where the ROC curve is stored as metrics: finer where a detector would be run.
const FALSE_POSITIVE_RATES: [f64; 26] = [
    0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
    0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0,
];
/// Where the precision-recall curve is.
const RECALLS: [f64; 20] = [
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85,
    0.9, 0.95, 1.0,
];
/// The measures that have intervals, by their names as metrics.
const NAMES: [&str; MEASURES] = ["precision", "recall", "f1", "auroc", "auprc", "fpr_at_95_tpr"];
const MEASURES: usize = 6;

/// Scored paths with their labels: three arrays of one length.
#[derive(Clone, Copy, Debug)]
pub struct Scored<'a> {
    /// The higher, the likelier attacked; a path counts as predicted attacked from 0.5 on.
    pub scores: &'a [f32],
    /// Whether the path was attacked: the positive class.
    pub labels: &'a [bool],
    /// Whose path it is; need not be sorted.
    pub users: &'a [u32],
}

/// A value with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measure {
    pub value: f64,
    /// Ends of the 95 % percentile interval; `None` where there were no resamples or fewer than two
    /// users, or where most resamples do not define the measure.
    pub interval: Option<(f64, f64)>,
}

/// What a detector got right. A measure is `None` where it is undefined.
#[derive(Clone, Debug, PartialEq)]
pub struct Classification {
    pub true_positives: u64,
    pub false_positives: u64,
    pub true_negatives: u64,
    pub false_negatives: u64,
    /// TP / (TP + FP); undefined where nothing is predicted positive (scikit-learn warns there and
    /// gives 0).
    pub precision: Option<Measure>,
    /// TP / (TP + FN); undefined without positives.
    pub recall: Option<Measure>,
    /// 2·TP / (2·TP + FP + FN), as scikit-learn has it: 0 where there are positives of which none is
    /// predicted, also where precision is undefined; undefined only where nothing is positive and
    /// nothing predicted.
    pub f1: Option<Measure>,
    /// The probability that a positive scores above a negative, ties counted half; undefined without
    /// both.
    pub auroc: Option<Measure>,
    /// Average precision: Σ (Rₙ − Rₙ₋₁)·Pₙ over the distinct scores from the highest, without
    /// interpolation (scikit-learn's `average_precision_score`); undefined without positives.
    pub auprc: Option<Measure>,
    /// The smallest false-positive rate of a threshold that finds at least 95 % of the positives;
    /// undefined without both classes.
    pub fpr_at_95_tpr: Option<Measure>,
    /// True-positive rates at [`FALSE_POSITIVE_RATES`], linear between thresholds, so that the area
    /// below is `auroc`; empty without both classes.
    roc: Vec<f64>,
    /// Precision at the highest threshold that reaches each of [`RECALLS`], the steps of `auprc`; empty
    /// without positives.
    pr: Vec<f64>,
}

/// Measures the scores. `resamples` of the users are drawn with replacement for the intervals, 0 for
/// none; [`RESAMPLES`] is usual. The result does not depend on the order of the paths or the number of
/// threads.
///
/// # Panics
/// If the arrays differ in length, a score is NaN, or there are 2³¹ paths or more.
pub fn classify(scored: &Scored, resamples: usize, seed: u64) -> Classification {
    let sorted = Sorted::new(scored);
    let once = vec![1; sorted.users()];
    let whole = sorted.measures(&once);
    let intervals = intervals(&sorted, resamples, seed);
    let measure = |i: usize| whole[i].map(|value| Measure { value, interval: intervals[i] });
    let (all, predicted) = (sorted.all(&once), sorted.predicted(&once));
    let (roc, pr) = stored_curves(&sorted, &once);
    Classification {
        true_positives: predicted.positives,
        false_positives: predicted.negatives,
        true_negatives: all.negatives - predicted.negatives,
        false_negatives: all.positives - predicted.positives,
        precision: measure(0),
        recall: measure(1),
        f1: measure(2),
        auroc: measure(3),
        auprc: measure(4),
        fpr_at_95_tpr: measure(5),
        roc,
        pr,
    }
}

/// The probability that a positive scores above a negative, ties counted half; `None` without both.
///
/// # Panics
/// As [`classify`].
pub fn auroc(scores: &[f32], labels: &[bool]) -> Option<f64> {
    let users = vec![0; scores.len()];
    let sorted = Sorted::new(&Scored { scores, labels, users: &users });
    sorted.measures(&vec![1; sorted.users()])[3]
}

/// A threshold of both curves.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Paths that score at least this much are predicted attacked.
    pub threshold: f32,
    /// True-positive rate, which is recall.
    pub tpr: f64,
    /// False-positive rate.
    pub fpr: f64,
    pub precision: f64,
}

/// The ROC and precision-recall curves: a point for each distinct score from the highest down, at most
/// `most` of them ([`CURVE_POINTS`] is usual; the first and the last are always there). The ROC curve
/// starts before the first, at (0, 0). Empty without both classes.
///
/// # Panics
/// As [`classify`], or if `most` is below 2.
pub fn curve(scored: &Scored, most: usize) -> Vec<CurvePoint> {
    assert!(most >= 2, "a curve has two ends");
    let sorted = Sorted::new(scored);
    let once = vec![1; sorted.users()];
    let all = sorted.all(&once);
    if all.positives == 0 || all.negatives == 0 {
        return Vec::new();
    }
    let mut points = Vec::with_capacity(sorted.groups());
    sorted.walk(&once, |at| {
        points.push(CurvePoint {
            threshold: sorted.score(points.len()),
            tpr: ratio(at.positives, all.positives),
            fpr: ratio(at.negatives, all.negatives),
            precision: ratio(at.positives, at.positives + at.negatives),
        });
    });
    let last = points.len() - 1;
    if last >= most {
        points = (0..most).map(|i| points[i * last / (most - 1)]).collect();
    }
    points
}

/// NaN where the whole is 0, which the callers leave out.
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

impl Sorted {
    /// The measures by [`NAMES`], each user's paths counted as often as `weights` says.
    fn measures(&self, weights: &[u32]) -> [Option<f64>; MEASURES] {
        let all = self.all(weights);
        let mut predicted = Counts::default();
        // Twice the area under the ROC curve in paths squared: whole, so exact.
        let mut area = 0u128;
        let mut precisions = 0.0;
        let mut fpr = None;
        let mut before = Counts::default();
        let mut group = 0;
        self.walk(weights, |at| {
            let positives = at.positives - before.positives;
            let negatives = at.negatives - before.negatives;
            area += u128::from(negatives) * u128::from(at.positives + before.positives);
            if positives > 0 {
                precisions += positives as f64 * ratio(at.positives, at.positives + at.negatives);
                if fpr.is_none() && 20 * at.positives >= TPR_TWENTIETHS * all.positives {
                    fpr = Some(at.negatives);
                }
            }
            group += 1;
            if group == self.predicted_groups() {
                predicted = at;
            }
            before = at;
        });
        let (tp, fp) = (predicted.positives, predicted.negatives);
        let of = |defined: bool, value: f64| defined.then_some(value);
        let both = all.positives > 0 && all.negatives > 0;
        let pairs = 2.0 * all.positives as f64 * all.negatives as f64;
        [
            of(tp + fp > 0, ratio(tp, tp + fp)),
            of(all.positives > 0, ratio(tp, all.positives)),
            // TP + FN is all positives.
            of(fp + all.positives > 0, ratio(2 * tp, tp + fp + all.positives)),
            of(both, area as f64 / pairs),
            of(all.positives > 0, precisions / all.positives as f64),
            fpr.filter(|_| both).map(|negatives| ratio(negatives, all.negatives)),
        ]
    }
}

/// 95 % percentile intervals by [`NAMES`]. Every resample draws from a generator of its own.
fn intervals(sorted: &Sorted, resamples: usize, seed: u64) -> [Option<(f64, f64)>; MEASURES] {
    let users = sorted.users();
    if users < 2 {
        return [None; MEASURES];
    }
    let drawn: Vec<[Option<f64>; MEASURES]> = (0..resamples)
        .into_par_iter()
        .map(|resample| {
            let mut random = generator(seed, Purpose::Bootstrap, [resample as u64, 0, 0]);
            let mut weights = vec![0; users];
            for _ in 0..users {
                weights[random.random_range(0..users as u32) as usize] += 1;
            }
            sorted.measures(&weights)
        })
        .collect();
    std::array::from_fn(|i| {
        let values: Vec<f64> = drawn.iter().filter_map(|measures| measures[i]).collect();
        if 2 * values.len() <= resamples {
            return None;
        }
        Some((percentile(&values, 0.025)?, percentile(&values, 0.975)?))
    })
}

/// The curves at the places where they are stored.
fn stored_curves(sorted: &Sorted, once: &[u32]) -> (Vec<f64>, Vec<f64>) {
    let all = sorted.all(once);
    let (mut roc, mut pr) = (Vec::new(), Vec::new());
    let mut before = Counts::default();
    if all.positives == 0 {
        return (roc, pr);
    }
    sorted.walk(once, |at| {
        let reached = ratio(at.positives, all.positives);
        while RECALLS.get(pr.len()).is_some_and(|recall| *recall <= reached) {
            pr.push(ratio(at.positives, at.positives + at.negatives));
        }
        // A rate that this threshold passes lies on the line from the threshold before; a rate that it
        // only reaches, possibly at its end, where the next may climb further without false positives.
        while let Some(rate) = FALSE_POSITIVE_RATES.get(roc.len()) {
            let wanted = rate * all.negatives as f64;
            if all.negatives == 0 || at.negatives as f64 <= wanted {
                break;
            }
            let share =
                (wanted - before.negatives as f64) / (at.negatives - before.negatives) as f64;
            let climbed = (at.positives - before.positives) as f64;
            roc.push((before.positives as f64 + share * climbed) / all.positives as f64);
        }
        before = at;
    });
    if all.negatives > 0 {
        roc.resize(FALSE_POSITIVE_RATES.len(), 1.0);
    }
    (roc, pr)
}

impl Classification {
    /// Number of paths.
    pub fn paths(&self) -> u64 {
        self.true_positives + self.false_positives + self.true_negatives + self.false_negatives
    }

    /// Share of attacked paths; `None` without paths.
    pub fn prevalence(&self) -> Option<f64> {
        let paths = self.paths();
        (paths > 0).then(|| ratio(self.true_positives + self.false_negatives, paths))
    }

    /// As a stage's metrics, `n` the number of paths: of split `all` the measures with their intervals,
    /// `prevalence` and the four counts; `roc_tpr` of splits `fpr/0` … `fpr/1`; `pr_precision` of splits
    /// `recall/0.05` … `recall/1`. What is undefined is left out.
    pub fn metrics(&self) -> Vec<Metric> {
        let n = self.paths();
        let measures =
            [self.precision, self.recall, self.f1, self.auroc, self.auprc, self.fpr_at_95_tpr];
        let mut metrics: Vec<Metric> = NAMES
            .into_iter()
            .zip(measures)
            .filter_map(|(name, measure)| {
                let Measure { value, interval } = measure?;
                let (lower, upper) = interval.unzip();
                Some(Metric { lower, upper, ..Metric::new(name, "all", value, n) })
            })
            .collect();
        metrics.extend(self.prevalence().map(|value| Metric::new("prevalence", "all", value, n)));
        let counts = [
            ("true_positives", self.true_positives),
            ("false_positives", self.false_positives),
            ("true_negatives", self.true_negatives),
            ("false_negatives", self.false_negatives),
        ];
        metrics.extend(counts.map(|(name, count)| Metric::new(name, "all", count as f64, n)));
        let roc = FALSE_POSITIVE_RATES.iter().zip(&self.roc);
        metrics
            .extend(roc.map(|(rate, tpr)| Metric::new("roc_tpr", format!("fpr/{rate}"), *tpr, n)));
        let pr = RECALLS.iter().zip(&self.pr);
        metrics.extend(pr.map(|(recall, precision)| {
            Metric::new("pr_precision", format!("recall/{recall}"), *precision, n)
        }));
        metrics
    }
}

#[cfg(test)]
mod tests;

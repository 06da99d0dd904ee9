use super::*;
use proptest::prelude::*;

fn measured(scores: &[f32], labels: &[bool]) -> Classification {
    let users: Vec<u32> = (0..scores.len() as u32).collect();
    classify(&Scored { scores, labels, users: &users }, 0, 1)
}

fn value(measure: Option<Measure>) -> Option<f64> {
    measure.map(|m| m.value)
}

/// The measures by loops over pairs and thresholds.
fn slowly(scores: &[f32], labels: &[bool]) -> [Option<f64>; MEASURES] {
    let count = |keep: &dyn Fn(f32) -> bool, label: bool| {
        scores.iter().zip(labels).filter(|(s, l)| keep(**s) && **l == label).count() as f64
    };
    let (positives, negatives) = (count(&|_| true, true), count(&|_| true, false));
    let (tp, fp) = (count(&|s| s >= 0.5, true), count(&|s| s >= 0.5, false));
    let mut wins = 0.0;
    for (a, positive) in scores.iter().zip(labels) {
        for (b, other) in scores.iter().zip(labels) {
            if *positive && !*other {
                wins += if a > b { 1.0 } else { f64::from(u8::from(a == b)) / 2.0 };
            }
        }
    }
    let mut precision_sum = 0.0;
    let mut fpr = f64::INFINITY;
    for (threshold, positive) in scores.iter().zip(labels) {
        let at = |label| count(&|s| s >= *threshold, label);
        if *positive {
            precision_sum += at(true) / (at(true) + at(false));
        }
        if at(true) / positives >= 0.95 - 1e-12 {
            fpr = fpr.min(at(false) / negatives);
        }
    }
    let of = |defined: bool, value: f64| defined.then_some(value);
    let both = positives > 0.0 && negatives > 0.0;
    [
        of(tp + fp > 0.0, tp / (tp + fp)),
        of(positives > 0.0, tp / positives),
        of(tp + fp + positives > 0.0, 2.0 * tp / (tp + fp + positives)),
        of(both, wins / (positives * negatives)),
        of(positives > 0.0, precision_sum / positives),
        of(both, fpr),
    ]
}

fn assert_close(ours: [Option<f64>; MEASURES], slow: [Option<f64>; MEASURES]) {
    for ((name, ours), slow) in NAMES.iter().zip(ours).zip(slow) {
        let close = match (ours, slow) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-12,
            (a, b) => a == b,
        };
        assert!(close, "{name}: {ours:?}, slowly {slow:?}");
    }
}

#[test]
fn the_examples_of_scikit_learn() {
    // roc_auc_score, average_precision_score: y_true = [0, 0, 1, 1], y_score = [0.1, 0.4, 0.35, 0.8].
    let result = measured(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]);
    assert_eq!(value(result.auroc), Some(0.75));
    assert!((value(result.auprc).unwrap() - 0.8333333333333333).abs() < 1e-15);
    // By hand at 0.5: one of two found, none falsely.
    assert_eq!(value(result.precision), Some(1.0));
    assert_eq!(value(result.recall), Some(0.5));
    assert_eq!(value(result.f1), Some(2.0 / 3.0));
    // Both positives are found only from 0.35 on, with one of two negatives above.
    assert_eq!(value(result.fpr_at_95_tpr), Some(0.5));
    assert_eq!(result.prevalence(), Some(0.5));
}

#[test]
fn nineteen_of_twenty_positives_are_enough() {
    // One positive below all negatives; then two.
    for (below, fpr) in [(1, 0.0), (2, 1.0)] {
        let scores: Vec<f32> = (0..20)
            .map(|i| if i < below { 0.0 } else { 1.0 })
            .chain(std::iter::repeat_n(0.25, 10))
            .collect();
        let labels: Vec<bool> = (0..30).map(|i| i < 20).collect();
        assert_eq!(value(measured(&scores, &labels).fpr_at_95_tpr), Some(fpr), "{below}");
    }
}

#[test]
fn perfect_constant_and_inverted_scores() {
    let labels = [true, false, true, false, false];
    let perfect = measured(&[0.9, 0.1, 0.5, 0.4999999, 0.0], &labels);
    let values = |c: &Classification| {
        [c.precision, c.recall, c.f1, c.auroc, c.auprc, c.fpr_at_95_tpr].map(value)
    };
    assert_eq!(values(&perfect), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0].map(Some));
    assert!(perfect.roc.iter().chain(&perfect.pr).all(|v| *v == 1.0));
    let constant = measured(&[0.5; 5], &labels);
    assert_eq!(values(&constant), [0.4, 1.0, 4.0 / 7.0, 0.5, 0.4, 1.0].map(Some));
    for (rate, tpr) in FALSE_POSITIVE_RATES.iter().zip(&constant.roc) {
        assert!((rate - tpr).abs() < 1e-15, "chance is the diagonal");
    }
    assert_eq!(constant.pr, [0.4; 20]);
    let inverted = measured(&[0.0, 0.8, 0.1, 0.7, 0.6], &labels);
    assert_eq!(value(inverted.auroc), Some(0.0));
    assert_eq!(inverted.roc[..25], [0.0; 25]);
    assert_eq!(inverted.roc[25], 1.0);
}

#[test]
fn what_is_undefined_is_left_out() {
    let names = |scores: &[f32], labels: &[bool]| -> Vec<String> {
        let metrics = measured(scores, labels).metrics();
        assert!(metrics.iter().all(|m| m.value.is_finite() && m.n == scores.len() as u64));
        metrics.into_iter().filter(|m| NAMES.contains(&m.name.as_str())).map(|m| m.name).collect()
    };
    // Nothing predicted: no precision, but an F1 of 0 as scikit-learn's.
    let shy = measured(&[0.1, 0.2], &[true, false]);
    assert_eq!((value(shy.precision), value(shy.f1)), (None, Some(0.0)));
    assert_eq!(names(&[0.1, 0.2], &[true, false]), NAMES[1..]);
    // Only negatives, one of them predicted; none predicted; only positives; nothing at all.
    assert_eq!(names(&[0.9, 0.2], &[false, false]), ["precision", "f1"]);
    assert!(names(&[0.1, 0.2], &[false, false]).is_empty());
    assert_eq!(names(&[0.9, 0.2], &[true, true]), ["precision", "recall", "f1", "auprc"]);
    assert!(names(&[], &[]).is_empty());
    assert_eq!(auroc(&[0.5], &[true]), None);
}

#[test]
fn metrics_carry_intervals_counts_and_curves() {
    let scores: Vec<f32> = (0..40).map(|i| (i * 7 % 40) as f32 / 40.0).collect();
    let labels: Vec<bool> = (0..40).map(|i| (i * 7 % 40) + i % 13 > 22).collect();
    let users: Vec<u32> = (0..40).map(|i| 1000 - i / 2).collect();
    let scored = Scored { scores: &scores, labels: &labels, users: &users };
    let result = classify(&scored, 50, 3);
    let metrics = result.metrics();
    let names = |name: &str| metrics.iter().filter(|m| m.name == name).count();
    assert_eq!((names("roc_tpr"), names("pr_precision")), (26, 20));
    assert_eq!(metrics.len(), 6 + 1 + 4 + 26 + 20);
    for metric in &metrics {
        let interval = metric.lower.is_some() && metric.upper.is_some();
        assert_eq!(interval, NAMES.contains(&metric.name.as_str()), "{}", metric.name);
        assert_eq!(metric.n, 40);
    }
    let counts: f64 = metrics.iter().filter(|m| m.name.contains("tives")).map(|m| m.value).sum();
    assert_eq!(counts, 40.0);
    let splits: Vec<&str> = metrics.iter().map(|m| m.split.as_str()).collect();
    for split in ["fpr/0", "fpr/0.001", "fpr/0.35", "fpr/1", "recall/0.05", "recall/1"] {
        assert!(splits.contains(&split), "{split}");
    }
    let one = Scored { users: &[7; 40], ..scored };
    assert_eq!(classify(&one, 50, 3).auroc.unwrap().interval, None);
}

#[test]
fn curves_pass_through_their_thresholds_and_are_thinned_between_their_ends() {
    let scores: Vec<f32> = (0..500).map(|i| ((i * 37) % 251) as f32 / 251.0).collect();
    let labels: Vec<bool> = (0..500).map(|i| (i * i) % 7 < 3).collect();
    let users = vec![0; 500];
    let scored = Scored { scores: &scores, labels: &labels, users: &users };
    let full = curve(&scored, CURVE_POINTS);
    assert_eq!(full.len(), 251);
    // The trapezoids below the curve are the AUROC.
    let mut area = full[0].fpr * full[0].tpr / 2.0;
    area +=
        full.windows(2).map(|w| (w[1].fpr - w[0].fpr) * (w[1].tpr + w[0].tpr) / 2.0).sum::<f64>();
    assert!((area - auroc(&scores, &labels).unwrap()).abs() < 1e-12);
    let thin = curve(&scored, 20);
    assert_eq!((thin.len(), thin[0], thin[19]), (20, full[0], full[250]));
    assert!(thin.iter().all(|point| full.contains(point)));
    // The stored points lie on the full curve.
    let stored = classify(&scored, 0, 1);
    for (rate, tpr) in FALSE_POSITIVE_RATES.iter().zip(&stored.roc) {
        let below = full.iter().rfind(|p| p.fpr <= *rate).map_or((0.0, 0.0), |p| (p.fpr, p.tpr));
        let above = full.iter().find(|p| p.fpr > *rate).map_or((2.0, 1.0), |p| (p.fpr, p.tpr));
        let line = below.1 + (above.1 - below.1) * (rate - below.0) / (above.0 - below.0);
        let line = if above.0 > 1.0 { 1.0 } else { line };
        assert!((line - tpr).abs() < 1e-12, "{rate}: {tpr}, not {line}");
    }
    for (recall, precision) in RECALLS.iter().zip(&stored.pr) {
        assert_eq!(full.iter().find(|p| p.tpr >= *recall).unwrap().precision, *precision);
    }
}

#[test]
fn weights_count_as_repeated_paths() {
    let scores = [0.9, 0.8, 0.8, 0.7, 0.5, 0.4, 0.4, 0.1];
    let labels = [true, false, true, true, false, true, false, false];
    let users = [9, 4, 4, 9, 2, 7, 2, 7];
    let sorted = Sorted::new(&Scored { scores: &scores, labels: &labels, users: &users });
    // Users 2, 4, 7, 9.
    let weights = [3u32, 0, 1, 2];
    let (mut all_scores, mut all_labels) = (Vec::new(), Vec::new());
    for ((score, label), user) in scores.iter().zip(labels).zip(users) {
        let place = [2, 4, 7, 9].iter().position(|u| *u == user).unwrap();
        all_scores.extend(std::iter::repeat_n(*score, weights[place] as usize));
        all_labels.extend(std::iter::repeat_n(label, weights[place] as usize));
    }
    assert_close(sorted.measures(&weights), slowly(&all_scores, &all_labels));
}

/// Two standard normals one apart, scores of a user moved together; the AUROC of the population is
/// Φ(1 / √(2 + 2·shared²)).
fn drawn(seed: u64, users: u32, shared: f64) -> (Vec<f32>, Vec<bool>, Vec<u32>) {
    use rand_distr::{Distribution, StandardNormal};
    let mut random = generator(seed, Purpose::Synthesis, [8, 0, 0]);
    let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
    let (mut scores, mut labels, mut of) = (Vec::new(), Vec::new(), Vec::new());
    for user in 0..users {
        let moved = shared * normal();
        let attacked = user % 2 == 0;
        for _ in 0..5 {
            scores.push((f64::from(u8::from(attacked)) + moved + normal()) as f32);
            labels.push(attacked);
            of.push(user);
        }
    }
    (scores, labels, of)
}

#[test]
fn intervals_cover_and_paths_of_a_user_are_not_taken_for_independent() {
    // Φ(0.5): shared² = 1.
    let truth = 0.691462461274013;
    let (mut covered, mut covered_by_paths) = (0, 0);
    for seed in 0..60 {
        let (scores, labels, users) = drawn(seed, 80, 1.0);
        let covers = |users: &[u32]| {
            let scored = Scored { scores: &scores, labels: &labels, users };
            let (lower, upper) = classify(&scored, 100, seed).auroc.unwrap().interval.unwrap();
            usize::from((lower..=upper).contains(&truth))
        };
        covered += covers(&users);
        covered_by_paths += covers(&(0..users.len() as u32).collect::<Vec<_>>());
    }
    assert!(covered >= 51, "{covered} of 60 intervals cover");
    assert!(covered_by_paths < 48, "{covered_by_paths} of 60 would cover over paths");
}

#[test]
fn neither_threads_nor_the_order_of_paths_change_a_result() {
    let (scores, labels, users) = drawn(3, 60, 0.5);
    let scored = Scored { scores: &scores, labels: &labels, users: &users };
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let one = pool(1).install(|| classify(&scored, RESAMPLES, 5));
    assert_eq!(one, pool(3).install(|| classify(&scored, RESAMPLES, 5)));
    let back: (Vec<f32>, Vec<bool>, Vec<u32>) = (
        scores.iter().rev().copied().collect(),
        labels.iter().rev().copied().collect(),
        users.iter().rev().copied().collect(),
    );
    let back = Scored { scores: &back.0, labels: &back.1, users: &back.2 };
    assert_eq!(one, classify(&back, RESAMPLES, 5));
    let other = classify(&scored, RESAMPLES, 6);
    assert_eq!(value(one.auroc), value(other.auroc));
    assert_ne!(one.auroc, other.auroc);
}

fn paths() -> impl Strategy<Value = Vec<(u8, bool)>> {
    proptest::collection::vec((0u8..30, any::<bool>()), 1..60)
}

proptest! {
    #[test]
    fn measures_are_those_of_slow_loops(paths in paths()) {
        let scores: Vec<f32> = paths.iter().map(|(s, _)| f32::from(*s) / 29.0).collect();
        let labels: Vec<bool> = paths.iter().map(|(_, l)| *l).collect();
        let c = measured(&scores, &labels);
        let ours = [c.precision, c.recall, c.f1, c.auroc, c.auprc, c.fpr_at_95_tpr].map(value);
        assert_close(ours, slowly(&scores, &labels));
    }

    #[test]
    fn auroc_depends_on_the_order_of_scores_alone(paths in paths()) {
        let scores: Vec<f32> = paths.iter().map(|(s, _)| f32::from(*s)).collect();
        let labels: Vec<bool> = paths.iter().map(|(_, l)| *l).collect();
        let mapped: Vec<f32> = scores.iter().map(|s| s * s * s - 7.0).collect();
        prop_assert_eq!(auroc(&scores, &labels), auroc(&mapped, &labels));
        let flipped: Vec<bool> = labels.iter().map(|l| !l).collect();
        if let (Some(one), Some(other)) = (auroc(&scores, &labels), auroc(&scores, &flipped)) {
            prop_assert!((one + other - 1.0).abs() < 1e-12);
        }
    }
}

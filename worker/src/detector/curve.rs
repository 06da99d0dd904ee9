//! How well probabilities separate a validation part: what a training curve shows.

/// Area under the ROC curve by ranks, ties counted half (Mann and Whitney 1947); `None` unless both
/// labels occur.
pub fn auroc(scores: &[f32], labels: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    // Twice the sum of the positives' ranks: an integer, and so exact.
    let mut ranks = 0u128;
    let mut start = 0;
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let end = start + group.len();
        let positive = group.iter().filter(|&&i| labels[i]).count();
        ranks += positive as u128 * (start + 1 + end) as u128;
        start = end;
    }
    let positive = labels.iter().filter(|&&label| label).count() as u128;
    let negative = labels.len() as u128 - positive;
    if positive == 0 || negative == 0 {
        return None;
    }
    let wins = ranks - positive * (positive + 1);
    Some(wins as f64 / (2 * positive * negative) as f64)
}

/// F1 of calling positive what has a probability of at least 0.5; 0 where nothing is truly called so.
pub fn f1(probabilities: &[f32], labels: &[bool]) -> f64 {
    let (mut hits, mut called, mut positive) = (0u64, 0u64, 0u64);
    for (&p, &label) in probabilities.iter().zip(labels) {
        hits += u64::from(p >= 0.5 && label);
        called += u64::from(p >= 0.5);
        positive += u64::from(label);
    }
    if hits == 0 { 0.0 } else { 2.0 * hits as f64 / (called + positive) as f64 }
}

/// Binary cross-entropy of log-odds, log(1 + e^x) − y·x, without overflow.
pub fn cross_entropy(logit: f64, label: bool) -> f64 {
    logit.max(0.0) + (-logit.abs()).exp().ln_1p() - if label { logit } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use advrec::random::{Purpose, generator};
    use rand::Rng;

    #[test]
    fn area_is_the_share_of_pairs_in_order() {
        let mut rng = generator(3, Purpose::Detection, [u64::MAX, 0, 0]);
        for n in [2, 5, 60] {
            // Few values, so that ties are frequent.
            let scores: Vec<f32> = (0..n).map(|_| rng.random_range(0..7) as f32).collect();
            let labels: Vec<bool> = (0..n).map(|i| i == 0 || rng.random_bool(0.4)).collect();
            let (mut wins, mut pairs) = (0.0, 0.0);
            for (a, _) in labels.iter().enumerate().filter(|(_, l)| **l) {
                for (b, _) in labels.iter().enumerate().filter(|(_, l)| !**l) {
                    pairs += 1.0;
                    wins += match scores[a].total_cmp(&scores[b]) {
                        std::cmp::Ordering::Greater => 1.0,
                        std::cmp::Ordering::Equal => 0.5,
                        std::cmp::Ordering::Less => 0.0,
                    };
                }
            }
            let slow = (pairs > 0.0).then(|| wins / pairs);
            assert_eq!(auroc(&scores, &labels), slow);
        }
        assert_eq!(auroc(&[0.1, 0.2], &[true, true]), None);
    }

    #[test]
    fn figures_of_a_worked_example() {
        let p = [0.9, 0.8, 0.5, 0.4, 0.2];
        let labels = [true, false, true, true, false];
        // 2 hits of 3 called, of 3 positive.
        assert!((f1(&p, &labels) - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(f1(&[0.1, 0.2], &[true, false]), 0.0);
        for (logit, p) in [(0.0, 0.5), (3f64.ln(), 0.75)] {
            assert!((cross_entropy(logit, true) + f64::ln(p)).abs() < 1e-12);
            assert!((cross_entropy(logit, false) + f64::ln(1.0 - p)).abs() < 1e-12);
        }
        assert_eq!(cross_entropy(1000.0, false), 1000.0);
        assert_eq!(cross_entropy(-1000.0, false), 0.0);
    }
}

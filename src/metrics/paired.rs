//! Tests of paired differences: whether two cells differ over the same seeds, or over the same users.

use super::statistics::{mean, standard_deviation};
use crate::random::{Purpose, generator};
use rand::Rng;

/// Pairs up to which the permutation test counts all signs.
const EXACT_SIGNS: usize = 12;
/// Random signs beyond that.
const DRAWS: u64 = 9999;
/// Pairs up to which the signed-rank test is exact.
const EXACT_RANKS: usize = 50;
/// Sums that differ by less, relatively, are equal: rounding must not decide what is as extreme.
const ROUNDING: f64 = 1e-12;

/// Cohen's d of paired samples, d_z: mean over standard deviation of the differences (Cohen 1988, section
/// 2.3.5). `None` for fewer than two pairs, or where all differences are equal.
pub fn effect_size(differences: &[f64]) -> Option<f64> {
    let deviation = standard_deviation(differences).filter(|&s| s > 0.0)?;
    Some(mean(differences)? / deviation)
}

/// Two-sided p-value of the mean difference under random signs (Fisher's permutation test of paired
/// samples): the share of all assignments of signs whose mean is at least as far from 0, exact for up to
/// 12 pairs; beyond, (1 + as extreme) / (1 + draws) of 9,999 random ones, which `seed` fixes. `None`
/// without pairs.
pub fn permutation_test(differences: &[f64], seed: u64) -> Option<f64> {
    let n = differences.len();
    if n == 0 {
        return None;
    }
    let scale: f64 = differences.iter().map(|d| d.abs()).sum();
    let observed = differences.iter().sum::<f64>().abs() - ROUNDING * scale;
    let sum = |mut negative: u64, part: &[f64]| {
        let mut sum = 0.0;
        for d in part {
            sum += if negative & 1 == 1 { -d } else { *d };
            negative >>= 1;
        }
        sum
    };
    if n <= EXACT_SIGNS {
        let all = 1u64 << n;
        let extreme = (0..all).filter(|&signs| sum(signs, differences).abs() >= observed).count();
        return Some(extreme as f64 / all as f64);
    }
    let extreme = (0..DRAWS).filter(|&draw| {
        let mut random = generator(seed, Purpose::Bootstrap, [draw, 2, 0]);
        let parts = differences.chunks(64).map(|part| sum(random.random(), part));
        parts.sum::<f64>().abs() >= observed
    });
    Some((1 + extreme.count()) as f64 / (1 + DRAWS) as f64)
}

/// Two-sided p-value of Student's t test of the mean difference, which is below 0.05 just where the 95 %
/// interval leaves out 0. By the series for whole degrees of freedom (Abramowitz and Stegun 26.7.3 and
/// 26.7.4). `None` for fewer than two pairs.
pub fn t_test(differences: &[f64]) -> Option<f64> {
    let (mean, deviation) = (mean(differences)?, standard_deviation(differences)?);
    if deviation == 0.0 {
        return Some(if mean == 0.0 { 1.0 } else { 0.0 });
    }
    let n = differences.len();
    let df = n - 1;
    let angle = (mean.abs() / deviation * (n as f64).sqrt() / (df as f64).sqrt()).atan();
    let (sine, cosine) = angle.sin_cos();
    // Of an odd number the first term is cos θ and the next has 2/3, of an even one 1 and 1/2.
    let odd = df % 2 == 1;
    let (mut term, mut sum) = if odd { (cosine, 0.0) } else { (1.0, 0.0) };
    for k in (if odd { 1 } else { 0 }..df.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (k + 1) as f64 / (k + 2) as f64;
    }
    let within = match odd {
        true => std::f64::consts::FRAC_2_PI * (angle + sine * sum),
        false => sine * sum,
    };
    Some((1.0 - within).clamp(0.0, 1.0))
}

/// Two-sided p-value of Wilcoxon's signed-rank test (Wilcoxon 1945). Differences of 0 are left out, equal
/// ones share their mean rank. Exact for up to 50 pairs, given the ranks; beyond, by the normal
/// approximation with the correction for ties and none for continuity, as SciPy's `wilcoxon`. `None`
/// without a difference.
pub fn signed_rank_test(differences: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let n = sorted.len();
    if n == 0 {
        return None;
    }
    // Ranks are doubled, so that those of ties are whole.
    let mut ranks: Vec<usize> = Vec::with_capacity(n);
    let (mut positive, mut ties) = (0, 0.0);
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let rank = 2 * ranks.len() + tied.len() + 1;
        let count = tied.len() as f64;
        ties += count * count * count - count;
        positive += rank * tied.iter().filter(|d| **d > 0.0).count();
        ranks.extend(std::iter::repeat_n(rank, tied.len()));
    }
    let all = n * (n + 1);
    let smaller = positive.min(all - positive);
    if n <= EXACT_RANKS {
        // By sum of positive ranks: how many of the 2ⁿ assignments of signs have it.
        let mut counts = vec![0.0f64; all + 1];
        counts[0] = 1.0;
        for rank in ranks {
            for sum in (rank..=all).rev() {
                counts[sum] += counts[sum - rank];
            }
        }
        let below: f64 = counts[..=smaller].iter().sum();
        return Some((2.0 * below / 2f64.powi(n as i32)).min(1.0));
    }
    let size = n as f64;
    let variance = size * (size + 1.0) * (2.0 * size + 1.0) / 24.0 - ties / 48.0;
    let z = (smaller as f64 / 2.0 - size * (size + 1.0) / 4.0) / variance.sqrt();
    Some(libm::erfc(z.abs() / std::f64::consts::SQRT_2))
}

/// Holm's correction of p-values for their number (Holm 1979): each is multiplied by how many are not
/// smaller, is at least what a smaller one became, and at most 1.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![1.0; p_values.len()];
    let mut least = 0.0f64;
    for (place, at) in order.into_iter().enumerate() {
        least = least.max((p_values[at] * (p_values.len() - place) as f64).min(1.0));
        corrected[at] = least;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Differences in height of Darwin's cross- and self-fertilised corn plants, the example in SciPy's
    /// documentation of `wilcoxon`.
    const CORN: [f64; 15] =
        [6.0, 8.0, 14.0, 16.0, 23.0, 24.0, 28.0, 29.0, 41.0, -48.0, 49.0, 56.0, 60.0, -67.0, 75.0];

    #[test]
    fn signed_ranks_give_scipys_documented_value() {
        assert_eq!(signed_rank_test(&CORN), Some(0.041_259_765_625));
        assert_eq!(signed_rank_test(&[1.0, 2.0, 3.0]), Some(0.25));
        assert_eq!(signed_rank_test(&[0.0, 0.0]), None);
    }

    #[test]
    fn ties_share_their_rank() {
        // Doubled ranks 3, 3, 6, 8, the first negative: of 16 sums 0, 3, 3 are at most 3.
        assert_eq!(signed_rank_test(&[-1.0, 1.0, 2.0, 3.0]), Some(2.0 * 3.0 / 16.0));
        // Differences of 0 are no pairs.
        assert_eq!(signed_rank_test(&[-1.0, 0.0, 1.0, 2.0, 3.0]), Some(2.0 * 3.0 / 16.0));
    }

    #[test]
    fn many_pairs_have_the_normal_approximation() {
        // 1, −2, 3, −4, …, 100: sums of ranks 2500 and 2550, z = −25 / √(100·101·201/24) = −0.085957.
        let alternating: Vec<f64> =
            (1..=100).map(|i| if i % 2 == 0 { f64::from(i) } else { -f64::from(i) }).collect();
        let p = signed_rank_test(&alternating).unwrap();
        assert!((p - 0.931_500).abs() < 1e-5, "{p}");
    }

    #[test]
    fn the_t_test_gives_tables_values() {
        // Student's own example, Fisher's Statistical Methods, section 24: t = 4.0621 with 9 degrees of
        // freedom, p = 0.00283 (R: t.test(extra ~ group, paired)).
        let sleep = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        assert!((t_test(&sleep).unwrap() - 0.002833).abs() < 1e-6);
        // At the 97.5 % quantile the p-value is 0.05, for odd and even degrees of freedom.
        for n in 2..40usize {
            let mut values = vec![0.0; n];
            let (spread, target) = (1.0, crate::metrics::statistics::t_quantile_975(n - 1));
            values[0] = spread;
            values[1] = -spread;
            let deviation = standard_deviation(&values).unwrap();
            let mean = target * deviation / (n as f64).sqrt();
            values.iter_mut().for_each(|value| *value += mean);
            assert!((t_test(&values).unwrap() - 0.05).abs() < 1e-6, "{n}: {:?}", t_test(&values));
        }
        assert_eq!((t_test(&[1.0]), t_test(&[])), (None, None));
        assert_eq!((t_test(&[1.0, 1.0]), t_test(&[0.0, 0.0])), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn permutations_of_darwins_corn_give_fishers_value() {
        // Fisher, The Design of Experiments, section 21: 863 of 2¹⁵ sums are at least 314, on one side;
        // with both sides 1726 / 32768 = 0.05267.
        let p = permutation_test(&CORN, 1).unwrap();
        assert!((p - 0.052_67).abs() < 0.007, "{p}");
        assert_eq!(permutation_test(&CORN, 1), Some(p));
    }

    #[test]
    fn few_pairs_are_counted() {
        // ±1 ±2 ±3: only all plus and all minus are as extreme.
        assert_eq!(permutation_test(&[1.0, 2.0, 3.0], 0), Some(0.25));
        // Sums of ±1 ±1 ±1 with the observed 1: all of them.
        assert_eq!(permutation_test(&[1.0, 1.0, -1.0], 0), Some(1.0));
        // 0.1 + 0.2 is not 0.3: rounding must not make the observed sum the only extreme one.
        assert_eq!(permutation_test(&[0.1, 0.2, -0.3], 0), Some(1.0));
        assert_eq!(permutation_test(&[], 0), None);
    }

    #[test]
    fn effects_are_in_standard_deviations_of_the_differences() {
        assert_eq!(effect_size(&[1.0, 2.0, 3.0]), Some(2.0));
        assert_eq!(effect_size(&[1.0, 1.0]), None);
        assert_eq!(effect_size(&[1.0]), None);
    }

    #[test]
    fn holms_correction_by_hand() {
        // R's documentation of p.adjust: p.adjust(c(0.01, 0.04, 0.03), "holm").
        let corrected = holm(&[0.01, 0.04, 0.03]);
        let expected = [0.03, 0.06, 0.06];
        assert!(
            corrected.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12),
            "{corrected:?}"
        );
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
    }
}

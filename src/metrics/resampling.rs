//! Intervals that draw the values again, and a mean that extreme values do not move.

use super::statistics::{mean, percentile};
use crate::random::{Purpose, generator};
use rand::Rng;

/// Draws of a bootstrap.
const DRAWS: usize = 2000;

/// The ends of the 95 % percentile bootstrap interval of a statistic (Efron and Tibshirani 1993, section
/// 13.3): its 2.5 and 97.5 % quantiles over 2,000 samples of as many values, drawn with replacement. The
/// same seed draws the same. `None` for fewer than two values. Of a few values the interval is too short:
/// of three, the mean is outside it more than one time in five.
pub fn bootstrap_interval(
    values: &[f64],
    statistic: fn(&[f64]) -> Option<f64>,
    seed: u64,
) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let mut sample = vec![0.0; values.len()];
    let mut random = generator(seed, Purpose::Bootstrap, [0, 1, 0]);
    let statistics: Option<Vec<f64>> = (0..DRAWS)
        .map(|_| {
            sample.fill_with(|| values[random.random_range(0..values.len())]);
            statistic(&sample)
        })
        .collect();
    let statistics = statistics?;
    percentile(&statistics, 0.025).zip(percentile(&statistics, 0.975))
}

/// The mean of the middle half: a quarter of the values, rounded down, is left out at either end (Agarwal
/// et al., Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS 2021, whose
/// rliable takes SciPy's `trim_mean` of 0.25). `None` without values.
pub fn interquartile_mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interquartile_mean_is_scipys_trimmed_mean() {
        // scipy.stats.trim_mean([1, 2, 3, 5, 100], 0.25) and of 0..8.
        assert_eq!(interquartile_mean(&[100.0, 1.0, 3.0, 2.0, 5.0]), Some(10.0 / 3.0));
        assert_eq!(interquartile_mean(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), Some(3.5));
        assert_eq!(interquartile_mean(&[]), None);
    }

    #[test]
    fn the_bootstrap_interval_is_near_the_normal_one_and_repeats() {
        // Of 0, 1, …, 99: mean 49.5, standard error of the bootstrap √(833.25 / 100) = 2.8866.
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let (lower, upper) = bootstrap_interval(&values, mean, 7).unwrap();
        assert!((lower - (49.5 - 1.96 * 2.8866)).abs() < 0.5, "{lower}");
        assert!((upper - (49.5 + 1.96 * 2.8866)).abs() < 0.5, "{upper}");
        assert_eq!(bootstrap_interval(&values, mean, 7), Some((lower, upper)));
        assert_ne!(bootstrap_interval(&values, mean, 8), Some((lower, upper)));
        assert_eq!(bootstrap_interval(&[1.0], mean, 7), None);
        assert_eq!(bootstrap_interval(&[2.0, 2.0], mean, 7), Some((2.0, 2.0)));
    }
}

//! The kernel's bandwidth by the median heuristic (Gretton et al. 2012, section 8).

use super::Draw;
use super::sequences::{Sequences, Vectors};
use crate::random::{Purpose, generator};
use rand::Rng;

/// The median distance of pairs of distinct elements of the pooled sample, and the number of pairs
/// it was taken from: all pairs where there are at most `pairs`, otherwise `pairs` random ones, with
/// replacement. Elements are distinct by their place in the sample, not by their value.
///
/// Where more than half of the distances are zero, which would leave no kernel, the median of the
/// others; 0 where all are zero.
pub(super) fn median_distance(
    sets: [&Sequences; 2],
    vectors: &Vectors,
    pairs: usize,
    seed: u64,
) -> (f64, usize) {
    let n = sets[0].len();
    let count = n + sets[1].len();
    let element = |i: usize| if i < n { sets[0].row(i) } else { sets[1].row(i - n) };
    let distance = |i, j| vectors.squared_distance(element(i), element(j)).sqrt();
    let mut distances: Vec<f64> = if count * (count - 1) / 2 <= pairs {
        (0..count).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| distance(i, j)).collect()
    } else {
        let mut rng = generator(seed, Purpose::Drift, [Draw::Pairs as u64, 0, 0]);
        (0..pairs)
            .map(|_| {
                let i = rng.random_range(0..count as u64) as usize;
                let j = rng.random_range(0..count as u64 - 1) as usize;
                distance(i, if j < i { j } else { j + 1 })
            })
            .collect()
    };
    let used = distances.len();
    let mut middle = median(&mut distances);
    if middle == 0.0 {
        distances.retain(|&d| d > 0.0);
        middle = median(&mut distances);
    }
    (middle, used)
}

/// The mean of the two middle values for an even number; 0 without values.
fn median(values: &mut [f64]) -> f64 {
    let half = values.len() / 2;
    let Some(&first) = values.first() else { return 0.0 };
    let even = values.len().is_multiple_of(2);
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if !even {
        return upper;
    }
    let lower = below.iter().copied().max_by(f64::total_cmp).unwrap_or(first);
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [3.0]), 3.0);
        assert_eq!(median(&mut [4.0, 1.0]), 2.5);
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 5.0]), 3.5);
        assert_eq!(median(&mut [9.0, 1.0, 2.0, 5.0, 6.0]), 5.0);
    }

    #[test]
    fn all_pairs_or_random_ones() {
        let table: Vec<f32> = (0..41).map(|i| i as f32).collect();
        let vectors = Vectors { dim: 1, tables: vec![&table] };
        let x = Sequences { positions: 1, ids: vec![0, 1] };
        let y = Sequences { positions: 1, ids: vec![3, 7] };
        // 1, 3, 7, 2, 6, 4
        assert_eq!(median_distance([&x, &y], &vectors, 6, 0), (3.5, 6));
        // Of all pairs among 0..=40 the median distance is 12.
        let x = Sequences { positions: 1, ids: (0..20).collect() };
        let y = Sequences { positions: 1, ids: (20..41).collect() };
        assert_eq!(median_distance([&x, &y], &vectors, 820, 0), (12.0, 820));
        let (sampled, used) = median_distance([&x, &y], &vectors, 800, 0);
        assert!((sampled - 12.0).abs() <= 1.0, "{sampled}");
        assert_eq!(used, 800);
        assert_eq!(median_distance([&x, &y], &vectors, 800, 0).0, sampled);
    }

    #[test]
    fn mostly_equal_sequences_still_have_a_bandwidth() {
        let table = [0.0f32, 5.0];
        let vectors = Vectors { dim: 1, tables: vec![&table] };
        let same = Sequences { positions: 1, ids: vec![0; 6] };
        let other = Sequences { positions: 1, ids: vec![0, 1] };
        assert_eq!(median_distance([&same, &other], &vectors, 100, 0), (5.0, 28));
        assert_eq!(median_distance([&same, &same], &vectors, 100, 0), (0.0, 66));
    }
}

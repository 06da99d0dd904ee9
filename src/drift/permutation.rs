//! The permutation test of the unbiased statistic (Gretton et al. 2012, section 5).

use super::Draw;
use super::mmd::unbiased;
use super::sequences::{Sequences, Vectors};
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// The pooled sample's kernel: `[count, count]` in double precision, the one square matrix of the
/// computation; its size is the square of the test's subsample, not of the sets.
struct Pooled {
    count: usize,
    kernel: Vec<f64>,
    /// By element: the sum of its row.
    sums: Vec<f64>,
}

impl Pooled {
    fn new(sets: [&Sequences; 2], vectors: &Vectors, bandwidth: f64) -> Pooled {
        let n = sets[0].len();
        let count = n + sets[1].len();
        let element = |i: usize| if i < n { sets[0].row(i) } else { sets[1].row(i - n) };
        let mut kernel = vec![0.0; count * count];
        kernel.par_chunks_exact_mut(count).enumerate().for_each(|(i, row)| {
            for (j, k) in row.iter_mut().enumerate().take(i + 1) {
                let squared = vectors.squared_distance(element(i), element(j));
                *k = (-squared / (2.0 * bandwidth * bandwidth)).exp();
            }
        });
        for i in 0..count {
            for j in 0..i {
                kernel[j * count + i] = kernel[i * count + j];
            }
        }
        let sums = kernel.chunks_exact(count).map(|row| row.iter().sum()).collect();
        Pooled { count, kernel, sums }
    }

    /// The unbiased statistic where `first` is one side and all others are the second.
    fn statistic(&self, first: &[u32]) -> f64 {
        let n = first.len();
        let (mut xx, mut rows) = (0.0, 0.0);
        for &i in first {
            let row = &self.kernel[i as usize * self.count..][..self.count];
            xx += first.iter().map(|&j| row[j as usize]).sum::<f64>();
            rows += self.sums[i as usize];
        }
        let total: f64 = self.sums.iter().sum();
        let xy = rows - xx;
        let yy = total - rows - xy;
        unbiased(xx, xy, yy, n, self.count - n)
    }
}

/// The statistic of two sets and its p-value (1 + #{permuted ≥ observed}) / (1 + permutations): the
/// share of random labellings of the pooled sample, the given one among them, under which the
/// statistic is at least as large. 1 without permutations.
///
/// The labels of single sequences are permuted: sequences are taken as independent, which paths of
/// one user are not.
pub(super) fn test(
    sets: [&Sequences; 2],
    vectors: &Vectors,
    bandwidth: f64,
    permutations: usize,
    seed: u64,
) -> (f64, f64) {
    let pooled = Pooled::new(sets, vectors, bandwidth);
    let n = sets[0].len();
    let elements: Vec<u32> = (0..pooled.count as u32).collect();
    let observed = pooled.statistic(&elements[..n]);
    // Labellings that exchange equal sequences tie with the observed one but for rounding.
    let bar = observed - 1e-12;
    let reached = (0..permutations as u64)
        .into_par_iter()
        .filter(|&p| {
            let mut elements = elements.clone();
            let mut rng = generator(seed, Purpose::Drift, [Draw::Relabelling as u64, p, 0]);
            let (first, _) = elements.partial_shuffle(&mut rng, n);
            first.sort_unstable();
            pooled.statistic(first) >= bar
        })
        .count();
    (observed, (1 + reached) as f64 / (1 + permutations) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_p_value_counts_the_labellings() {
        // Two pairs of equal sequences, 1 apart, with bandwidth 1/√2: of the six labellings the
        // observed one and its mirror image reach the observed statistic 2 − 2/e.
        let table = [0.0f32, 1.0];
        let vectors = Vectors { dim: 1, tables: vec![&table] };
        let x = Sequences { positions: 1, ids: vec![0, 0] };
        let y = Sequences { positions: 1, ids: vec![1, 1] };
        let bandwidth = std::f64::consts::FRAC_1_SQRT_2;
        let (observed, p) = test([&x, &y], &vectors, bandwidth, 2999, 3);
        assert!((observed - (2.0 - 2.0 / 1f64.exp())).abs() < 1e-12);
        assert!((p - 1.0 / 3.0).abs() < 0.04, "{p}");
        assert_eq!(test([&x, &y], &vectors, bandwidth, 0, 3).1, 1.0);
    }
}

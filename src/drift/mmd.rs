//! Maximum mean discrepancy (MMD) with the kernel k(x, y) = exp(−‖x − y‖² / (2σ²)) (SPEC section 7;
//! Gretton et al. 2012).

use super::Draw;
use super::bandwidth::median_distance;
use super::pairs::kernel_sums;
use super::permutation;
use super::sequences::{Sequences, Vectors};
use std::ops::ControlFlow;
use thiserror::Error;

/// How two sets are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftParams {
    /// Most sequences a side, at least 2; of a larger set so many are drawn without replacement.
    pub paths: usize,
    /// Most sequences a side in the permutation test, at least 2; its time and memory grow with the
    /// square.
    pub permutation_paths: usize,
    /// Random relabellings of the permutation test; 0 leaves the p-value at 1.
    pub permutations: usize,
    /// Most pairs from which the bandwidth is taken, at least 1.
    pub bandwidth_pairs: usize,
    pub seed: u64,
}

impl Default for DriftParams {
    fn default() -> DriftParams {
        DriftParams {
            paths: 100_000,
            permutation_paths: 500,
            permutations: 999,
            bandwidth_pairs: 100_000,
            seed: 0,
        }
    }
}

/// How far two sets are apart, and what the numbers were computed from.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// σ of the kernel: the median distance of pairs of the pooled sample, in the embeddings' unit.
    pub bandwidth: f64,
    /// Pairs that the bandwidth was taken from.
    pub bandwidth_pairs: usize,
    /// MMD²ᵤ (Gretton et al. 2012, equation 3), for sets of any two sizes; may be negative.
    pub mmd2_unbiased: f64,
    /// √(MMD²_b) (equation 5); the square as 0 where rounding makes it negative.
    pub mmd_biased: f64,
    /// Of the permutation test with the unbiased statistic.
    pub p_value: f64,
    /// Sequences of x and y that were compared.
    pub n: usize,
    pub m: usize,
    /// Sequences of x and y in the permutation test, and the statistic of these alone.
    pub permutation_n: usize,
    pub permutation_m: usize,
    pub permutation_mmd2: f64,
}

/// Why two sets were not compared.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum DriftError {
    #[error("drift parameter `{name}` is {value}; it must be at least {least}")]
    Parameter { name: &'static str, value: usize, least: usize },
    #[error(
        "a set of sequences has {ids} ids in sequences of {positions} positions, and there are \
         vectors for {tables} positions"
    )]
    Shape { ids: usize, positions: usize, tables: usize },
    #[error("drift needs at least 2 sequences a set; one has {found}")]
    TooFew { found: usize },
    #[error("a sequence has id {id} at position {position}, where there are {count} vectors")]
    Id { position: usize, id: u32, count: usize },
    #[error("the vector of id {id} at position {position} is not finite")]
    NotFinite { position: usize, id: u32 },
    #[error("the comparison of two sets of sequences was stopped")]
    Stopped,
}

/// Compares two sets of sequences. The result is a function of the sets, the vectors and the
/// parameters: the order of the sequences in a set, which set is `x`, and the number of threads do
/// not change a bit of it.
///
/// `progress` hears, from any thread, how many distinct sequences of how many are done; where it
/// breaks, the answer is [`DriftError::Stopped`].
///
/// Time goes into the kernel's factors, one a position and pair of vectors in use there, so it grows
/// with sequences × vectors; pairs of sequences cost little more than a multiplication each. Memory,
/// at 100,000 sequences a side, 4 positions and 10,000 vectors of 100 dimensions at each: some 40 MB
/// and at most 25 MB a thread. No matrix over pairs of sequences is held but that of the permutation
/// test, (2·`permutation_paths`)² doubles.
///
/// Factors and products are in single, sums in double precision. The relative error of the sums stays
/// below 1e-5 where vectors lie within some ten bandwidths of their position's median, as the median
/// heuristic makes most; a vector farther away disturbs only the pairs among such vectors.
///
/// Where all distances are zero, there is no kernel, and no difference either: bandwidth and MMD
/// are 0 and the p-value is 1.
pub fn compare(
    x: &Sequences,
    y: &Sequences,
    vectors: &Vectors,
    params: &DriftParams,
    progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
) -> Result<Drift, DriftError> {
    let Samples { sets: [x, y], swapped } = Samples::draw(x, y, vectors, params)?;
    let seed = params.seed;
    let few = [(0, &x), (1, &y)].map(|(side, set)| {
        set.sample(params.permutation_paths, seed, Draw::PermutationSample, side)
    });
    let (bandwidth, bandwidth_pairs) =
        median_distance([&x, &y], vectors, params.bandwidth_pairs, seed);
    let mut drift = Drift {
        bandwidth,
        bandwidth_pairs,
        mmd2_unbiased: 0.0,
        mmd_biased: 0.0,
        p_value: 1.0,
        n: x.len(),
        m: y.len(),
        permutation_n: few[0].len(),
        permutation_m: few[1].len(),
        permutation_mmd2: 0.0,
    };
    if bandwidth > 0.0 {
        let (xx, xy, yy) = kernel_sums([&x, &y], vectors, bandwidth, progress)?;
        drift.mmd2_unbiased = unbiased(xx, xy, yy, drift.n, drift.m);
        drift.mmd_biased = biased_squared(xx, xy, yy, drift.n, drift.m).max(0.0).sqrt();
        (drift.permutation_mmd2, drift.p_value) =
            permutation::test([&few[0], &few[1]], vectors, bandwidth, params.permutations, seed);
    }
    if swapped {
        std::mem::swap(&mut drift.n, &mut drift.m);
        std::mem::swap(&mut drift.permutation_n, &mut drift.permutation_m);
    }
    Ok(drift)
}

/// The sequences of two sets that are compared.
pub(super) struct Samples {
    /// Each in lexicographic order, the two in an order that does not depend on which was given first.
    pub sets: [Sequences; 2],
    /// Whether the first of them is of the second set that was given.
    pub swapped: bool,
}

impl Samples {
    /// Draws them, at most `params.paths` of each set.
    pub fn draw(
        x: &Sequences,
        y: &Sequences,
        vectors: &Vectors,
        params: &DriftParams,
    ) -> Result<Self, DriftError> {
        for (name, value, least) in [
            ("paths", params.paths, 2),
            ("permutation_paths", params.permutation_paths, 2),
            ("bandwidth_pairs", params.bandwidth_pairs, 1),
        ] {
            if value < least {
                return Err(DriftError::Parameter { name, value, least });
            }
        }
        vectors.check(x)?;
        vectors.check(y)?;
        let (mut x, mut y) = (x.sorted(), y.sorted());
        // For the draws that tell the sides apart.
        let swapped = (y.len(), &y.ids) < (x.len(), &x.ids);
        if swapped {
            std::mem::swap(&mut x, &mut y);
        }
        let sample =
            |set: &Sequences, side| set.sample(params.paths, params.seed, Draw::Sample, side);
        Ok(Self { sets: [sample(&x, 0), sample(&y, 1)], swapped })
    }
}

/// MMD²ᵤ from the sums of the kernel over all pairs of x and x, x and y, y and y, the pairs of a
/// sequence with itself (of kernel 1) among them.
pub(super) fn unbiased(xx: f64, xy: f64, yy: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (n as f64, m as f64);
    (xx - n) / (n * (n - 1.0)) + (yy - m) / (m * (m - 1.0)) - 2.0 * xy / (n * m)
}

/// MMD²_b from the same sums.
fn biased_squared(xx: f64, xy: f64, yy: f64, n: usize, m: usize) -> f64 {
    let (n, m) = (n as f64, m as f64);
    xx / (n * n) + yy / (m * m) - 2.0 * xy / (n * m)
}

#[cfg(test)]
mod tests {
    use super::super::halves;
    use super::*;
    use crate::random::{Purpose, generator};
    use rand::Rng;

    const DIM: usize = 5;

    fn go_on(_: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn table(count: usize, seed: u64, offset: f32) -> Vec<f32> {
        let mut rng = generator(seed, Purpose::Synthesis, [0; 3]);
        (0..count * DIM).map(|_| offset + rng.random_range(-1.0..1.0)).collect()
    }

    /// Of ids `low..high`; few enough ids make prefixes shared and sequences repeated.
    fn random_set(n: usize, positions: usize, low: u32, high: u32, seed: u64) -> Sequences {
        let mut rng = generator(seed, Purpose::Synthesis, [1, 0, 0]);
        Sequences {
            positions,
            ids: (0..n * positions).map(|_| rng.random_range(low..high)).collect(),
        }
    }

    fn shared_table(table: &[f32], positions: usize) -> Vectors<'_> {
        Vectors { dim: DIM, tables: vec![table; positions] }
    }

    fn params(seed: u64) -> DriftParams {
        DriftParams { permutations: 19, seed, ..DriftParams::default() }
    }

    /// Median of all distances, unbiased square, biased root, by their definitions.
    fn reference(x: &Sequences, y: &Sequences, vectors: &Vectors) -> (f64, f64, f64) {
        let vector = |set: &Sequences, i: usize| -> Vec<f64> {
            let ids = set.row(i).iter().zip(&vectors.tables);
            ids.flat_map(|(&id, table)| &table[id as usize * DIM..][..DIM])
                .map(|&v| f64::from(v))
                .collect()
        };
        let a: Vec<_> = (0..x.len()).map(|i| vector(x, i)).collect();
        let b: Vec<_> = (0..y.len()).map(|i| vector(y, i)).collect();
        let squared =
            |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum() };
        let pooled: Vec<_> = a.iter().chain(&b).collect();
        let mut distances = Vec::new();
        for i in 0..pooled.len() {
            distances.extend((0..i).map(|j| squared(pooled[i], pooled[j]).sqrt()));
        }
        distances.sort_by(f64::total_cmp);
        let half = distances.len() / 2;
        let sigma = if distances.len() % 2 == 1 {
            distances[half]
        } else {
            (distances[half - 1] + distances[half]) / 2.0
        };
        let mean = |a: &[Vec<f64>], b: &[Vec<f64>], skip_diagonal: bool| {
            let (mut sum, mut count) = (0.0, 0.0);
            for (i, x) in a.iter().enumerate() {
                for (j, y) in b.iter().enumerate() {
                    if !(skip_diagonal && i == j) {
                        sum += (-squared(x, y) / (2.0 * sigma * sigma)).exp();
                        count += 1.0;
                    }
                }
            }
            sum / count
        };
        let unbiased = mean(&a, &a, true) + mean(&b, &b, true) - 2.0 * mean(&a, &b, false);
        let biased = mean(&a, &a, false) + mean(&b, &b, false) - 2.0 * mean(&a, &b, false);
        (sigma, unbiased, biased.max(0.0).sqrt())
    }

    fn assert_as_defined(x: &Sequences, y: &Sequences, vectors: &Vectors, what: &str) {
        let drift = compare(x, y, vectors, &params(1), &go_on).unwrap();
        let (sigma, unbiased, biased) = reference(x, y, vectors);
        assert!((drift.bandwidth / sigma - 1.0).abs() < 1e-9, "{what}: {drift:?}, σ {sigma}");
        assert!((drift.mmd2_unbiased - unbiased).abs() < 1e-6, "{what}: {drift:?}, {unbiased}");
        // Squared, because the root magnifies rounding where the sets are equal.
        let squares = drift.mmd_biased.powi(2) - biased * biased;
        assert!(squares.abs() < 1e-6, "{what}: {drift:?}, {biased}");
        assert!((drift.permutation_mmd2 - unbiased).abs() < 1e-9, "{what}: {drift:?}");
    }

    #[test]
    fn agrees_with_the_double_loop() {
        let entities = table(40, 1, 0.0);
        for positions in 1..=7 {
            let vectors = shared_table(&entities, positions);
            // Sizes about a lane group, a block and the length of a single-precision sum.
            for (n, m) in [(2, 3), (16, 17), (40, 70), (130, 33)] {
                let x = random_set(n, positions, 0, 30, 7);
                let y = random_set(m, positions, 10, 40, 8);
                assert_as_defined(&x, &y, &vectors, &format!("{positions} positions, {n}, {m}"));
            }
        }
        // More than one block a side.
        let vectors = shared_table(&entities, 2);
        let (x, y) = (random_set(300, 2, 0, 40, 3), random_set(140, 2, 0, 40, 4));
        assert_as_defined(&x, &y, &vectors, "blocks");
    }

    #[test]
    fn repeated_sequences_count_as_often_as_they_occur() {
        let entities = table(40, 2, 0.0);
        let x = random_set(120, 3, 0, 4, 1);
        let y = random_set(90, 3, 1, 5, 2);
        assert_as_defined(&x, &y, &shared_table(&entities, 3), "repeats");
        assert_as_defined(&x, &x, &shared_table(&entities, 3), "the set itself");
    }

    #[test]
    fn tables_of_their_own_and_vectors_far_from_zero() {
        // Without moving the vectors, |a|² + |b|² − 2ab of these would be wrong in the first digit.
        let (users, entities, relations) =
            (table(30, 1, 2000.0), table(60, 2, -500.0), table(3, 3, 0.0));
        let vectors = Vectors {
            dim: DIM,
            tables: vec![&users, &relations, &entities, &relations, &entities],
        };
        let set = |n: usize, top: u32, seed| {
            let mut rng = generator(seed, Purpose::Synthesis, [2, 0, 0]);
            let ids = (0..n).flat_map(|_| [30, 3, top, 3, top].map(|c| rng.random_range(0..c)));
            Sequences { positions: 5, ids: ids.collect() }
        };
        assert_as_defined(&set(60, 30, 1), &set(80, 60, 2), &vectors, "own tables");
    }

    #[test]
    fn a_far_vector_leaves_the_others_exact() {
        let mut entities = table(40, 5, 0.0);
        entities[..DIM].fill(1e6);
        let x = random_set(60, 2, 0, 30, 1);
        let y = random_set(60, 2, 10, 40, 2);
        assert_as_defined(&x, &y, &shared_table(&entities, 2), "a far vector");
    }

    #[test]
    fn neither_the_order_of_sets_and_sequences_nor_threads_change_a_bit() {
        let entities = table(40, 3, 0.0);
        let vectors = shared_table(&entities, 3);
        let x = random_set(600, 3, 0, 30, 1);
        let y = random_set(400, 3, 5, 40, 2);
        // Every draw is made: of both sides, of the pairs, of the permutation test.
        let params = DriftParams {
            paths: 350,
            permutation_paths: 40,
            permutations: 50,
            bandwidth_pairs: 1000,
            seed: 4,
        };
        let drift = compare(&x, &y, &vectors, &params, &go_on).unwrap();
        assert_eq!((drift.n, drift.m, drift.bandwidth_pairs), (350, 350, 1000));
        assert_eq!((drift.permutation_n, drift.permutation_m), (40, 40));
        assert_eq!(compare(&y, &x, &vectors, &params, &go_on).unwrap(), drift);
        let backwards = x.ids.chunks_exact(3).rev().flatten().copied().collect();
        let reversed = Sequences { positions: 3, ids: backwards };
        assert_eq!(compare(&reversed, &y, &vectors, &params, &go_on).unwrap(), drift);
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let again = pool.install(|| compare(&x, &y, &vectors, &params, &go_on)).unwrap();
            assert_eq!(again, drift);
        }
        let other = DriftParams { seed: 5, ..params.clone() };
        assert_ne!(compare(&x, &y, &vectors, &other, &go_on).unwrap(), drift);
        // Sizes go with their sets.
        let all = DriftParams { paths: 500, permutation_paths: 450, ..params };
        let one = compare(&x, &y, &vectors, &all, &go_on).unwrap();
        let two = compare(&y, &x, &vectors, &all, &go_on).unwrap();
        assert_eq!((one.n, one.m, one.permutation_n, one.permutation_m), (500, 400, 450, 400));
        assert_eq!((two.n, two.m, two.permutation_n, two.permutation_m), (400, 500, 400, 450));
        assert_eq!(one.mmd2_unbiased, two.mmd2_unbiased);
    }

    #[test]
    fn halves_of_one_set_are_alike_and_other_sets_are_not() {
        let entities = table(40, 6, 0.0);
        let vectors = shared_table(&entities, 3);
        let ask = |x: &Sequences, y: &Sequences, seed| {
            let params = DriftParams { permutations: 99, seed, ..DriftParams::default() };
            compare(x, y, &vectors, &params, &go_on).unwrap()
        };
        // Under the null hypothesis p is uniform: mean 1/2, standard deviation √(1/12).
        let mut p_values = Vec::new();
        for seed in 0..60 {
            let (a, b) = halves(&random_set(50, 3, 0, 40, seed), seed);
            p_values.push(ask(&a, &b, seed).p_value);
        }
        let mean = p_values.iter().sum::<f64>() / 60.0;
        assert!((mean - 0.5).abs() < 4.0 * (1.0f64 / 12.0 / 60.0).sqrt(), "mean p {mean}");
        let below = p_values.iter().filter(|&&p| p <= 0.1).count();
        assert!((1..=15).contains(&below), "{below} of 60 at most 0.1");

        let apart = ask(&random_set(60, 3, 0, 20, 1), &random_set(50, 3, 20, 40, 2), 1);
        assert_eq!(apart.p_value, 0.01);
        assert!(apart.mmd2_unbiased > 0.01, "{apart:?}");
    }

    #[test]
    fn equal_sequences_have_no_kernel_and_no_drift() {
        let entities = table(3, 1, 0.0);
        let set = |n| Sequences { positions: 2, ids: [1, 2].repeat(n) };
        let drift =
            compare(&set(4), &set(3), &shared_table(&entities, 2), &params(1), &go_on).unwrap();
        assert_eq!((drift.bandwidth, drift.mmd2_unbiased, drift.mmd_biased), (0.0, 0.0, 0.0));
        assert_eq!((drift.p_value, drift.n, drift.m), (1.0, 4, 3));
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let mut entities = table(10, 1, 0.0);
        entities[9 * DIM + 2] = f32::NAN;
        let vectors = shared_table(&entities, 2);
        let good = random_set(5, 2, 0, 9, 1);
        let ask = |x: &Sequences, params: &DriftParams| {
            let first = compare(x, &good, &vectors, params, &go_on).unwrap_err();
            assert_eq!(compare(&good, x, &vectors, params, &go_on).unwrap_err(), first);
            first
        };
        let set = |positions, ids: &[u32]| Sequences { positions, ids: ids.to_vec() };
        let usual = params(1);
        assert_eq!(ask(&set(2, &[1, 2]), &usual), DriftError::TooFew { found: 1 });
        assert_eq!(ask(&set(2, &[]), &usual), DriftError::TooFew { found: 0 });
        for bad in [set(1, &[1, 2]), set(2, &[1, 2, 3, 4, 5]), set(0, &[])] {
            let (ids, positions) = (bad.ids.len(), bad.positions);
            assert_eq!(ask(&bad, &usual), DriftError::Shape { ids, positions, tables: 2 });
        }
        let id = DriftError::Id { position: 1, id: 10, count: 10 };
        assert_eq!(ask(&set(2, &[0, 1, 0, 10]), &usual), id);
        let nan = DriftError::NotFinite { position: 0, id: 9 };
        assert_eq!(ask(&set(2, &[0, 1, 9, 1]), &usual), nan);
        let one = DriftParams { paths: 1, ..usual.clone() };
        assert_eq!(ask(&good, &one), DriftError::Parameter { name: "paths", value: 1, least: 2 });
        let none = DriftParams { bandwidth_pairs: 0, ..usual.clone() };
        assert!(matches!(ask(&good, &none), DriftError::Parameter { least: 1, .. }));

        let stop = |_: usize, _: usize| ControlFlow::Break(());
        let stopped = compare(&good, &good, &vectors, &usual, &stop);
        assert_eq!(stopped, Err(DriftError::Stopped));
    }
}

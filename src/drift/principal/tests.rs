use super::*;
use crate::random::{Purpose, generator};
use rand::Rng;
use std::f64::consts::TAU;

fn params() -> DriftParams {
    DriftParams { seed: 3, ..DriftParams::default() }
}

/// Sequences of one id, each its own vector.
fn points(ids: std::ops::Range<u32>) -> Sequences {
    Sequences { positions: 1, ids: ids.collect() }
}

fn close(a: f64, b: f64, within: f64) -> bool {
    (a - b).abs() <= within
}

#[test]
fn an_ellipse_lies_on_its_axes() {
    // Half axes of 3 and 1, turned by 30 degrees, moved away from 0: variances 9/2 and 1/2.
    let (sine, cosine) = (0.5, 0.75f64.sqrt());
    let table: Vec<f32> = (0..360)
        .flat_map(|i| {
            let (b, a) = (f64::from(i) / 360.0 * TAU).sin_cos();
            let (a, b) = (3.0 * a, b);
            [(cosine * a - sine * b + 100.0) as f32, (sine * a + cosine * b - 7.0) as f32]
        })
        .collect();
    let vectors = Vectors { dim: 2, tables: vec![&table] };
    // Either set is half of it, so that neither alone would have these axes.
    let found = project(&points(0..180), &points(180..360), &vectors, &params()).unwrap();
    assert!(close(found.shares[0], 0.9, 1e-6) && close(found.shares[1], 0.1, 1e-6), "{found:?}");
    assert_eq!((found.rollout.sequences, found.other.points.len()), (180, 180));
    for (set, from) in [(&found.rollout, 0), (&found.other, 180)] {
        for (i, [x, y]) in set.points.iter().enumerate() {
            let (b, a) = (f64::from(from + i as u32) / 360.0 * TAU).sin_cos();
            // The long axis points to (0.87, 0.5), the short one to (−0.5, 0.87): both have a positive entry
            // farthest from 0.
            assert!(close(*x, 3.0 * a, 1e-3) && close(*y, b, 1e-3), "{i}: {x}, {y}");
        }
    }
}

/// Mean, covariance and its eigenvectors by their definitions, in a double loop over numbers.
fn reference(sets: [&Sequences; 2], vectors: &Vectors) -> (Vec<f64>, Vec<Vec<f64>>) {
    let rows: Vec<Vec<f64>> = sets
        .into_iter()
        .flat_map(|set| (0..set.len()).map(move |i| set.row(i)))
        .map(|row| {
            let parts = row.iter().enumerate().map(|(at, &id)| vectors.vector(at, id));
            parts.flatten().map(|v| f64::from(*v)).collect()
        })
        .collect();
    let (n, size) = (rows.len() as f64, rows[0].len());
    let mean: Vec<f64> =
        (0..size).map(|i| rows.iter().map(|row| row[i]).sum::<f64>() / n).collect();
    let covariance = |i: usize, j: usize| {
        rows.iter().map(|row| (row[i] - mean[i]) * (row[j] - mean[j])).sum::<f64>() / n
    };
    let matrix = (0..size).map(|i| (0..size).map(|j| covariance(i, j)).collect()).collect();
    (mean, matrix)
}

fn random_set(n: usize, positions: usize, top: u32, seed: u64) -> Sequences {
    let mut rng = generator(seed, Purpose::Synthesis, [1, 0, 0]);
    Sequences { positions, ids: (0..n * positions).map(|_| rng.random_range(0..top)).collect() }
}

fn random_table(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = generator(seed, Purpose::Synthesis, [2, 0, 0]);
    (0..count * dim).map(|i| 50.0 + (i % dim + 1) as f32 * rng.random_range(-1.0..1.0)).collect()
}

#[test]
fn agrees_with_the_covariance_in_a_double_loop() {
    let (people, things) = (random_table(9, 5, 1), random_table(30, 5, 2));
    let vectors = Vectors { dim: 5, tables: vec![&people, &things, &things] };
    // So few ids that sequences repeat, and sets of different sizes.
    let (x, y) = (random_set(150, 3, 4, 3), random_set(60, 3, 9, 4));
    let found = project(&x, &y, &vectors, &params()).unwrap();
    let (mean, matrix) = reference([&x, &y], &vectors);
    let trace: f64 = (0..15).map(|i| matrix[i][i]).sum();
    let product = |v: &[f64]| -> Vec<f64> {
        matrix.iter().map(|row| row.iter().zip(v).map(|(a, b)| a * b).sum()).collect()
    };
    let pooled = Pooled::new([&x.sorted(), &y.sorted()], &vectors);
    assert!(close(pooled.variance() / trace, 1.0, 1e-6));
    let direction: Vec<f64> = (0..15).map(|i| f64::from(i) - 6.5).collect();
    for (a, b) in pooled.covariance(&direction).into_iter().zip(product(&direction)) {
        assert!(close(a, b, 1e-4), "{a}, {b}");
    }
    let mut wanted = subspace::leading(15, &product);
    wanted.iter_mut().for_each(|(_, component)| fix_sign(component));
    for (share, (variance, _)) in found.shares.iter().zip(&wanted) {
        assert!(close(*share, variance / trace, 1e-6), "{found:?}");
    }
    for (set, cloud) in [(&x, &found.rollout), (&y, &found.other)] {
        let set = set.sorted();
        assert_eq!(cloud.points.len(), set.len());
        for (i, point) in cloud.points.iter().enumerate() {
            for (at, (_, component)) in wanted.iter().enumerate() {
                let parts = set.row(i).iter().enumerate().map(|(at, &id)| vectors.vector(at, id));
                let row = parts.flatten().zip(&mean).map(|(v, mean)| f64::from(*v) - mean);
                let place: f64 = row.zip(component).map(|(v, c)| v * c).sum();
                assert!(close(point[at], place, 2e-3), "{i}: {point:?}, {place}");
            }
        }
    }
}

#[test]
fn neither_the_order_of_sets_and_sequences_nor_threads_change_a_bit() {
    let table = random_table(40, 5, 1);
    let vectors = Vectors { dim: 5, tables: vec![&table; 3] };
    let (x, y) = (random_set(600, 3, 30, 1), random_set(400, 3, 40, 2));
    let few = DriftParams { paths: 350, ..params() };
    for params in [params(), few] {
        let found = project(&x, &y, &vectors, &params).unwrap();
        assert_eq!((found.rollout.points.len(), found.other.points.len()), (200, 200));
        let sequences = (found.rollout.sequences, found.other.sequences);
        assert_eq!(sequences, if params.paths == 350 { (350, 350) } else { (600, 400) });
        let turned = project(&y, &x, &vectors, &params).unwrap();
        assert_eq!((&turned.rollout, &turned.other), (&found.other, &found.rollout));
        let backwards = x.ids.chunks_exact(3).rev().flatten().copied().collect();
        let backwards = Sequences { positions: 3, ids: backwards };
        assert_eq!(project(&backwards, &y, &vectors, &params).unwrap(), found);
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| project(&x, &y, &vectors, &params)).unwrap(), found);
        }
    }
}

#[test]
fn signs_follow_the_entry_farthest_from_nought() {
    let mut component = [0.1, -0.9, 0.4];
    fix_sign(&mut component);
    assert_eq!(component, [-0.1, 0.9, -0.4]);
    fix_sign(&mut component);
    assert_eq!(component, [-0.1, 0.9, -0.4]);
    let mut tie = [-0.5, 0.5];
    fix_sign(&mut tie);
    assert_eq!(tie, [0.5, -0.5]);
}

#[test]
fn what_does_not_vary_lies_on_one_point() {
    let table = random_table(3, 5, 1);
    let vectors = Vectors { dim: 5, tables: vec![&table; 2] };
    let same = |n: usize| Sequences { positions: 2, ids: [1, 2].repeat(n) };
    let found = project(&same(4), &same(3), &vectors, &params()).unwrap();
    assert_eq!(found.shares, [0.0, 0.0]);
    assert_eq!(found.rollout.points, [[0.0, 0.0]; 4]);
    assert_eq!(found.other, Cloud { sequences: 3, points: vec![[0.0, 0.0]; 3] });
}

#[test]
fn one_dimension_has_one_component() {
    let table = [1.0f32, 2.0, 4.0, 5.0];
    let vectors = Vectors { dim: 1, tables: vec![&table] };
    let found = project(&points(0..2), &points(2..4), &vectors, &params()).unwrap();
    assert_eq!(found.shares, [1.0, 0.0]);
    assert_eq!(found.rollout.points, [[-2.0, 0.0], [-1.0, 0.0]]);
    assert_eq!(found.other.points, [[1.0, 0.0], [2.0, 0.0]]);
    // And so have points on a line, whatever the dimensions.
    let table = [1.0f32, 1.0, 2.0, 2.0, 4.0, 4.0, 5.0, 5.0];
    let vectors = Vectors { dim: 2, tables: vec![&table] };
    let found = project(&points(0..2), &points(2..4), &vectors, &params()).unwrap();
    assert!(close(found.shares[0], 1.0, 1e-12) && found.shares[1] < 1e-12, "{found:?}");
    assert!(found.other.points.iter().all(|p| p[1].abs() < 1e-6), "{found:?}");
}

#[test]
fn points_have_the_digits_of_the_largest() {
    let cloud = |x: f64| Cloud { sequences: 1, points: vec![[x, 1.0 / 3.0]] };
    let shortened = |x: f64| {
        let (mut one, mut other) = (cloud(x), cloud(-x / 7.0));
        shorten([&mut one, &mut other]);
        (one.points[0], other.points[0])
    };
    assert_eq!(shortened(1.0), ([1.0, 0.3333], [-0.1429, 0.3333]));
    assert_eq!(shortened(123456.0), ([123460.0, 0.0], [-17640.0, 0.0]));
    assert_eq!(shortened(0.0), ([0.0, 0.33333], [0.0, 0.33333]));
}

#[test]
fn what_cannot_be_compared_cannot_be_projected() {
    let table = [1.0f32, 2.0];
    let vectors = Vectors { dim: 1, tables: vec![&table] };
    let found = project(&points(0..1), &points(0..2), &vectors, &params());
    assert_eq!(found, Err(DriftError::TooFew { found: 1 }));
}

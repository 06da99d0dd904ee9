//! The two largest eigenvalues of a symmetric matrix that is known by its products alone, by growing a
//! subspace from residuals (the method of Davidson, without a preconditioner; the same subspaces as
//! Lanczos's, but restarted easily and sure of a second vector where two eigenvalues are equal).

use super::Draw;
use crate::random::{Purpose, generator};
use rand::Rng;

/// How many are looked for.
const WANTED: usize = 2;
/// Largest subspace, and how much of it is kept when it is full.
const MOST: usize = 32;
const KEPT: usize = 8;
/// Residual at which a vector is taken, as a share of the largest eigenvalue.
const CLOSE: f64 = 1e-8;
/// Rounds after which eigenvalues are as good as equal, and any vectors between theirs as good as theirs.
const ROUNDS: usize = 300;

/// The largest eigenvalues with their vectors, orthonormal, largest first: two, or one of a matrix of one
/// row. `product`: of the matrix, which must be symmetric and have no negative eigenvalue, with a vector.
pub(super) fn leading(size: usize, product: &dyn Fn(&[f64]) -> Vec<f64>) -> Vec<(f64, Vec<f64>)> {
    let wanted = WANTED.min(size);
    let mut rng = generator(0, Purpose::Drift, [Draw::Directions as u64, 0, 0]);
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let mut images: Vec<Vec<f64>> = Vec::new();
    while basis.len() < wanted {
        let random = (0..size).map(|_| rng.random_range(-1.0..1.0)).collect();
        grow(&mut basis, &mut images, random, product);
    }
    for round in 0.. {
        let inner = basis.iter().map(|a| images.iter().map(|b| dot(a, b)).collect()).collect();
        let (values, turns) = eigen(inner);
        let turned = |of: &[Vec<f64>], at: usize| combination(of, &turns[at]);
        let found = (0..wanted).map(|at| (values[at], turned(&basis, at)));
        let found: Vec<(f64, Vec<f64>)> = found.collect();
        let mut residuals: Vec<Vec<f64>> = Vec::new();
        for (at, (value, vector)) in found.iter().enumerate() {
            let mut residual = turned(&images, at);
            add(&mut residual, -value, vector);
            if norm(&residual) > CLOSE * values[0].abs() {
                residuals.push(residual);
            }
        }
        if residuals.is_empty() || round == ROUNDS {
            return found;
        }
        if basis.len() + residuals.len() > MOST {
            let kept = |of: &[Vec<f64>]| (0..KEPT).map(|at| turned(of, at)).collect();
            (basis, images) = (kept(&basis), kept(&images));
        }
        let before = basis.len();
        for residual in residuals {
            grow(&mut basis, &mut images, residual, product);
        }
        // What is left is rounding, in no new direction.
        if basis.len() == before {
            return found;
        }
    }
    Vec::new()
}

/// Adds what is new in a vector to an orthonormal basis, and its image.
fn grow(
    basis: &mut Vec<Vec<f64>>,
    images: &mut Vec<Vec<f64>>,
    mut vector: Vec<f64>,
    product: &dyn Fn(&[f64]) -> Vec<f64>,
) {
    // Scaling twice, because the first leaves rounding of the size of what it took away.
    for _ in 0..2 {
        let length = norm(&vector);
        if length == 0.0 {
            return;
        }
        vector.iter_mut().for_each(|v| *v /= length);
        for known in basis.iter() {
            let along = dot(known, &vector);
            add(&mut vector, -along, known);
        }
    }
    let length = norm(&vector);
    if length < 0.5 {
        return;
    }
    vector.iter_mut().for_each(|v| *v /= length);
    images.push(product(&vector));
    basis.push(vector);
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += times * what);
}

fn combination(of: &[Vec<f64>], times: &[f64]) -> Vec<f64> {
    let mut sum = vec![0.0; of.first().map_or(0, Vec::len)];
    of.iter().zip(times).for_each(|(vector, times)| add(&mut sum, *times, vector));
    sum
}

/// All eigenvalues of a small symmetric matrix, the largest first, and their vectors, by Jacobi's rotations
/// (Golub and Van Loan, Matrix Computations, section 8.5).
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let size = matrix.len();
    let unit = |at: usize| (0..size).map(|i| if i == at { 1.0 } else { 0.0 }).collect();
    let mut vectors: Vec<Vec<f64>> = (0..size).map(unit).collect();
    let scale = matrix.iter().flatten().fold(0.0_f64, |most, v| most.max(v.abs()));
    // Each sweep squares what is left beside the diagonal, once it is small.
    for _ in 0..50 {
        let mut changed = false;
        for p in 0..size {
            for q in p + 1..size {
                let beside = (matrix[p][q] + matrix[q][p]) / 2.0;
                if beside.abs() <= f64::EPSILON * 1e-2 * scale {
                    continue;
                }
                changed = true;
                let ratio = (matrix[q][q] - matrix[p][p]) / (2.0 * beside);
                let tangent = ratio.signum() / (ratio.abs() + ratio.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                let turn = |a: f64, b: f64| (cosine * a - sine * b, sine * a + cosine * b);
                for row in &mut matrix {
                    (row[p], row[q]) = turn(row[p], row[q]);
                }
                for at in 0..size {
                    let (a, b) = turn(matrix[p][at], matrix[q][at]);
                    (matrix[p][at], matrix[q][at]) = (a, b);
                    let (a, b) = turn(vectors[p][at], vectors[q][at]);
                    (vectors[p][at], vectors[q][at]) = (a, b);
                }
            }
        }
        if !changed {
            break;
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| matrix[b][b].total_cmp(&matrix[a][a]));
    (
        order.iter().map(|&at| matrix[at][at]).collect(),
        order.iter().map(|&at| vectors[at].clone()).collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product<'a>(matrix: &'a [Vec<f64>]) -> impl Fn(&[f64]) -> Vec<f64> + 'a {
        move |vector| matrix.iter().map(|row| dot(row, vector)).collect()
    }

    /// BᵀB of a random B, which has no negative eigenvalue.
    fn matrix(size: usize, rank: usize) -> Vec<Vec<f64>> {
        let mut rng = generator(9, Purpose::Synthesis, [0; 3]);
        let rows: Vec<Vec<f64>> =
            (0..rank).map(|_| (0..size).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let entry = |i: usize, j: usize| rows.iter().map(|row| row[i] * row[j]).sum();
        (0..size).map(|i| (0..size).map(|j| entry(i, j)).collect()).collect()
    }

    fn assert_leading(matrix: &[Vec<f64>], wanted: [f64; 2], what: &str) {
        let found = leading(matrix.len(), &product(matrix));
        assert_eq!(found.len(), 2, "{what}");
        for (at, (value, vector)) in found.iter().enumerate() {
            assert!((value - wanted[at]).abs() <= 1e-9 * wanted[0], "{what}: {value}, {wanted:?}");
            for (other, (_, with)) in found.iter().enumerate() {
                let unit = if at == other { 1.0 } else { 0.0 };
                assert!((dot(vector, with) - unit).abs() < 1e-12, "{what}: not orthonormal");
            }
            let mut image = product(matrix)(vector);
            add(&mut image, -value, vector);
            assert!(norm(&image) <= 1e-7 * wanted[0], "{what}: {}", norm(&image));
        }
    }

    #[test]
    fn eigenvalues_known_by_hand() {
        let (values, vectors) = eigen(vec![vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15, "{values:?}");
        assert!((vectors[0][0] - vectors[0][1]).abs() < 1e-15, "{vectors:?}");
        // The second difference: 2 − 2cos(kπ/(n+1)).
        let size = 100;
        let entry = |i: usize, j: usize| match i.abs_diff(j) {
            0 => 2.0,
            1 => -1.0,
            _ => 0.0,
        };
        let matrix: Vec<Vec<f64>> =
            (0..size).map(|i| (0..size).map(|j| entry(i, j)).collect()).collect();
        let value = |k: f64| 2.0 - 2.0 * (k * std::f64::consts::PI / 101.0).cos();
        // Close to each other: the hard case.
        assert_leading(&matrix, [value(100.0), value(99.0)], "second difference");
    }

    #[test]
    fn agrees_with_jacobi() {
        for (size, rank) in [(2, 2), (3, 9), (40, 100), (60, 5), (60, 1)] {
            let matrix = matrix(size, rank);
            let (all, _) = eigen(matrix.clone());
            let trace: f64 = (0..size).map(|i| matrix[i][i]).sum();
            assert!((all.iter().sum::<f64>() / trace - 1.0).abs() < 1e-12);
            assert_leading(&matrix, [all[0], all[1]], &format!("{size} rows of rank {rank}"));
        }
    }

    #[test]
    fn equal_eigenvalues_have_two_vectors_all_the_same() {
        let diagonal = |values: &[f64]| -> Vec<Vec<f64>> {
            let row =
                |i: usize| (0..values.len()).map(move |j| if i == j { values[i] } else { 0.0 });
            (0..values.len()).map(|i| row(i).collect()).collect()
        };
        assert_leading(&diagonal(&[5.0, 1.0, 5.0, 0.0]), [5.0, 5.0], "twice");
        assert_leading(&diagonal(&[1.0; 50]), [1.0, 1.0], "a sphere");
        assert_leading(&diagonal(&[0.0; 5]), [0.0, 0.0], "nothing");
    }

    #[test]
    fn one_row_has_one() {
        let found = leading(1, &product(&[vec![4.0]]));
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, found[0].1[0].abs()), (4.0, 1.0));
    }
}

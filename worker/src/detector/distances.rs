//! Distances between action sequences as points.

use tch::{Kind, Tensor};

/// Squared distances, as a share of the points' own squares about the centre, that count as none:
/// double precision leaves a hundredth of that of the difference of equal points. Points that are told
/// apart differ by 3·10⁻⁷ of their size, as much as float32 embeddings resolve.
const NOTHING: f64 = 1e-13;

/// Squared Euclidean distances `[n, m]` between points `[n, d]` and references `[m, d]`, float64. Those
/// of equal points are exactly 0.
pub(super) fn squared_distances(points: &Tensor, references: &Tensor) -> Tensor {
    // About the references' centre, where the squares are small and little is cancelled.
    let centre = references.mean_dim([0i64].as_slice(), true, Kind::Double);
    let (points, references) = (points - &centre, references - &centre);
    let squares = |x: &Tensor| x.square().sum_dim_intlist(1, true, Kind::Double);
    let sizes = squares(&points) + squares(&references).tr();
    let squared = sizes.addmm(&(points * -2.0), &references.tr());
    squared.masked_fill(&squared.le_tensor(&(sizes * NOTHING)), 0.0)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use advrec::random::{Purpose, generator};
    use rand::Rng;

    /// Numbers for a test, `[n, d]`.
    pub fn points(n: usize, d: usize, place: u64) -> Vec<Vec<f64>> {
        let mut rng = generator(1, Purpose::Detection, [u64::MAX, place, 0]);
        (0..n).map(|_| (0..d).map(|_| rng.random_range(-1.0..1.0)).collect()).collect()
    }

    pub fn tensor(points: &[Vec<f64>]) -> Tensor {
        Tensor::from_slice(&points.concat()).view([points.len() as i64, -1])
    }

    pub fn slow(x: &[f64], y: &[f64]) -> f64 {
        x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
    }

    #[test]
    fn distances_are_those_of_the_differences_and_zero_for_equals() {
        // Far from the origin, where squares alone would lose nine digits.
        let shift = |p: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            p.into_iter().map(|x| x.into_iter().map(|v| v + 3e4).collect()).collect()
        };
        let (mut x, y) = (shift(points(7, 5, 0)), shift(points(4, 5, 1)));
        x[3] = y[2].clone();
        let found = super::super::actions::to_vec(&squared_distances(&tensor(&x), &tensor(&y)));
        for (i, x) in x.iter().enumerate() {
            for (j, y) in y.iter().enumerate() {
                assert!((found[4 * i + j] - slow(x, y)).abs() < 1e-9, "{i} {j}");
            }
        }
        assert_eq!(found[4 * 3 + 2], 0.0);
    }
}

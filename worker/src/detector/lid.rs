//! Local intrinsic dimensionality among clean paths (Ma et al., ICLR 2018).

use super::DetectorError;
use super::distances::squared_distances;
use super::file::Stored;
use super::one_class::Measure;
use tch::{Device, Kind, Tensor};

/// What mean log-ratio counts as at least: it keeps the measure below 1,000 where all neighbours are at
/// one distance, to which the formula gives infinitely many dimensions.
const LEAST_RATIO: f64 = 1e-3;

/// The maximum-likelihood estimate −(1/k Σ_i log(r_i / r_k))⁻¹ from the distances r_1 ≤ … ≤ r_k to the
/// k = 20 nearest reference points.
///
/// References at distance 0, which are the path itself or its doubles, are passed over: the estimate is
/// of the growth of a ball around the path, in which they have no part. Where fewer than k others are
/// left, those are taken; where none is, the measure is 0, that of a point by itself.
#[derive(Debug)]
pub struct Lid {
    /// `[m, d]`, float64, m from [`Self::NEIGHBOURS`].
    references: Tensor,
}

impl Lid {
    /// k.
    pub const NEIGHBOURS: usize = 20;

    /// From reference points `[m, d]`, float64, [`Self::NEIGHBOURS`] at least.
    pub fn new(references: Tensor) -> Self {
        Self { references }
    }

    pub(super) fn from_file(
        file: &Stored,
        width: i64,
        device: Device,
    ) -> Result<Self, DetectorError> {
        let found = file.tensor("references", Kind::Double, &[-1, width])?.size()[0];
        // Of fewer than k it is the number of rows that is refused.
        let rows = found.max(Self::NEIGHBOURS as i64);
        let references = file.tensor("references", Kind::Double, &[rows, width])?;
        Ok(Self::new(references.to_device(device)))
    }
}

impl Measure for Lid {
    fn raw(&self, points: &Tensor) -> Tensor {
        let squared = squared_distances(points, &self.references);
        let squared = squared.masked_fill(&squared.le(0.0), f64::INFINITY);
        let (nearest, _) = squared.topk(Self::NEIGHBOURS as i64, 1, false, true);
        let none = nearest.isinf();
        let farthest = nearest.masked_fill(&none, 0.0).amax([1i64].as_slice(), true);
        // log(r_i / r_k), of squares and so halved.
        let ratios = ((nearest / farthest).log() * 0.5).masked_fill(&none, 0.0);
        let count = none.logical_not().sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
        let mean = -ratios.sum_dim_intlist([1i64].as_slice(), false, Kind::Double) / &count;
        mean.clamp_min(LEAST_RATIO).reciprocal().masked_fill(&count.eq(0.0), 0.0)
    }

    fn tensors(&self) -> Vec<(&'static str, Tensor)> {
        vec![("references", self.references.shallow_clone())]
    }

    fn shallow_clone(&self) -> Box<dyn Measure> {
        Box::new(Self::new(self.references.shallow_clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::actions::to_vec;
    use super::super::distances::tests::{points, slow, tensor};
    use super::*;

    fn slow_lid(x: &[f64], references: &[Vec<f64>]) -> f64 {
        let mut distances: Vec<f64> =
            references.iter().map(|y| slow(x, y).sqrt()).filter(|&r| r > 0.0).collect();
        distances.sort_by(f64::total_cmp);
        distances.truncate(Lid::NEIGHBOURS);
        let farthest = distances[distances.len() - 1];
        let sum = distances.iter().map(|r| (r / farthest).ln()).sum::<f64>();
        -(distances.len() as f64) / sum
    }

    #[test]
    fn estimate_is_the_formula_and_passes_over_doubles() {
        let references = points(60, 4, 7);
        let mut x = points(6, 4, 8);
        x[2] = references[10].clone();
        let found = to_vec(&Lid::new(tensor(&references)).raw(&tensor(&x)));
        for (x, found) in x.iter().zip(found) {
            let expected = slow_lid(x, &references);
            assert!((found - expected).abs() < 1e-9 * expected, "{found} {expected}");
        }
    }

    #[test]
    fn uniform_points_have_the_dimension_of_their_space() {
        for d in [2, 5] {
            let measure = Lid::new(tensor(&points(2000, d, 9)));
            // Near the middle, where the cube has no edge.
            let x: Vec<Vec<f64>> =
                points(300, d, 10).iter().map(|p| p.iter().map(|v| 0.3 * v).collect()).collect();
            let raw = to_vec(&measure.raw(&tensor(&x)));
            let mean = raw.iter().sum::<f64>() / raw.len() as f64;
            // The estimate's expectation is k/(k − 2) times the dimension.
            assert!((mean / d as f64 - 20.0 / 18.0).abs() < 0.1, "{d}: {mean}");
        }
    }

    #[test]
    fn degenerate_neighbourhoods_stay_finite() {
        // All at the path's place; all at one distance; fewer than k elsewhere.
        let here = vec![vec![0.0, 0.0]; 30];
        let raw = |references: &[Vec<f64>]| {
            to_vec(&Lid::new(tensor(references)).raw(&tensor(&[vec![0.0, 0.0]])))[0]
        };
        assert_eq!(raw(&here), 0.0);
        assert!((raw(&vec![vec![3.0, 4.0]; 30]) - 1.0 / LEAST_RATIO).abs() < 1e-6);
        let mut few = here;
        few.extend([vec![1.0, 0.0], vec![0.0, 4.0]]);
        assert!((raw(&few) - 2.0 / 4f64.ln()).abs() < 1e-9);
    }
}

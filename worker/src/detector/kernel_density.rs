//! Kernel density of clean paths (as Feinman et al. 2017 detect adversarial examples): improbable paths
//! are unusual.

use super::DetectorError;
use super::actions::to_vec;
use super::distances::squared_distances;
use super::file::Stored;
use super::one_class::Measure;
use tch::{Device, Kind, Tensor};

/// −log of the mean over the reference points y of exp(−‖x − y‖²/(2σ²)): the negative log-density up
/// to a constant of σ and the dimension, which the logistic fit takes in.
#[derive(Debug)]
pub struct KernelDensity {
    /// `[m, d]`, float64.
    references: Tensor,
    /// σ, the median distance of two reference points.
    bandwidth: f64,
}

impl KernelDensity {
    /// From reference points `[m, d]`, float64.
    pub fn new(references: Tensor) -> Self {
        let bandwidth = median_distance(&references);
        Self { references, bandwidth }
    }

    pub(super) fn from_file(
        file: &Stored,
        width: i64,
        device: Device,
    ) -> Result<Self, DetectorError> {
        let references = file.tensor("references", Kind::Double, &[-1, width])?.to_device(device);
        Ok(Self { references, bandwidth: file.number("bandwidth")? })
    }
}

impl Measure for KernelDensity {
    fn raw(&self, points: &Tensor) -> Tensor {
        let exponents = squared_distances(points, &self.references)
            * (-0.5 / (self.bandwidth * self.bandwidth));
        -exponents.logsumexp([1i64].as_slice(), false) + (self.references.size()[0] as f64).ln()
    }

    fn tensors(&self) -> Vec<(&'static str, Tensor)> {
        let references = self.references.shallow_clone();
        vec![("references", references), ("bandwidth", super::scalar(self.bandwidth))]
    }

    fn shallow_clone(&self) -> Box<dyn Measure> {
        let references = self.references.shallow_clone();
        Box::new(Self { references, bandwidth: self.bandwidth })
    }
}

/// The (lower) median distance over pairs of points; where that is 0 because most points are equal, the
/// one over pairs that are not; 1 where all are equal.
fn median_distance(points: &Tensor) -> f64 {
    let m = points.size()[0] as usize;
    let squared = to_vec(&squared_distances(points, points));
    let mut pairs: Vec<f64> =
        squared.chunks(m).enumerate().flat_map(|(i, row)| row[..i].iter().copied()).collect();
    let median = |pairs: &mut [f64]| {
        let middle = pairs.len().checked_sub(1)? / 2;
        Some(*pairs.select_nth_unstable_by(middle, f64::total_cmp).1).filter(|&x| x > 0.0)
    };
    let found = median(&mut pairs).or_else(|| {
        pairs.retain(|&x| x > 0.0);
        median(&mut pairs)
    });
    found.map_or(1.0, f64::sqrt)
}

#[cfg(test)]
mod tests {
    use super::super::distances::tests::{points, slow, tensor};
    use super::*;

    #[test]
    fn density_is_the_mean_of_the_kernels() {
        let (x, y) = (points(6, 3, 2), points(5, 3, 3));
        let measure = KernelDensity::new(tensor(&y));
        let mut pairs: Vec<f64> = Vec::new();
        for i in 0..5 {
            pairs.extend((0..i).map(|j| slow(&y[i], &y[j]).sqrt()));
        }
        pairs.sort_by(f64::total_cmp);
        assert!((measure.bandwidth - pairs[4]).abs() < 1e-12);
        let raw = to_vec(&measure.raw(&tensor(&x)));
        for (x, raw) in x.iter().zip(raw) {
            let kernel = |y: &Vec<f64>| (-slow(x, y) / (2.0 * pairs[4] * pairs[4])).exp();
            let density = y.iter().map(kernel).sum::<f64>() / 5.0;
            assert!((raw + density.ln()).abs() < 1e-12);
        }
    }

    #[test]
    fn a_point_far_from_all_has_a_finite_measure() {
        let measure = KernelDensity::new(tensor(&points(5, 3, 3)));
        let raw = to_vec(&measure.raw(&Tensor::from_slice(&[1e6; 3]).view([1, 3])));
        assert!(raw[0].is_finite() && raw[0] > 1e6);
    }

    #[test]
    fn equal_points_still_have_a_bandwidth() {
        let mut y = vec![vec![0.0, 0.0]; 8];
        assert_eq!(median_distance(&tensor(&y)), 1.0);
        y.push(vec![3.0, 4.0]);
        assert!((median_distance(&tensor(&y)) - 5.0).abs() < 1e-12);
    }
}

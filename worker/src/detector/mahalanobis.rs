//! Mahalanobis distance to clean paths (Lee et al., NeurIPS 2018, with one class).

use super::DetectorError;
use super::file::Stored;
use super::one_class::Measure;
use advrec::detect::Method;
use tch::{Device, Kind, Tensor};

/// Variance that is added in every direction, as a share of the mean variance of a coordinate:
/// coordinates that never change, such as the self-loop's, would have none.
const RIDGE: f64 = 1e-3;

/// √((x − μ)ᵀ S⁻¹ (x − μ)) with the mean μ of the clean points and S = Σ + ridge·I, where Σ is their
/// covariance (divisor n) and the ridge 10⁻³·tr Σ/d, or 1 where all points are equal.
#[derive(Debug)]
pub struct Mahalanobis {
    /// μ, `[d]`, float64.
    mean: Tensor,
    /// L⁻ᵀ, where S = L Lᵀ: it makes the points' coordinates uncorrelated. `[d, d]`, float64.
    whitening: Tensor,
}

impl Mahalanobis {
    /// From clean points in blocks `[rows, d]`, float64, one of them at least. The equations are solved
    /// on the CPU; the measure is on the blocks' device.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn new(blocks: impl Iterator<Item = Tensor>) -> Result<Self, DetectorError> {
        let method = Method::Mahalanobis;
        // One pass: sums about the first block's mean, where little is cancelled.
        let mut sums: Option<Sums> = None;
        for block in blocks {
            sums.get_or_insert_with(|| Sums::about(&block)).add(&block);
        }
        let Some(Sums { n, centre, first, second }) = sums else {
            return Err(DetectorError::FewReferences { method, needed: 1, found: 0 });
        };
        let device = centre.device();
        let offset = (first / n).to_device(Device::Cpu);
        let covariance = (second / n).to_device(Device::Cpu) - offset.outer(&offset);
        let width = covariance.size()[0];
        let trace = covariance.trace().double_value(&[]);
        if !trace.is_finite() {
            return Err(DetectorError::NotFinite { method });
        }
        let ridge = if trace > 0.0 { RIDGE * trace / width as f64 } else { 1.0 };
        let identity = Tensor::eye(width, (Kind::Double, Device::Cpu));
        let unsolved = |source| DetectorError::Unsolved { method, source };
        let root = (covariance + &identity * ridge).f_linalg_cholesky(false).map_err(unsolved)?;
        let inverse =
            root.f_linalg_solve_triangular(&identity, false, true, false).map_err(unsolved)?;
        Ok(Self {
            mean: centre + offset.to_device(device),
            whitening: inverse.tr().contiguous().to_device(device),
        })
    }

    pub(super) fn from_file(
        file: &Stored,
        width: i64,
        device: Device,
    ) -> Result<Self, DetectorError> {
        let mean = file.tensor("mean", Kind::Double, &[width])?.to_device(device);
        let whitening = file.tensor("whitening", Kind::Double, &[width, width])?.to_device(device);
        Ok(Self { mean, whitening })
    }
}

/// Sums over points less a centre.
struct Sums {
    n: f64,
    centre: Tensor,
    first: Tensor,
    second: Tensor,
}

impl Sums {
    fn about(block: &Tensor) -> Self {
        let centre = block.mean_dim([0i64].as_slice(), false, Kind::Double);
        let width = centre.size()[0];
        let second = Tensor::zeros([width, width], (Kind::Double, block.device()));
        Self { n: 0.0, first: centre.zeros_like(), centre, second }
    }

    fn add(&mut self, block: &Tensor) {
        let x = block - &self.centre;
        self.n += x.size()[0] as f64;
        self.first += x.sum_dim_intlist([0i64].as_slice(), false, Kind::Double);
        self.second += x.tr().mm(&x);
    }
}

impl Measure for Mahalanobis {
    fn raw(&self, points: &Tensor) -> Tensor {
        let white = (points - &self.mean).mm(&self.whitening);
        white.square().sum_dim_intlist([1i64].as_slice(), false, Kind::Double).sqrt()
    }

    fn tensors(&self) -> Vec<(&'static str, Tensor)> {
        vec![("mean", self.mean.shallow_clone()), ("whitening", self.whitening.shallow_clone())]
    }

    fn shallow_clone(&self) -> Box<dyn Measure> {
        let (mean, whitening) = (self.mean.shallow_clone(), self.whitening.shallow_clone());
        Box::new(Self { mean, whitening })
    }
}

#[cfg(test)]
mod tests {
    use super::super::actions::to_vec;
    use super::super::distances::tests::{points, tensor};
    use super::*;

    #[test]
    fn distance_is_that_of_the_inverse_in_closed_form() {
        // In two dimensions the inverse of [[a, b], [b, c]] is [[c, −b], [−b, a]]/(ac − b²).
        let clean: Vec<Vec<f64>> =
            points(40, 2, 4).iter().map(|p| vec![p[0] + 50.0, 2.0 * p[1] + p[0]]).collect();
        let blocks = clean.chunks(7).map(tensor);
        let measure = Mahalanobis::new(blocks).unwrap();
        let mean = |f: &dyn Fn(&[f64]) -> f64| clean.iter().map(|p| f(p)).sum::<f64>() / 40.0;
        let (mx, my) = (mean(&|p| p[0]), mean(&|p| p[1]));
        let (a, c) = (mean(&|p| (p[0] - mx).powi(2)), mean(&|p| (p[1] - my).powi(2)));
        let b = mean(&|p| (p[0] - mx) * (p[1] - my));
        let ridge = RIDGE * (a + c) / 2.0;
        let (a, c) = (a + ridge, c + ridge);
        let x = points(5, 2, 5);
        for (x, found) in x.iter().zip(to_vec(&measure.raw(&tensor(&x)))) {
            let (u, v) = (x[0] - mx, x[1] - my);
            let square = (c * u * u - 2.0 * b * u * v + a * v * v) / (a * c - b * b);
            assert!((found - square.sqrt()).abs() < 1e-9 * found, "{found} {square}");
        }
    }

    #[test]
    fn coordinates_that_never_change_are_no_obstacle() {
        let clean: Vec<Vec<f64>> = points(30, 1, 6).iter().map(|p| vec![p[0], 0.0, p[0]]).collect();
        let measure = Mahalanobis::new([tensor(&clean)].into_iter()).unwrap();
        let raw = to_vec(&measure.raw(&tensor(&[vec![0.1, 0.0, 0.1], vec![0.1, 0.5, 0.1]])));
        assert!(raw.iter().all(|x| x.is_finite()) && raw[1] > 10.0 * raw[0]);
        let equal = Mahalanobis::new([tensor(&vec![vec![2.0, 2.0]; 3])].into_iter()).unwrap();
        let raw = to_vec(&equal.raw(&tensor(&[vec![5.0, 6.0]])));
        assert!((raw[0] - 5.0).abs() < 1e-12);
    }
}

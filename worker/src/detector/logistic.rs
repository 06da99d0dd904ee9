//! Logistic regression: on the mean action embedding as a detector, and by itself for whoever turns a
//! score into a probability.

use super::actions::{Actions, in_batches, to_vec};
use super::file::Stored;
use super::{Detector, DetectorError, Scores, curve, probability, scalar, whole_path_scores};
use advrec::agent::Path;
use advrec::detect::{Method, Samples};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

/// Rows of a block, at most: 13 MiB of 200 features.
pub(super) const BLOCK: usize = 8192;

/// Twice the weight of the squared coefficients, on standardised features, beside the mean loss: enough
/// for coefficients to stay finite where the labels can be separated.
const RIDGE: f64 = 1e-4;

/// Newton steps after which the fit is taken as it is. The loss is convex and each step lowers it;
/// about ten reach the end.
const MOST_STEPS: usize = 100;

/// Log-odds as an affine function of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Affine {
    pub weight: Vec<f64>,
    pub bias: f64,
}

/// Fits log-odds to labels: least mean cross-entropy plus 5·10⁻⁵ times the squared coefficients of
/// the standardised features, by Newton's method (iteratively reweighted least squares). Features are
/// `[rows, d]`, float64, in blocks; labels go through all blocks.
///
/// # Errors
/// If a feature is not finite.
pub fn fit(features: &[Tensor], labels: &[bool], method: Method) -> Result<Affine, DetectorError> {
    let n = labels.len() as f64;
    let width = features.first().map_or(0, |block| block.size()[1]);
    let sum_rows = |part: &dyn Fn(&Tensor) -> Tensor| {
        let zero = Tensor::zeros([width], (Kind::Double, Device::Cpu));
        features.iter().fold(zero, |sum, x| sum + part(x).sum_dim_intlist(0, false, Kind::Double))
    };
    let mean = sum_rows(&|x| x.shallow_clone()) / n;
    let deviation = (sum_rows(&|x| (x - &mean).square()) / n).sqrt();
    // A feature that never changes says nothing: centred it is zero, whatever it is divided by.
    let scale = deviation.where_self(&deviation.gt(0.0), &deviation.ones_like());
    let mut rest = labels;
    let mut blocks = Vec::new();
    for x in features {
        let (own, others) = rest.split_at(x.size()[0] as usize);
        rest = others;
        let ones = Tensor::ones([own.len() as i64, 1], (Kind::Double, Device::Cpu));
        blocks.push((Tensor::cat(&[(x - &mean) / &scale, ones], 1), own));
    }
    let mut beta = vec![0.0; width as usize + 1];
    let mut here = Expansion::at(&blocks, &beta, n);
    for _ in 0..MOST_STEPS {
        if !here.loss.is_finite() {
            return Err(DetectorError::NotFinite { method });
        }
        let step = here.newton_step(method)?;
        let slope = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum::<f64>();
        if slope < 1e-14 {
            break;
        }
        let mut length = 1.0;
        let (moved, next) = loop {
            let moved: Vec<f64> = beta.iter().zip(&step).map(|(b, s)| b - length * s).collect();
            let next = Expansion::at(&blocks, &moved, n);
            if next.loss <= here.loss - 1e-4 * length * slope || length < 1e-6 {
                break (moved, next);
            }
            length /= 2.0;
        };
        if next.loss.is_finite() && next.loss >= here.loss {
            // The loss has no digits left to fall by.
            break;
        }
        (beta, here) = (moved, next);
    }
    let (mean, scale) = (to_vec(&mean), to_vec(&scale));
    let mut bias = beta.pop().unwrap_or(0.0);
    for ((coefficient, mean), scale) in beta.iter_mut().zip(mean).zip(scale) {
        *coefficient /= scale;
        bias -= *coefficient * mean;
    }
    Ok(Affine { weight: beta, bias })
}

/// The loss around some coefficients, the intercept last.
struct Expansion {
    loss: f64,
    gradient: Vec<f64>,
    /// `[d + 1, d + 1]`.
    hessian: Tensor,
}

impl Expansion {
    fn at(blocks: &[(Tensor, &[bool])], beta: &[f64], n: f64) -> Self {
        let shared: Vec<_> = blocks.iter().map(|(x, own)| (x.shallow_clone(), *own)).collect();
        let parts: Vec<(f64, Tensor, Tensor)> = shared
            .into_par_iter()
            .map(|(x, labels)| {
                let beta = Tensor::from_slice(beta);
                let logits = to_vec(&x.mv(&beta));
                let losses = logits.iter().zip(labels).map(|(&x, &y)| curve::cross_entropy(x, y));
                let (mut errors, mut curvatures) = (Vec::new(), Vec::new());
                for (&logit, &label) in logits.iter().zip(labels) {
                    let p = probability(logit);
                    errors.push(p - f64::from(u8::from(label)));
                    curvatures.push(p * (1.0 - p));
                }
                let gradient = x.tr().mv(&Tensor::from_slice(&errors));
                let weighted = &x * Tensor::from_slice(&curvatures).unsqueeze(1);
                (losses.sum(), gradient, x.tr().mm(&weighted))
            })
            .collect();
        // Added in the order of the blocks.
        let mut loss = parts.iter().map(|(loss, ..)| loss).sum::<f64>() / n;
        let total = |part: &dyn Fn(&(f64, Tensor, Tensor)) -> Tensor| {
            parts.iter().map(part).reduce(|a, b| a + b).map(|sum| sum / n)
        };
        let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Double, Device::Cpu));
        let size = beta.len() as i64;
        let gradient = total(&|(_, g, _)| g.shallow_clone()).unwrap_or_else(|| zeros(&[size]));
        let hessian = total(&|(.., h)| h.shallow_clone()).unwrap_or_else(|| zeros(&[size, size]));
        let mut gradient = to_vec(&gradient);
        let penalised = beta.len() - 1;
        for (g, &b) in gradient.iter_mut().zip(&beta[..penalised]) {
            *g += RIDGE * b;
            loss += 0.5 * RIDGE * b * b;
        }
        let mut diagonal = vec![RIDGE; penalised];
        // The intercept has curvature of its own as long as no probability is 0 or 1 in all digits.
        diagonal.push(1e-12);
        let hessian = hessian + Tensor::from_slice(&diagonal).diag(0);
        Self { loss, gradient, hessian }
    }

    /// Hessian⁻¹·gradient.
    fn newton_step(&self, method: Method) -> Result<Vec<f64>, DetectorError> {
        let unsolved = |source| DetectorError::Unsolved { method, source };
        let root = self.hessian.f_linalg_cholesky(false).map_err(unsolved)?;
        let gradient = Tensor::from_slice(&self.gradient).unsqueeze(1);
        Ok(to_vec(&gradient.f_cholesky_solve(&root, false).map_err(unsolved)?))
    }
}

/// Logistic regression on the mean action embedding.
#[derive(Debug)]
pub struct Logistic {
    actions: Actions,
    /// `[width]`, float64.
    weight: Tensor,
    bias: f64,
}

impl Logistic {
    pub(super) fn train(training: &Samples, actions: Actions) -> Result<Self, DetectorError> {
        let features: Vec<Tensor> = training
            .paths
            .chunks(BLOCK)
            .map(|paths| actions.mean(paths).to_device(Device::Cpu))
            .collect();
        let Affine { weight, bias } = fit(&features, &training.labels, Method::Logistic)?;
        let weight = Tensor::from_slice(&weight).to_device(actions.device());
        Ok(Self { actions, weight, bias })
    }

    pub(super) fn from_file(actions: Actions, file: &Stored) -> Result<Self, DetectorError> {
        let weight = file.tensor("logistic.weight", Kind::Double, &[actions.width()])?;
        let weight = weight.to_device(actions.device());
        Ok(Self { weight, bias: file.number("logistic.bias")?, actions })
    }

    fn shared(&self) -> Self {
        Self {
            actions: self.actions.shallow_clone(),
            weight: self.weight.shallow_clone(),
            bias: self.bias,
        }
    }
}

impl Detector for Logistic {
    fn scores(&self, paths: &[Path]) -> Scores {
        let logits = in_batches(
            paths,
            || self.shared(),
            |own, batch| own.actions.mean(batch).mv(&own.weight) + own.bias,
        );
        whole_path_scores(&logits)
    }

    fn prefix_scores(&self, _: &[Path]) -> Option<Vec<f32>> {
        None
    }

    fn weights(&self) -> Vec<(&'static str, Tensor)> {
        let weight = self.weight.to_device(Device::Cpu);
        vec![("logistic.weight", weight), ("logistic.bias", scalar(self.bias))]
    }

    fn shallow_clone(&self) -> Box<dyn Detector> {
        Box::new(self.shared())
    }
}

#[cfg(test)]
mod tests {
    use super::super::distances::tests::{points, tensor};
    use super::*;
    use advrec::random::{Purpose, generator};
    use rand::Rng;

    fn blocks(rows: &[Vec<f64>], size: usize) -> Vec<Tensor> {
        rows.chunks(size).map(tensor).collect()
    }

    #[test]
    fn the_fit_is_where_the_slope_of_the_loss_is_zero() {
        // Features of different sizes, one far from zero.
        let rows: Vec<Vec<f64>> =
            points(300, 3, 20).iter().map(|p| vec![p[0], 40.0 * p[1], 0.1 * p[2] + 7.0]).collect();
        let mut rng = generator(1, Purpose::Detection, [u64::MAX, 21, 0]);
        let labels: Vec<bool> = rows
            .iter()
            .map(|x| rng.random_bool(probability(1.5 * x[0] - 0.04 * x[1] - 0.5)))
            .collect();
        let found = fit(&blocks(&rows, 77), &labels, Method::Logistic).unwrap();
        let logit =
            |x: &[f64]| found.weight.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + found.bias;
        let error = |i: usize| probability(logit(&rows[i])) - f64::from(u8::from(labels[i]));
        let mean = |f: &dyn Fn(usize) -> f64| (0..300).map(f).sum::<f64>() / 300.0;
        assert!(mean(&error).abs() < 1e-9);
        for (j, weight) in found.weight.iter().enumerate() {
            let centre = mean(&|i| rows[i][j]);
            let scale = mean(&|i| (rows[i][j] - centre).powi(2)).sqrt();
            let slope =
                mean(&|i| error(i) * (rows[i][j] - centre) / scale) + RIDGE * weight * scale;
            assert!(slope.abs() < 1e-8, "{j}: {slope}");
        }
        assert!((found.weight[0] - 1.5).abs() < 0.6);
    }

    #[test]
    fn two_groups_have_their_log_odds() {
        // 30 of 40 and 10 of 50 positive, of a feature that is 0 or 1.
        let (mut rows, mut labels) = (Vec::new(), Vec::new());
        for (feature, positive, n) in [(0.0, 30, 40), (1.0, 10, 50)] {
            rows.extend(vec![vec![feature]; n]);
            labels.extend((0..n).map(|i| i < positive));
        }
        let found = fit(&blocks(&rows, 90), &labels, Method::Lid).unwrap();
        assert!((found.bias - 3f64.ln()).abs() < 5e-3, "{found:?}");
        assert!((found.weight[0] + found.bias - 0.25f64.ln()).abs() < 5e-3, "{found:?}");
    }

    #[test]
    fn labels_that_a_feature_separates_have_finite_coefficients() {
        let rows: Vec<Vec<f64>> = (0..100).map(|i| vec![f64::from(i), 3.0]).collect();
        let labels: Vec<bool> = (0..100).map(|i| i >= 50).collect();
        let found = fit(&blocks(&rows, 64), &labels, Method::Logistic).unwrap();
        let at = |x: f64| probability(found.weight[0] * x + found.weight[1] * 3.0 + found.bias);
        assert!(found.weight[0].is_finite() && at(30.0) < 0.01 && at(70.0) > 0.99);
        assert_eq!(found.weight[1], 0.0);
        assert!((at(49.5) - 0.5).abs() < 1e-6);
    }
}

//! Detectors that know clean paths alone: a path is a point, the concatenation of its action
//! embeddings; a measure says how unusual it is; a logistic fit makes a probability of that (Platt
//! 1999).

use super::actions::{Actions, STEPS, in_batches};
use super::file::Stored;
use super::kernel_density::KernelDensity;
use super::lid::Lid;
use super::logistic::{self, Affine, BLOCK};
use super::mahalanobis::Mahalanobis;
use super::{Detector, DetectorError, Draw, Scores, scalar, whole_path_scores};
use advrec::agent::Path;
use advrec::detect::{Method, Samples};
use advrec::random::{Purpose, generator};
use rand::seq::SliceRandom;
use std::fmt::Debug;
use tch::{Device, Tensor};

/// Clean paths that a path is compared with one by one, at most.
pub const REFERENCES: usize = 2000;

/// How unusual points are among clean ones.
pub trait Measure: Debug + Send {
    /// Higher is more unusual: `[n]` of points `[n, d]`, float64, row by row.
    fn raw(&self, points: &Tensor) -> Tensor;

    /// What the measure is made of, by the names in the file; on its device.
    fn tensors(&self) -> Vec<(&'static str, Tensor)>;

    /// The same measure for another thread.
    fn shallow_clone(&self) -> Box<dyn Measure>;
}

/// A measure with the logistic fit that makes probabilities of it.
///
/// Half of the clean training paths, drawn by the seed, make the measure, for kernel density and LID at
/// most [`REFERENCES`] of them. The fit is over all other training paths: on paths that the measure
/// knows it would look better than it is. Clean paths are rarer among those than in the training part,
/// which the intercept makes good (the prior correction of King and Zeng 2001). The slope may come out negative, where attacked paths lie
/// closer to clean ones than clean ones themselves.
#[derive(Debug)]
pub struct OneClass {
    actions: Actions,
    measure: Box<dyn Measure>,
    slope: f64,
    intercept: f64,
}

impl OneClass {
    pub(super) fn train(
        method: Method,
        training: &Samples,
        actions: Actions,
        seed: u64,
    ) -> Result<Self, DetectorError> {
        let (references, others) = divide(method, training, seed)?;
        let measure: Box<dyn Measure> = match method {
            Method::KernelDensity => {
                Box::new(KernelDensity::new(actions.concatenated(&references)))
            }
            Method::Lid => Box::new(Lid::new(actions.concatenated(&references))),
            _ => {
                let blocks = references.chunks(BLOCK).map(|block| actions.concatenated(block));
                Box::new(Mahalanobis::new(blocks)?)
            }
        };
        let raw = raw(&*measure, &actions, &others.paths);
        let blocks: Vec<Tensor> =
            raw.chunks(BLOCK).map(|block| Tensor::from_slice(block).unsqueeze(1)).collect();
        let Affine { weight, bias } = logistic::fit(&blocks, &others.labels, method)?;
        let clean = others.labels.iter().filter(|&&attacked| !attacked).count() as f64;
        let shift = (clean / (clean + references.len() as f64)).ln();
        Ok(Self { actions, measure, slope: weight[0], intercept: bias + shift })
    }

    pub(super) fn from_file(
        method: Method,
        actions: Actions,
        file: &Stored,
    ) -> Result<Self, DetectorError> {
        let (width, device) = (STEPS as i64 * actions.width(), actions.device());
        let measure: Box<dyn Measure> = match method {
            Method::KernelDensity => Box::new(KernelDensity::from_file(file, width, device)?),
            Method::Lid => Box::new(Lid::from_file(file, width, device)?),
            _ => Box::new(Mahalanobis::from_file(file, width, device)?),
        };
        let (slope, intercept) = (file.number("platt.slope")?, file.number("platt.intercept")?);
        Ok(Self { actions, measure, slope, intercept })
    }

    fn shared(&self) -> Self {
        Self {
            actions: self.actions.shallow_clone(),
            measure: self.measure.shallow_clone(),
            ..*self
        }
    }
}

/// The measure of each path.
fn raw(measure: &dyn Measure, actions: &Actions, paths: &[Path]) -> Vec<f64> {
    in_batches(
        paths,
        || (measure.shallow_clone(), actions.shallow_clone()),
        |(measure, actions), batch| measure.raw(&actions.concatenated(batch)),
    )
}

/// The clean paths that make the measure, and all others of the training part in its order.
fn divide(
    method: Method,
    training: &Samples,
    seed: u64,
) -> Result<(Vec<Path>, Samples), DetectorError> {
    let mut clean: Vec<usize> = (0..training.len()).filter(|&i| !training.labels[i]).collect();
    let (most, needed) = match method {
        Method::KernelDensity => (REFERENCES, 2),
        Method::Lid => (REFERENCES, Lid::NEIGHBOURS),
        _ => (usize::MAX, 2),
    };
    let found = (clean.len() / 2).min(most);
    if found < needed {
        return Err(DetectorError::FewReferences { method, needed, found });
    }
    let mut rng = generator(seed, Purpose::Detection, [Draw::Reference as u64, 0, 0]);
    let (taken, _) = clean.partial_shuffle(&mut rng, found);
    let mut is_reference = vec![false; training.len()];
    for &mut i in taken {
        is_reference[i] = true;
    }
    let mut references = Vec::with_capacity(found);
    let mut others = Samples::default();
    for (i, (&path, &label)) in training.paths.iter().zip(&training.labels).enumerate() {
        if is_reference[i] {
            references.push(path);
        } else {
            others.paths.push(path);
            others.labels.push(label);
        }
    }
    Ok((references, others))
}

impl Detector for OneClass {
    fn scores(&self, paths: &[Path]) -> Scores {
        let raw = raw(&*self.measure, &self.actions, paths);
        let logits: Vec<f64> = raw.iter().map(|x| self.slope * x + self.intercept).collect();
        whole_path_scores(&logits)
    }

    fn prefix_scores(&self, _: &[Path]) -> Option<Vec<f32>> {
        None
    }

    fn weights(&self) -> Vec<(&'static str, Tensor)> {
        let mut tensors = self.measure.tensors();
        for (_, tensor) in &mut tensors {
            *tensor = tensor.to_device(Device::Cpu);
        }
        tensors.push(("platt.slope", scalar(self.slope)));
        tensors.push(("platt.intercept", scalar(self.intercept)));
        tensors
    }

    fn shallow_clone(&self) -> Box<dyn Detector> {
        Box::new(self.shared())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(clean: usize, attacked: usize) -> Samples {
        let labels = [vec![false; clean], vec![true; attacked]].concat();
        let paths = (0..labels.len() as u32).map(Path::start).collect();
        Samples { paths, labels }
    }

    #[test]
    fn references_are_clean_and_never_fitted_on() {
        let training = samples(50, 30);
        for (method, seed) in
            [(Method::Lid, 1), (Method::KernelDensity, 1), (Method::Mahalanobis, 2)]
        {
            let (references, others) = divide(method, &training, seed).unwrap();
            assert_eq!((references.len(), others.len()), (25, 55));
            assert!(references.iter().all(|path| path.user() < 50 && !others.paths.contains(path)));
            assert_eq!(others.labels.iter().filter(|&&attacked| attacked).count(), 30);
        }
        let drawn = |seed| divide(Method::Lid, &training, seed).unwrap().0;
        assert_ne!(drawn(1), drawn(2));
        assert_eq!(drawn(1), drawn(1));
        let many = divide(Method::Lid, &samples(5000, 1), 1).unwrap();
        assert_eq!((many.0.len(), many.1.len()), (REFERENCES, 3001));
        assert_eq!(divide(Method::Mahalanobis, &samples(5000, 1), 1).unwrap().0.len(), 2500);
    }

    #[test]
    fn too_few_references_are_refused() {
        insta::assert_snapshot!(
            divide(Method::Lid, &samples(39, 5), 1).unwrap_err(),
            @"Lid needs at least 20 clean paths to compare with, half of those in the training part, and has 19; raise `detector.paths`"
        );
        assert!(divide(Method::Lid, &samples(40, 5), 1).is_ok());
        assert!(divide(Method::Mahalanobis, &samples(3, 5), 1).is_err());
    }
}

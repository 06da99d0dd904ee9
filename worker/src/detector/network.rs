//! A network with its weights, as a detector.

use super::actions::{Actions, STEPS, in_batches};
use super::architecture::Architecture;
use super::file::Stored;
use super::{Detector, DetectorError, Scores, curve, probability};
use advrec::agent::Path;
use advrec::detect::{Decision, DetectorParams, Samples};
use tch::{Device, Kind, Tensor};

/// A GRU with or without attention over action sequences.
#[derive(Debug)]
pub struct Network {
    pub architecture: Architecture,
    /// All weights, in the order of [`Architecture::shapes`].
    pub flat: Tensor,
    pub(super) actions: Actions,
    decision: Decision,
}

/// What a network does on labelled paths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Assessment {
    /// Mean binary cross-entropy over the paths' steps.
    pub loss: f64,
    /// Of the decisions, at 0.5.
    pub f1: f64,
    /// Of the decisions.
    pub auroc: Option<f64>,
}

impl Network {
    /// A network with fresh weights.
    pub(super) fn new(
        architecture: Architecture,
        params: &DetectorParams,
        actions: Actions,
    ) -> Self {
        let flat = architecture.initial(params.seed, actions.device());
        Self { architecture, flat, actions, decision: params.decision }
    }

    /// The network that a file holds; `None` if the method is none.
    pub(super) fn from_file(
        params: &DetectorParams,
        actions: &Actions,
        file: &Stored,
    ) -> Option<Result<Self, DetectorError>> {
        let architecture = Architecture::new(params, actions.width())?;
        let parts: Result<Vec<Tensor>, _> = architecture
            .shapes()
            .iter()
            .map(|(name, shape)| Ok(file.tensor(name, Kind::Float, shape)?.view(-1)))
            .collect();
        Some(parts.map(|parts| Self {
            architecture,
            flat: Tensor::cat(&parts, 0).to_device(actions.device()),
            actions: actions.shallow_clone(),
            decision: params.decision,
        }))
    }

    /// The same tensors for another thread.
    pub(super) fn shared(&self) -> Self {
        Self { flat: self.flat.shallow_clone(), actions: self.actions.shallow_clone(), ..*self }
    }

    /// Log-odds of each of the first steps, then α_t of each where there is attention, row by row.
    fn evaluate(&self, paths: &[Path], steps: usize) -> Vec<f64> {
        in_batches(
            paths,
            || self.shared(),
            |network, batch| {
                let actions = network.actions.gather(batch, steps);
                let forward = network.architecture.forward(&network.flat, &actions, None);
                let columns: Vec<Tensor> =
                    [forward.logits].into_iter().chain(forward.attention).collect();
                Tensor::cat(&columns, 0).tr()
            },
        )
    }

    /// Columns that [`evaluate`](Self::evaluate) makes.
    fn columns(&self, steps: usize) -> usize {
        if self.architecture.attention { 2 * steps } else { steps }
    }

    fn decide(&self, steps: &[f32]) -> f32 {
        match self.decision {
            Decision::Last => steps[steps.len() - 1],
            Decision::Mean => {
                (steps.iter().map(|&p| f64::from(p)).sum::<f64>() / steps.len() as f64) as f32
            }
        }
    }

    pub(super) fn assess(&self, samples: &Samples) -> Assessment {
        let rows = self.evaluate(&samples.paths, STEPS);
        let mut loss = 0.0;
        let mut decisions = Vec::with_capacity(samples.len());
        for (row, &label) in rows.chunks(self.columns(STEPS)).zip(&samples.labels) {
            let logits = &row[..STEPS];
            loss += logits.iter().map(|&x| curve::cross_entropy(x, label)).sum::<f64>();
            decisions.push(self.decide(&probabilities(logits)));
        }
        Assessment {
            loss: loss / (samples.len() * STEPS).max(1) as f64,
            f1: curve::f1(&decisions, &samples.labels),
            auroc: curve::auroc(&decisions, &samples.labels),
        }
    }
}

fn probabilities(logits: &[f64]) -> Vec<f32> {
    logits.iter().map(|&x| probability(x) as f32).collect()
}

impl Detector for Network {
    fn scores(&self, paths: &[Path]) -> Scores {
        let rows = self.evaluate(paths, STEPS);
        let mut scores = Scores { length: STEPS, ..Scores::default() };
        for row in rows.chunks(self.columns(STEPS)) {
            let (logits, attention) = row.split_at(STEPS);
            let steps = probabilities(logits);
            scores.decision.push(self.decide(&steps));
            scores.steps.extend(steps);
            scores.attention.extend(attention.iter().map(|&a| a as f32));
        }
        scores
    }

    fn prefix_scores(&self, paths: &[Path]) -> Option<Vec<f32>> {
        let hops = paths.first().map_or(0, |path| path.hops);
        assert!(paths.iter().all(|path| path.hops == hops), "paths have walked as many hops");
        let steps = hops as usize + 1;
        let rows = self.evaluate(paths, steps);
        let last = rows.chunks(self.columns(steps)).map(|row| probability(row[steps - 1]) as f32);
        Some(last.collect())
    }

    fn weights(&self) -> Vec<(&'static str, Tensor)> {
        let parts = self.architecture.parts(&self.flat.detach().to_device(Device::Cpu));
        let names = self.architecture.shapes().into_iter().map(|(name, _)| name);
        names.zip(parts).collect()
    }

    fn shallow_clone(&self) -> Box<dyn Detector> {
        Box::new(self.shared())
    }
}

//! Scores of the clean rollout's time steps, from which a timing rule's threshold is taken (SPEC section
//! 6: "the threshold set to the matching quantile … on the clean rollouts of the same users").

use crate::metrics::statistics;
use crate::plan::Metric;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// File with the scores, greatest first: one tensor `scores`, f32.
pub const FILE: &str = "calibration.safetensors";

/// What can be wrong with scores on disk.
#[derive(Debug, Error)]
pub enum CalibrationError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} holds no scores: {reason}")]
    Format { path: PathBuf, reason: String },
}

/// Writes scores into an artefact's folder; returns their quantiles as metrics.
///
/// # Errors
/// If the file cannot be written.
pub fn save(dir: &Path, mut scores: Vec<f32>) -> Result<Vec<Metric>, CalibrationError> {
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let path = dir.join(FILE);
    let format = |e: safetensors::SafeTensorError| CalibrationError::Format {
        path: path.clone(),
        reason: e.to_string(),
    };
    let bytes: Vec<u8> = scores.iter().flat_map(|x| x.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![scores.len()], &bytes).map_err(format)?;
    let encoded = safetensors::serialize([("scores", view)], None).map_err(format)?;
    fs::write(&path, encoded).map_err(|source| CalibrationError::Io {
        action: "write",
        path: path.clone(),
        source,
    })?;
    let n = scores.len() as u64;
    let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
    let quantile = |(split, q)| {
        statistics::percentile(&scores, q).map(|value| Metric::new("score", split, value, n))
    };
    let quantiles = [("p05", 0.05), ("p25", 0.25), ("p50", 0.5), ("p75", 0.75), ("p95", 0.95)];
    Ok(quantiles.into_iter().filter_map(quantile).collect())
}

/// Reads scores, greatest first.
///
/// # Errors
/// If the file cannot be read or is not one of scores.
pub fn load(dir: &Path) -> Result<Vec<f32>, CalibrationError> {
    let path = dir.join(FILE);
    let bytes = fs::read(&path).map_err(|source| CalibrationError::Io {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let wrong = |reason: String| CalibrationError::Format { path: path.clone(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
    let view = file.tensor("scores").map_err(|e| wrong(e.to_string()))?;
    if view.dtype() != Dtype::F32 {
        return Err(wrong(format!("`scores` is {:?}", view.dtype())));
    }
    let scores = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    Ok(scores.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_come_back_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let metrics = save(dir.path(), vec![0.25, -0.5, 1.0]).unwrap();
        assert_eq!(load(dir.path()).unwrap(), [1.0, 0.25, -0.5]);
        let median = metrics.iter().find(|m| m.split == "p50").unwrap();
        assert_eq!((median.value, median.n), (0.25, 3));
        fs::write(dir.path().join(FILE), "x").unwrap();
        assert!(load(dir.path()).unwrap_err().to_string().contains("no scores"));
    }
}

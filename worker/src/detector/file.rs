//! A detector on disk: its tensors by name.

use super::actions::{Actions, to_vec};
use super::logistic::Logistic;
use super::network::Network;
use super::one_class::OneClass;
use super::{Detector, DetectorError};
use crate::policy;
use advrec::detect::{DetectorParams, Method};
use advrec::embed::Embeddings;
use safetensors::tensor::{Dtype, TensorView};
use std::fs;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// File name in a detector's artefact.
pub const FILE: &str = "detector.safetensors";

/// Writes [`FILE`] into a folder.
///
/// # Errors
/// If it cannot be written.
pub fn save(detector: &dyn Detector, dir: &Path) -> Result<(), DetectorError> {
    let path = dir.join(FILE);
    let encoding = |reason: String| DetectorError::Encoding { path: path.clone(), reason };
    let weights = detector.weights();
    let encoded: Vec<_> = weights.iter().map(|(name, tensor)| (*name, encode(tensor))).collect();
    let mut views = Vec::new();
    for (name, (dtype, shape, bytes)) in &encoded {
        let view = TensorView::new(*dtype, shape.clone(), bytes);
        views.push((*name, view.map_err(|e| encoding(e.to_string()))?));
    }
    // Not by libtorch's own writer, which does not say that a disk is full.
    let bytes = safetensors::serialize(views, None).map_err(|e| encoding(e.to_string()))?;
    fs::write(&path, bytes).map_err(|source| DetectorError::Write { path, source })
}

/// Type, shape and bytes of a tensor of floats.
fn encode(tensor: &Tensor) -> (Dtype, Vec<usize>, Vec<u8>) {
    let shape = tensor.size().iter().map(|&n| n as usize).collect();
    if tensor.kind() == Kind::Double {
        let bytes = to_vec(tensor).into_iter().flat_map(f64::to_le_bytes).collect();
        return (Dtype::F64, shape, bytes);
    }
    let bytes = policy::to_vec(tensor).into_iter().flat_map(f32::to_le_bytes).collect();
    (Dtype::F32, shape, bytes)
}

/// Reads a detector that was trained with these parameters and embeddings.
///
/// # Errors
/// If the file cannot be read, or a tensor is missing, of another shape or type, or not finite.
pub fn load(
    params: &DetectorParams,
    dir: &Path,
    embeddings: &Embeddings,
    device: Device,
) -> Result<Box<dyn Detector>, DetectorError> {
    let file = Stored::open(dir.join(FILE))?;
    let actions = Actions::new(embeddings, params.input, device);
    if let Some(network) = Network::from_file(params, &actions, &file) {
        return Ok(Box::new(network?));
    }
    Ok(match params.method {
        Method::Logistic => Box::new(Logistic::from_file(actions, &file)?),
        method => Box::new(OneClass::from_file(method, actions, &file)?),
    })
}

/// The tensors of a file.
pub(super) struct Stored {
    path: PathBuf,
    tensors: Vec<(String, Tensor)>,
}

impl Stored {
    fn open(path: PathBuf) -> Result<Self, DetectorError> {
        match Tensor::read_safetensors(&path) {
            Ok(tensors) => Ok(Self { path, tensors }),
            Err(source) => Err(DetectorError::Read { path, source }),
        }
    }

    /// A tensor of this type and shape, where −1 is any length; on the CPU.
    pub fn tensor(
        &self,
        name: &'static str,
        kind: Kind,
        shape: &[i64],
    ) -> Result<Tensor, DetectorError> {
        let path = || self.path.clone();
        let (_, tensor) = self
            .tensors
            .iter()
            .find(|(stored, _)| stored == name)
            .ok_or_else(|| DetectorError::Missing { path: path(), name })?;
        let size = tensor.size();
        let fits = size.len() == shape.len()
            && size.iter().zip(shape).all(|(found, wanted)| *wanted == -1 || found == wanted)
            && tensor.numel() > 0;
        if !fits || tensor.kind() != kind {
            return Err(DetectorError::Shape {
                path: path(),
                name,
                found: format!("{:?} {size:?}", tensor.kind()),
                expected: format!("{kind:?} {shape:?}"),
            });
        }
        if tensor.isfinite().all().int64_value(&[]) == 0 {
            return Err(DetectorError::NotFiniteTensor { path: path(), name });
        }
        Ok(tensor.shallow_clone())
    }

    /// A number, stored as a tensor of one.
    pub fn number(&self, name: &'static str) -> Result<f64, DetectorError> {
        Ok(self.tensor(name, Kind::Double, &[1])?.double_value(&[0]))
    }
}

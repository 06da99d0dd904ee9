//! Trained or imported embeddings, and their file.

use crate::kg::{EntityType, NodeSpace, Relation};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the file in an artefact's folder.
pub const FILE: &str = "embeddings.safetensors";

/// Vectors of all nodes and relations.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    pub space: NodeSpace,
    /// Numbers a vector.
    pub dimension: usize,
    /// `[nodes, dimension]`, in the order of `space`.
    pub entities: Vec<f32>,
    /// `[9, dimension]`, row = discriminant of [`Relation`]; the self-loop's row is zero.
    pub relations: Vec<f32>,
}

/// Why embeddings could not be read or written.
#[derive(Debug, Error)]
pub enum EmbeddingsError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a safetensors file: {reason}")]
    Format { path: PathBuf, reason: String },
    #[error("{path} has no tensor `{tensor}`; the dataset needs one of shape {expected}")]
    Missing { path: PathBuf, tensor: &'static str, expected: String },
    #[error("tensor `{tensor}` in {path} has type {found}; it must be F32")]
    Dtype { path: PathBuf, tensor: &'static str, found: String },
    #[error("tensor `{tensor}` in {path} has shape {found:?}; the dataset needs {expected}{hint}")]
    Shape {
        path: PathBuf,
        tensor: &'static str,
        found: Vec<usize>,
        expected: String,
        /// A likely cause, or nothing.
        hint: &'static str,
    },
    #[error("tensor `{tensor}` in {path} holds a value that is not a finite number")]
    NotFinite { path: PathBuf, tensor: &'static str },
}

impl Embeddings {
    /// The vector of a node.
    pub fn entity(&self, node: u32) -> &[f32] {
        let start = node as usize * self.dimension;
        &self.entities[start..start + self.dimension]
    }

    /// The vectors of all entities of a type, `[count, dimension]`.
    pub fn table(&self, ty: EntityType) -> &[f32] {
        let start = self.space.offset(ty) as usize * self.dimension;
        &self.entities[start..start + self.space.count(ty) * self.dimension]
    }

    /// The vector of a relation.
    pub fn relation(&self, relation: Relation) -> &[f32] {
        let start = relation as usize * self.dimension;
        &self.relations[start..start + self.dimension]
    }

    /// Writes [`FILE`] into a folder: f32 tables `[count, dimension]` by entity type, vectors
    /// `[dimension]` by relation.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), EmbeddingsError> {
        let path = dir.join(FILE);
        let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let mut tensors: Vec<(&'static str, Vec<usize>, Vec<u8>)> = Vec::new();
        for ty in EntityType::ALL {
            let shape = vec![self.space.count(ty), self.dimension];
            tensors.push((ty.name(), shape, bytes(self.table(ty))));
        }
        for relation in Relation::ALL {
            tensors.push((relation.name(), vec![self.dimension], bytes(self.relation(relation))));
        }
        let format = |e: safetensors::SafeTensorError| EmbeddingsError::Format {
            path: path.clone(),
            reason: e.to_string(),
        };
        let mut views = Vec::with_capacity(tensors.len());
        for (name, shape, bytes) in &tensors {
            let view = TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(format)?;
            views.push((*name, view));
        }
        let file = safetensors::serialize(views, None).map_err(format)?;
        fs::write(&path, file).map_err(|source| EmbeddingsError::Io {
            action: "write",
            path: path.clone(),
            source,
        })
    }

    /// Reads such a file and checks it against the numbers of entities of a dataset. The dimension
    /// is that of `purchase`. A table may be missing where the dataset has no entity of its type;
    /// tensors of other names are passed over.
    ///
    /// # Errors
    /// If the file cannot be read, or a tensor is missing, of another shape or type, or not finite.
    pub fn load(path: &Path, space: &NodeSpace) -> Result<Self, EmbeddingsError> {
        let file = fs::read(path).map_err(|source| EmbeddingsError::Io {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let tensors = SafeTensors::deserialize(&file).map_err(|e| EmbeddingsError::Format {
            path: path.to_owned(),
            reason: e.to_string(),
        })?;
        let purchase = Relation::Purchase.name();
        let dimension = match tensors.tensor(purchase).map(|t| t.shape().to_vec()) {
            Ok(shape) if shape.len() == 1 && shape[0] > 0 => shape[0],
            Ok(found) => {
                return Err(EmbeddingsError::Shape {
                    path: path.to_owned(),
                    tensor: purchase,
                    found,
                    expected: "[dimension]".to_owned(),
                    hint: "",
                });
            }
            Err(_) => {
                return Err(EmbeddingsError::Missing {
                    path: path.to_owned(),
                    tensor: purchase,
                    expected: "[dimension]".to_owned(),
                });
            }
        };
        let mut entities = Vec::with_capacity(space.len() * dimension);
        for ty in EntityType::ALL {
            read(path, &tensors, ty.name(), &[space.count(ty), dimension], &mut entities)?;
        }
        let mut relations = Vec::with_capacity((Relation::COUNT + 1) * dimension);
        for relation in Relation::ALL {
            read(path, &tensors, relation.name(), &[dimension], &mut relations)?;
        }
        relations.resize((Relation::COUNT + 1) * dimension, 0.0);
        Ok(Self { space: space.clone(), dimension, entities, relations })
    }
}

/// Appends the values of a tensor of this shape.
fn read(
    path: &Path,
    tensors: &SafeTensors,
    tensor: &'static str,
    shape: &[usize],
    out: &mut Vec<f32>,
) -> Result<(), EmbeddingsError> {
    let expected = format!("{shape:?}");
    let Ok(view) = tensors.tensor(tensor) else {
        if shape[0] == 0 {
            return Ok(());
        }
        return Err(EmbeddingsError::Missing { path: path.to_owned(), tensor, expected });
    };
    if view.shape() != shape {
        let hint = match (view.shape(), shape) {
            ([found, _], [count, _]) if *found == count + 1 => {
                " (PGPR's tables end in a row of padding: leave it out)"
            }
            _ => "",
        };
        let found = view.shape().to_vec();
        return Err(EmbeddingsError::Shape {
            path: path.to_owned(),
            tensor,
            found,
            expected,
            hint,
        });
    }
    if view.dtype() != Dtype::F32 {
        let found = view.dtype().to_string();
        return Err(EmbeddingsError::Dtype { path: path.to_owned(), tensor, found });
    }
    let start = out.len();
    out.extend(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
    if out[start..].iter().any(|v| !v.is_finite()) {
        return Err(EmbeddingsError::NotFinite { path: path.to_owned(), tensor });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(counts: [u32; EntityType::COUNT]) -> Embeddings {
        let space = NodeSpace::new(counts);
        let entities = (0..space.len() * 3).map(|i| i as f32 * 0.25).collect();
        let mut relations: Vec<f32> = (0..27).map(|i| -(i as f32)).collect();
        relations[24..].fill(0.0);
        Embeddings { space, dimension: 3, entities, relations }
    }

    fn failure(path: &Path, counts: [u32; EntityType::COUNT]) -> String {
        let error = Embeddings::load(path, &NodeSpace::new(counts)).unwrap_err().to_string();
        error.replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        for counts in [[2, 3, 4, 1, 2, 5], [2, 3, 0, 0, 0, 0]] {
            let embeddings = example(counts);
            embeddings.save(dir.path()).unwrap();
            let path = dir.path().join(FILE);
            assert_eq!(Embeddings::load(&path, &embeddings.space).unwrap(), embeddings);
            let node = embeddings.space.node(EntityType::Product, 1);
            assert_eq!(embeddings.entity(node), &embeddings.table(EntityType::Product)[3..6]);
        }
    }

    #[test]
    fn files_that_do_not_fit_the_dataset_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        insta::assert_snapshot!(failure(&path, [1; 6]), @"could not read FILE: No such file or directory (os error 2)");
        example([2, 3, 0, 1, 2, 5]).save(dir.path()).unwrap();
        insta::assert_snapshot!(failure(&path, [2, 4, 0, 1, 2, 5]), @"tensor `product` in FILE has shape [3, 3]; the dataset needs [4, 3]");
        insta::assert_snapshot!(failure(&path, [1, 3, 0, 1, 2, 5]), @"tensor `user` in FILE has shape [2, 3]; the dataset needs [1, 3] (PGPR's tables end in a row of padding: leave it out)");
        let mut broken = example([1; 6]);
        broken.entities[4] = f32::NAN;
        broken.save(dir.path()).unwrap();
        insta::assert_snapshot!(failure(&path, [1; 6]), @"tensor `product` in FILE holds a value that is not a finite number");
        let vector = [0u8; 4];
        let write = |dtype, length| {
            let view = TensorView::new(dtype, vec![length], &vector[..]).unwrap();
            fs::write(&path, safetensors::serialize([("purchase", view)], None).unwrap()).unwrap();
        };
        write(Dtype::F32, 1);
        insta::assert_snapshot!(failure(&path, [1; 6]), @"FILE has no tensor `user`; the dataset needs one of shape [1, 1]");
        write(Dtype::F16, 2);
        insta::assert_snapshot!(failure(&path, [0; 6]), @"FILE has no tensor `also_bought`; the dataset needs one of shape [2]");
        fs::write(&path, b"not tensors").unwrap();
        insta::assert_snapshot!(failure(&path, [1; 6]), @"FILE is not a safetensors file: header too large");
    }
}

//! What a rollout leaves: every path with its probability and the time steps that were attacked, and
//! each user's recommendation list. Two safetensors files, readable from Python.

use super::path::{HOPS, Path};
use crate::kg::{EntityType, NodeSpace};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::fs;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use thiserror::Error;

/// File with the paths.
pub const PATHS_FILE: &str = "rollout.safetensors";
/// File with the lists.
pub const LISTS_FILE: &str = "lists.safetensors";
/// Length of a recommendation list.
pub const CUTOFF: usize = 10;
/// Stands in `products` and `list_paths` where a list is shorter than [`CUTOFF`].
pub const MISSING: u32 = u32::MAX;

/// What can be wrong with a rollout on disk.
#[derive(Debug, Error)]
pub enum RolloutError {
    #[error("could not {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is not a rollout: {reason}")]
    Format { path: PathBuf, reason: String },
}

/// Paths and lists of a range of users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rollout {
    /// Index of each user.
    pub users: Vec<u32>,
    /// Paths of user `i` are `offsets[i]..offsets[i + 1]`.
    pub offsets: Vec<u64>,
    /// Whole paths; nodes in the graph's numbering.
    pub paths: Vec<Path>,
    /// Probability of each path under the (attacked) agent.
    pub probabilities: Vec<f32>,
    /// Bit t of a path's byte: whether its time step t was attacked.
    pub attacked: Vec<u8>,
    /// Product indices, best first, `[users, CUTOFF]`, [`MISSING`] at the end of short lists.
    pub products: Vec<u32>,
    /// The path behind each place of a list, as an index into `paths`.
    pub list_paths: Vec<u32>,
}

impl Rollout {
    /// An empty rollout to append to.
    pub fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }

    /// The list of the `i`-th user, without missing places.
    pub fn list(&self, i: usize) -> &[u32] {
        let list = &self.products[i * CUTOFF..(i + 1) * CUTOFF];
        &list[..list.iter().position(|&p| p == MISSING).unwrap_or(CUTOFF)]
    }

    /// The users, which are a range of indices.
    pub fn user_range(&self) -> std::ops::Range<u32> {
        let first = self.users.first().copied().unwrap_or(0);
        first..first + self.users.len() as u32
    }

    /// Writes both files into an artefact's folder.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn save(&self, dir: &FilePath) -> Result<(), RolloutError> {
        let n = self.paths.len();
        let nodes: Vec<u32> = self.paths.iter().flat_map(|p| p.nodes).collect();
        let relations: Vec<u8> = self.paths.iter().flat_map(|p| p.relations).collect();
        write(
            &dir.join(PATHS_FILE),
            &[
                ("nodes", Dtype::U32, vec![n, HOPS + 1], bytes_u32(&nodes)),
                ("relations", Dtype::U8, vec![n, HOPS], relations),
                ("probabilities", Dtype::F32, vec![n], bytes_f32(&self.probabilities)),
                ("attacked", Dtype::U8, vec![n], self.attacked.clone()),
            ],
        )?;
        let m = self.users.len();
        let offsets = self.offsets.iter().flat_map(|x| x.to_le_bytes()).collect();
        write(
            &dir.join(LISTS_FILE),
            &[
                ("users", Dtype::U32, vec![m], bytes_u32(&self.users)),
                ("offsets", Dtype::U64, vec![m + 1], offsets),
                ("products", Dtype::U32, vec![m, CUTOFF], bytes_u32(&self.products)),
                ("list_paths", Dtype::U32, vec![m, CUTOFF], bytes_u32(&self.list_paths)),
            ],
        )
    }

    /// Reads both files.
    ///
    /// # Errors
    /// If a file cannot be read or does not fit the layout or the graph.
    pub fn load(dir: &FilePath, space: &NodeSpace) -> Result<Self, RolloutError> {
        let mut rollout = Self::load_lists(dir)?;
        let file = Tensors::read(dir.join(PATHS_FILE))?;
        let nodes = file.u32("nodes")?;
        let relations = file.bytes("relations", Dtype::U8)?;
        rollout.probabilities =
            file.u32("probabilities").map(|bits| bits.into_iter().map(f32::from_bits).collect())?;
        rollout.attacked = file.bytes("attacked", Dtype::U8)?;
        if nodes.iter().any(|&node| node as usize >= space.len()) {
            return Err(file.wrong("a node that the graph does not have".into()));
        }
        rollout.paths = nodes
            .chunks_exact(HOPS + 1)
            .zip(relations.chunks_exact(HOPS))
            .map(|(nodes, relations)| Path {
                nodes: [nodes[0], nodes[1], nodes[2], nodes[3]],
                relations: [relations[0], relations[1], relations[2]],
                hops: HOPS as u8,
            })
            .collect();
        let n = rollout.paths.len();
        if rollout.offsets.last() != Some(&(n as u64))
            || rollout.probabilities.len() != n
            || rollout.attacked.len() != n
        {
            return Err(file.wrong("tensors of unequal length".into()));
        }
        Ok(rollout)
    }

    /// Reads the lists alone.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the layout.
    pub fn load_lists(dir: &FilePath) -> Result<Self, RolloutError> {
        let file = Tensors::read(dir.join(LISTS_FILE))?;
        let offsets = file.bytes("offsets", Dtype::U64)?;
        let rollout = Self {
            users: file.u32("users")?,
            offsets: offsets
                .chunks_exact(8)
                .map(|b| u64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
                .collect(),
            products: file.u32("products")?,
            list_paths: file.u32("list_paths")?,
            ..Self::default()
        };
        let m = rollout.users.len();
        if rollout.offsets.len() != m + 1
            || rollout.products.len() != m * CUTOFF
            || rollout.list_paths.len() != m * CUTOFF
        {
            return Err(file.wrong("tensors of unequal length".into()));
        }
        Ok(rollout)
    }
}

/// A path in words, for people and for other programs: `[relation, entity type, index]` a node.
pub fn describe(path: &Path, space: &NodeSpace) -> Vec<(&'static str, &'static str, u32)> {
    let name = |i: usize| match i {
        0 => "self_loop",
        _ => crate::kg::Relation::from_index(path.relations[i - 1]).map_or("?", |r| r.name()),
    };
    let entity = |node: u32| {
        let ty: EntityType = space.entity_type(node);
        (ty.name(), space.index(node))
    };
    path.visited()
        .iter()
        .enumerate()
        .map(|(i, &node)| {
            let (ty, index) = entity(node);
            (name(i), ty, index)
        })
        .collect()
}

fn bytes_u32(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn bytes_f32(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn write(
    path: &FilePath,
    tensors: &[(&str, Dtype, Vec<usize>, Vec<u8>)],
) -> Result<(), RolloutError> {
    let format = |e: safetensors::SafeTensorError| RolloutError::Format {
        path: path.to_owned(),
        reason: e.to_string(),
    };
    let mut views = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        views.push((*name, TensorView::new(*dtype, shape.clone(), bytes).map_err(format)?));
    }
    let encoded = safetensors::serialize(views, None).map_err(format)?;
    fs::write(path, encoded).map_err(|source| RolloutError::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// A safetensors file in memory.
struct Tensors {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Tensors {
    fn read(path: PathBuf) -> Result<Self, RolloutError> {
        match fs::read(&path) {
            Ok(bytes) => Ok(Self { path, bytes }),
            Err(source) => Err(RolloutError::Io { action: "read", path, source }),
        }
    }

    fn wrong(&self, reason: String) -> RolloutError {
        RolloutError::Format { path: self.path.clone(), reason }
    }

    fn bytes(&self, name: &str, dtype: Dtype) -> Result<Vec<u8>, RolloutError> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| self.wrong(e.to_string()))?;
        let view = file.tensor(name).map_err(|e| self.wrong(e.to_string()))?;
        if view.dtype() != dtype {
            return Err(self.wrong(format!("`{name}` is {:?}", view.dtype())));
        }
        Ok(view.data().to_vec())
    }

    /// Four-byte tensors, bit for bit.
    fn u32(&self, name: &str) -> Result<Vec<u32>, RolloutError> {
        let dtype = if name == "probabilities" { Dtype::F32 } else { Dtype::U32 };
        let bytes = self.bytes(name, dtype)?;
        Ok(bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_survives_the_disk() {
        let space = NodeSpace::new([2, 2, 0, 0, 0, 0]);
        let mut products = vec![MISSING; CUTOFF];
        products[0] = 1;
        let rollout = Rollout {
            users: vec![1],
            offsets: vec![0, 1],
            paths: vec![Path::start(1).step(7, 2).step(7, 0).step(7, 3)],
            probabilities: vec![0.25],
            attacked: vec![5],
            list_paths: products.iter().map(|&p| if p == 1 { 0 } else { MISSING }).collect(),
            products,
        };
        let dir = tempfile::tempdir().unwrap();
        rollout.save(dir.path()).unwrap();
        assert_eq!(Rollout::load(dir.path(), &space).unwrap(), rollout);
        assert_eq!(rollout.list(0), [1]);
        let small = NodeSpace::new([1, 1, 0, 0, 0, 0]);
        assert!(Rollout::load(dir.path(), &small).unwrap_err().to_string().contains("a node"));
    }
}

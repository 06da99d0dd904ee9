//! Paths of a rollout as action sequences: the embeddings along a path, one after the other (SPEC
//! section 7).

use super::{Drift, Sequences, Vectors};
use crate::agent::path::HOPS;
use crate::agent::rollout::Rollout;
use crate::embed::Embeddings;
use crate::plan::Metric;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which embeddings along a path count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathInput {
    /// Of the user and of the entity at the end of each hop: 4 vectors.
    #[default]
    Entity,
    /// Of the relation of each hop: 3 vectors.
    Relation,
    /// Of all: 7 vectors, the entities first.
    Both,
}

impl PathInput {
    fn entities(self) -> usize {
        if self == PathInput::Relation { 0 } else { HOPS + 1 }
    }

    fn relations(self) -> usize {
        if self == PathInput::Entity { 0 } else { HOPS }
    }
}

/// The paths of those users (indices) that the rollout has, in its order.
pub fn sequences(rollout: &Rollout, users: Range<u32>, input: PathInput) -> Sequences {
    let mut ids = Vec::new();
    for (i, user) in rollout.users.iter().enumerate() {
        if !users.contains(user) {
            continue;
        }
        let own = rollout.offsets[i] as usize..rollout.offsets[i + 1] as usize;
        for path in &rollout.paths[own] {
            ids.extend(&path.nodes[..input.entities()]);
            ids.extend(path.relations[..input.relations()].iter().map(|&r| u32::from(r)));
        }
    }
    Sequences { positions: input.entities() + input.relations(), ids }
}

/// The vectors that the sequences' ids stand for.
pub fn vectors(embeddings: &Embeddings, input: PathInput) -> Vectors<'_> {
    let mut tables = vec![&embeddings.entities[..]; input.entities()];
    tables.extend(vec![&embeddings.relations[..]; input.relations()]);
    Vectors { dim: embeddings.dimension, tables }
}

impl Drift {
    /// The figures as metrics of a comparison over so many users.
    pub fn metrics(&self, users: u64) -> Vec<Metric> {
        let n = self.n.min(self.m) as u64;
        let tested = self.permutation_n.min(self.permutation_m) as u64;
        vec![
            Metric::new("mmd2_unbiased", "all", self.mmd2_unbiased, n),
            Metric::new("mmd_biased", "all", self.mmd_biased, n),
            Metric::new("p_value", "all", self.p_value, tested),
            Metric::new("mmd2_unbiased", "permutation_sample", self.permutation_mmd2, tested),
            Metric::new("bandwidth", "all", self.bandwidth, self.bandwidth_pairs as u64),
            Metric::new("users", "all", users as f64, users),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::path::Path;

    #[test]
    fn a_path_is_its_embeddings_in_order() {
        let paths = vec![
            Path::start(0).step(1, 5).step(2, 6).step(3, 7),
            Path::start(1).step(1, 8).step(1, 9).step(1, 10),
            Path::start(1).step(2, 8).step(2, 9).step(2, 11),
        ];
        let rollout =
            Rollout { users: vec![4, 5], offsets: vec![0, 1, 3], paths, ..Rollout::default() };
        let all = sequences(&rollout, 0..10, PathInput::Both);
        assert_eq!((all.positions, all.len()), (7, 3));
        assert_eq!(all.row(0), [0, 5, 6, 7, 1, 2, 3]);
        let last = sequences(&rollout, 5..6, PathInput::Entity);
        assert_eq!(last.ids, [1, 8, 9, 10, 1, 8, 9, 11]);
        let relations = sequences(&rollout, 4..5, PathInput::Relation);
        assert_eq!((relations.positions, relations.ids), (3, vec![1, 2, 3]));
    }
}

//! The parameters of TransE while it trains: padded rows, and the biases that no one needs later.

use super::embeddings::Embeddings;
use super::kernel::padded;
use crate::kg::{NodeSpace, Relation};
use crate::random::{Purpose, generator};
use rand::Rng;

/// Entity and relation vectors with rows padded to `stride`, and a bias per (relation, tail entity).
#[derive(Clone, Debug)]
pub struct Parameters {
    pub space: NodeSpace,
    pub dimension: usize,
    /// Length of a row in memory; the values beyond `dimension` are zero and stay so.
    pub stride: usize,
    /// `[nodes, stride]`.
    pub entities: Vec<f32>,
    /// `[Relation::COUNT, stride]`.
    pub relations: Vec<f32>,
    /// The biases of all relations one after another.
    pub biases: Vec<f32>,
    /// By relation: what to add to a tail's node to get its place in `biases`.
    bias_shifts: [isize; Relation::COUNT],
}

impl Parameters {
    /// The start of training: vectors uniform in ±0.5/dimension, biases zero.
    pub fn initial(space: &NodeSpace, dimension: usize, seed: u64) -> Self {
        let mut bias_shifts = [0; Relation::COUNT];
        let mut biases = 0usize;
        for relation in Relation::ALL {
            if let Some((_, tail)) = relation.ends() {
                bias_shifts[relation as usize] = biases as isize - space.offset(tail) as isize;
                biases += space.count(tail);
            }
        }
        let stride = padded(dimension);
        let table = |rows: usize, which: u64| {
            let mut rng = generator(seed, Purpose::EmbeddingInit, [which, 0, 0]);
            let mut values = vec![0.0f32; rows * stride];
            for row in values.chunks_exact_mut(stride) {
                for value in &mut row[..dimension] {
                    *value = (rng.random::<f32>() - 0.5) / dimension as f32;
                }
            }
            values
        };
        Self {
            space: space.clone(),
            dimension,
            stride,
            entities: table(space.len(), 0),
            relations: table(Relation::COUNT, 1),
            biases: vec![0.0; biases],
            bias_shifts,
        }
    }

    /// The vector of a node.
    #[inline(always)]
    pub fn entity(&self, node: u32) -> &[f32] {
        let start = node as usize * self.stride;
        &self.entities[start..start + self.stride]
    }

    /// The vector of a relation given by its discriminant.
    #[inline(always)]
    pub fn relation(&self, relation: usize) -> &[f32] {
        &self.relations[relation * self.stride..(relation + 1) * self.stride]
    }

    /// Where the bias of a tail node under a relation is in `biases`.
    #[inline(always)]
    pub fn bias_index(&self, relation: usize, tail: u32) -> usize {
        (tail as isize + self.bias_shifts[relation]) as usize
    }

    /// The vectors without padding; the self-loop's row is zero.
    pub fn into_embeddings(self) -> Embeddings {
        let strip = |padded: &[f32]| -> Vec<f32> {
            padded
                .chunks_exact(self.stride)
                .flat_map(|row| &row[..self.dimension])
                .copied()
                .collect()
        };
        let mut relations = strip(&self.relations);
        relations.resize((Relation::COUNT + 1) * self.dimension, 0.0);
        Embeddings {
            entities: strip(&self.entities),
            relations,
            dimension: self.dimension,
            space: self.space,
        }
    }
}

//! Compressed adjacency of the knowledge graph, and who bought what in train and test.

use super::schema::{NodeSpace, Relation};

/// The graph of the train part. Edges of node `v` are `offsets[v]..offsets[v + 1]`, without
/// duplicates, ordered by (relation name, tail index).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    pub space: NodeSpace,
    /// One more than there are nodes.
    pub offsets: Vec<u64>,
    /// [`Relation`] discriminant of each edge.
    pub relations: Vec<u8>,
    /// Tail node of each edge, in the numbering of `space`.
    pub tails: Vec<u32>,
    /// Products (indices within the type) that each user bought in train: sorted, no repetitions.
    /// Every train pair, also those whose edge the word filter dropped.
    pub train_products: crate::data::Rows,
    /// The same of the test part.
    pub test_products: crate::data::Rows,
}

impl Graph {
    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.space.len()
    }

    /// Number of directed edges: each edge counts once for each of its two ways.
    pub fn edge_count(&self) -> usize {
        self.tails.len()
    }

    /// Relations and tails of the edges of a node.
    pub fn edges(&self, node: u32) -> (&[u8], &[u32]) {
        let range = self.offsets[node as usize] as usize..self.offsets[node as usize + 1] as usize;
        (&self.relations[range.clone()], &self.tails[range])
    }

    /// Whether two nodes are joined by this relation.
    pub fn has_edge(&self, head: u32, relation: Relation, tail: u32) -> bool {
        let (relations, tails) = self.edges(head);
        let start = relations.partition_point(|&r| r < relation as u8);
        let end = relations.partition_point(|&r| r <= relation as u8);
        tails[start..end].binary_search(&tail).is_ok()
    }
}

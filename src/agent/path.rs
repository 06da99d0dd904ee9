//! Paths through the graph and the patterns that are rewarded (SPEC section 3).

use crate::kg::Relation;

/// Hops of a whole path; it has one node more.
pub const HOPS: usize = 3;

/// A path from a user, whole or on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The user, then the node after each hop; only the first `hops + 1` count.
    pub nodes: [u32; HOPS + 1],
    /// The relation of each hop ([`Relation`] discriminants); only the first `hops` count.
    pub relations: [u8; HOPS],
    /// Hops walked so far.
    pub hops: u8,
}

impl Path {
    /// A path that has not left the user's node.
    pub fn start(user: u32) -> Self {
        Self { nodes: [user; HOPS + 1], relations: [Relation::SelfLoop as u8; HOPS], hops: 0 }
    }

    /// The node that the path has reached.
    pub fn node(&self) -> u32 {
        self.nodes[self.hops as usize]
    }

    /// The user's node.
    pub fn user(&self) -> u32 {
        self.nodes[0]
    }

    /// The nodes so far.
    pub fn visited(&self) -> &[u32] {
        &self.nodes[..=self.hops as usize]
    }

    /// The path one hop on.
    ///
    /// # Panics
    /// If the path is whole already.
    pub fn step(mut self, relation: u8, tail: u32) -> Self {
        self.relations[self.hops as usize] = relation;
        self.hops += 1;
        self.nodes[self.hops as usize] = tail;
        self
    }

    /// Whether a whole path follows one of the rewarded patterns.
    pub fn has_pattern(&self) -> bool {
        use Relation::*;
        if self.hops as usize != HOPS {
            return false;
        }
        let [a, b, c] = self.relations.map(Relation::from_index);
        match (a, b, c) {
            (Some(Mentions), Some(DescribedAs), Some(SelfLoop)) => true,
            (Some(Mentions), Some(Mentions), Some(Purchase)) => true,
            (Some(Purchase), Some(x), Some(y)) => x == y && !matches!(x, Mentions | SelfLoop),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_patterns_are_rewarded() {
        let mut patterns = Vec::new();
        for a in 0..=8u8 {
            for b in 0..=8 {
                for c in 0..=8 {
                    if Path::start(0).step(a, 1).step(b, 2).step(c, 3).has_pattern() {
                        patterns.push([a, b, c].map(|r| Relation::from_index(r).unwrap().name()));
                    }
                }
            }
        }
        assert_eq!(
            patterns,
            [
                ["mentions", "described_as", "self_loop"],
                ["mentions", "mentions", "purchase"],
                ["purchase", "also_bought", "also_bought"],
                ["purchase", "also_viewed", "also_viewed"],
                ["purchase", "belongs_to", "belongs_to"],
                ["purchase", "bought_together", "bought_together"],
                ["purchase", "described_as", "described_as"],
                ["purchase", "produced_by", "produced_by"],
                ["purchase", "purchase", "purchase"],
            ]
        );
        assert!(!Path::start(0).step(Relation::Purchase as u8, 1).has_pattern());
    }
}

//! Entity and relation types of the knowledge graph (SPEC section 1; PGPR, Xian et al. 2019).

use serde::{Deserialize, Serialize};

/// Type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum EntityType {
    User,
    Product,
    Word,
    Brand,
    Category,
    RelatedProduct,
}

impl EntityType {
    pub const COUNT: usize = 6;
    pub const ALL: [EntityType; Self::COUNT] = [
        EntityType::User,
        EntityType::Product,
        EntityType::Word,
        EntityType::Brand,
        EntityType::Category,
        EntityType::RelatedProduct,
    ];

    /// The name used in files, tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            EntityType::User => "user",
            EntityType::Product => "product",
            EntityType::Word => "word",
            EntityType::Brand => "brand",
            EntityType::Category => "category",
            EntityType::RelatedProduct => "related_product",
        }
    }
}

/// Relation of an edge. The discriminants follow the alphabetical order of the names, which is the
/// order of actions at a node, so that comparing relations compares names. The self-loop is not an
/// edge: it is action 0 of every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Relation {
    AlsoBought,
    AlsoViewed,
    BelongsTo,
    BoughtTogether,
    DescribedAs,
    Mentions,
    ProducedBy,
    Purchase,
    SelfLoop,
}

impl Relation {
    /// Number of relations that have edges; the self-loop is not counted.
    pub const COUNT: usize = 8;
    /// The relations that have edges, in action order.
    pub const ALL: [Relation; Self::COUNT] = [
        Relation::AlsoBought,
        Relation::AlsoViewed,
        Relation::BelongsTo,
        Relation::BoughtTogether,
        Relation::DescribedAs,
        Relation::Mentions,
        Relation::ProducedBy,
        Relation::Purchase,
    ];
    /// The product's own relations, in PGPR's file order; their tails come from one file each.
    pub const OF_PRODUCT: [Relation; 5] = [
        Relation::ProducedBy,
        Relation::BelongsTo,
        Relation::AlsoBought,
        Relation::AlsoViewed,
        Relation::BoughtTogether,
    ];

    /// The name used in files, tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Relation::AlsoBought => "also_bought",
            Relation::AlsoViewed => "also_viewed",
            Relation::BelongsTo => "belongs_to",
            Relation::BoughtTogether => "bought_together",
            Relation::DescribedAs => "described_as",
            Relation::Mentions => "mentions",
            Relation::ProducedBy => "produced_by",
            Relation::Purchase => "purchase",
            Relation::SelfLoop => "self_loop",
        }
    }

    /// The relation with this discriminant; `None` above the self-loop's.
    pub const fn from_index(index: u8) -> Option<Relation> {
        match index {
            0..8 => Some(Self::ALL[index as usize]),
            8 => Some(Relation::SelfLoop),
            _ => None,
        }
    }

    /// Head and tail types as the relation is declared (SPEC section 1); edges are walked both ways.
    /// `None` for the self-loop.
    pub const fn ends(self) -> Option<(EntityType, EntityType)> {
        use EntityType::*;
        Some(match self {
            Relation::AlsoBought | Relation::AlsoViewed | Relation::BoughtTogether => {
                (Product, RelatedProduct)
            }
            Relation::BelongsTo => (Product, Category),
            Relation::DescribedAs => (Product, Word),
            Relation::Mentions => (User, Word),
            Relation::ProducedBy => (Product, Brand),
            Relation::Purchase => (User, Product),
            Relation::SelfLoop => return None,
        })
    }
}

/// Where each entity type's nodes lie in one numbering of all nodes: node = offset of its type +
/// index within the type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSpace {
    offsets: [u32; EntityType::COUNT + 1],
}

impl NodeSpace {
    /// Lays the types out one after another.
    ///
    /// # Panics
    /// If the counts add up to more than `u32::MAX`; the importer refuses such datasets.
    pub fn new(counts: [u32; EntityType::COUNT]) -> Self {
        let mut offsets = [0u32; EntityType::COUNT + 1];
        for (i, count) in counts.into_iter().enumerate() {
            offsets[i + 1] = offsets[i]
                .checked_add(count)
                .expect("the importer bounds the number of entities by u32");
        }
        Self { offsets }
    }

    /// Number of nodes of all types.
    pub fn len(&self) -> usize {
        self.offsets[EntityType::COUNT] as usize
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of nodes of one type.
    pub fn count(&self, ty: EntityType) -> usize {
        (self.offsets[ty as usize + 1] - self.offsets[ty as usize]) as usize
    }

    /// First node of a type.
    pub fn offset(&self, ty: EntityType) -> u32 {
        self.offsets[ty as usize]
    }

    /// The node of an entity given by type and index within the type.
    pub fn node(&self, ty: EntityType, index: u32) -> u32 {
        debug_assert!((index as usize) < self.count(ty));
        self.offsets[ty as usize] + index
    }

    /// Type of a node.
    pub fn entity_type(&self, node: u32) -> EntityType {
        let mut ty = 0;
        while node >= self.offsets[ty + 1] {
            ty += 1;
        }
        EntityType::ALL[ty]
    }

    /// Index of a node within its type.
    pub fn index(&self, node: u32) -> u32 {
        node - self.offsets[self.entity_type(node) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_sort_by_name() {
        let names: Vec<_> = Relation::ALL.iter().map(|r| r.name()).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        assert_eq!(names, sorted);
        for (i, r) in Relation::ALL.into_iter().enumerate() {
            assert_eq!(r as usize, i);
            assert_eq!(Relation::from_index(i as u8), Some(r));
        }
    }

    #[test]
    fn nodes_and_entities_correspond() {
        let space = NodeSpace::new([3, 2, 0, 1, 4, 5]);
        assert_eq!(space.len(), 15);
        let mut node = 0;
        for ty in EntityType::ALL {
            for index in 0..space.count(ty) as u32 {
                assert_eq!(space.node(ty, index), node);
                assert_eq!((space.entity_type(node), space.index(node)), (ty, index));
                node += 1;
            }
        }
    }
}

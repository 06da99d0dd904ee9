//! A dataset in memory and as an artefact: counts, interactions with their review words, and the
//! products' own relations. Everything is flat.

use crate::kg::EntityType;

/// Rows of variable length in two flat arrays: row `i` is `values[offsets[i]..offsets[i + 1]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// One more than there are rows; starts with 0.
    pub offsets: Vec<u64>,
    pub values: Vec<u32>,
}

impl Rows {
    /// No rows yet.
    pub fn new() -> Self {
        Self { offsets: vec![0], values: Vec::new() }
    }

    /// Appends a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = u32>) {
        self.values.extend(row);
        self.offsets.push(self.values.len() as u64);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values of row `i`.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.values[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|i| self.row(i))
    }
}

/// Purchases in file order: parallel arrays, and the words of each purchase's review.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interactions {
    pub users: Vec<u32>,
    pub products: Vec<u32>,
    /// One row a purchase; all rows empty where the dataset has no words.
    pub words: Rows,
}

impl Interactions {
    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

/// A dataset as imported or generated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Number of entities by [`EntityType`].
    pub counts: [u32; EntityType::COUNT],
    /// Whether the interactions came with review words.
    pub has_words: bool,
    pub train: Interactions,
    pub test: Interactions,
    /// Tails of each product (row = product) by [`crate::kg::Relation::OF_PRODUCT`], as in the
    /// files, repetitions included. Tails are brands, categories, or related products.
    pub product_relations: [Rows; 5],
}

impl Dataset {
    /// Number of entities of one type.
    pub fn count(&self, ty: EntityType) -> usize {
        self.counts[ty as usize] as usize
    }
}

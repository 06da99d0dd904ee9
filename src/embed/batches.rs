//! The walk of an epoch over the train reviews, cut into batches of training items.

use crate::data::Dataset;
use crate::kg::{EntityType, NodeSpace, Relation};
use crate::random::{Purpose, generator};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Stands for a tail that an item does not have.
pub const ABSENT: u32 = u32::MAX;

/// Training items: a user, a product, and a tail for each relation. All are nodes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub users: Vec<u32>,
    pub products: Vec<u32>,
    /// By relation: the tail of each item or [`ABSENT`]; the list is empty for the word relations of
    /// a dataset without words.
    pub tails: [Vec<u32>; Relation::COUNT],
}

impl Batch {
    pub fn len(&self) -> usize {
        self.users.len()
    }

    fn clear(&mut self) {
        self.users.clear();
        self.products.clear();
        self.tails.iter_mut().for_each(Vec::clear);
    }
}

/// One pass over the train reviews in random order.
pub struct Epoch<'a> {
    dataset: &'a Dataset,
    space: &'a NodeSpace,
    /// By word: probability of keeping an occurrence.
    keep: &'a [f32],
    order: Vec<u32>,
    rng: ChaCha8Rng,
    /// Place in `order`.
    review: usize,
    /// Place in that review's words.
    word: usize,
    /// Occurrences walked through, kept or not.
    walked: u64,
}

/// How many occurrences an epoch walks through: words of train reviews, or purchases where the
/// dataset has no words.
pub fn occurrences(dataset: &Dataset) -> u64 {
    if dataset.has_words {
        dataset.train.words.values.len() as u64
    } else {
        dataset.train.len() as u64
    }
}

impl<'a> Epoch<'a> {
    pub fn new(
        dataset: &'a Dataset,
        space: &'a NodeSpace,
        keep: &'a [f32],
        seed: u64,
        epoch: u64,
    ) -> Self {
        let mut rng = generator(seed, Purpose::EmbeddingTraining, [epoch, 0, 0]);
        let mut order: Vec<u32> = (0..dataset.train.len() as u32).collect();
        order.shuffle(&mut rng);
        Self { dataset, space, keep, order, rng, review: 0, word: 0, walked: 0 }
    }

    /// Occurrences walked through so far.
    pub fn walked(&self) -> u64 {
        self.walked
    }

    /// Fills the batch with the next items, at most `size`; false when none is left.
    pub fn fill(&mut self, batch: &mut Batch, size: usize) -> bool {
        batch.clear();
        while batch.len() < size && self.review < self.order.len() {
            let review = self.order[self.review] as usize;
            if self.dataset.has_words {
                match self.dataset.train.words.row(review).get(self.word) {
                    Some(&word) => {
                        self.word += 1;
                        self.walked += 1;
                        if self.rng.random::<f32>() < self.keep[word as usize] {
                            self.push(batch, review, Some(word));
                        }
                    }
                    None => {
                        self.review += 1;
                        self.word = 0;
                    }
                }
            } else {
                self.review += 1;
                self.walked += 1;
                self.push(batch, review, None);
            }
        }
        batch.len() > 0
    }

    fn push(&mut self, batch: &mut Batch, review: usize, word: Option<u32>) {
        let product = self.dataset.train.products[review];
        let product_node = self.space.node(EntityType::Product, product);
        batch.users.push(self.space.node(EntityType::User, self.dataset.train.users[review]));
        batch.products.push(product_node);
        batch.tails[Relation::Purchase as usize].push(product_node);
        if let Some(word) = word {
            let node = self.space.node(EntityType::Word, word);
            batch.tails[Relation::Mentions as usize].push(node);
            batch.tails[Relation::DescribedAs as usize].push(node);
        }
        for (relation, rows) in
            Relation::OF_PRODUCT.into_iter().zip(&self.dataset.product_relations)
        {
            let tails = rows.row(product as usize);
            let node = match (tails, relation.ends()) {
                ([], _) | (_, None) => ABSENT,
                ([only], Some((_, ty))) => self.space.node(ty, *only),
                (tails, Some((_, ty))) => {
                    let pick = self.rng.random_range(0..tails.len() as u32);
                    self.space.node(ty, tails[pick as usize])
                }
            };
            batch.tails[relation as usize].push(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::transe::tests::tiny;
    use std::collections::BTreeMap;

    #[test]
    fn an_epoch_is_every_word_occurrence_once_across_reviews() {
        let (dataset, space) = tiny(true);
        let keep = vec![1.0; space.count(EntityType::Word)];
        let mut epoch = Epoch::new(&dataset, &space, &keep, 5, 1);
        let (mut batch, mut sizes, mut seen) = (Batch::default(), Vec::new(), BTreeMap::new());
        while epoch.fill(&mut batch, 4) {
            sizes.push(batch.len());
            for i in 0..batch.len() {
                let word = batch.tails[Relation::Mentions as usize][i];
                assert_eq!(word, batch.tails[Relation::DescribedAs as usize][i]);
                *seen.entry((batch.users[i], batch.products[i], word)).or_insert(0) += 1;
            }
        }
        let mut expected = BTreeMap::new();
        for i in 0..dataset.train.len() {
            for &word in dataset.train.words.row(i) {
                let item = (
                    space.node(EntityType::User, dataset.train.users[i]),
                    space.node(EntityType::Product, dataset.train.products[i]),
                    space.node(EntityType::Word, word),
                );
                *expected.entry(item).or_insert(0) += 1;
            }
        }
        assert_eq!(seen, expected);
        let (last, full) = sizes.split_last().unwrap();
        assert!(full.iter().all(|&n| n == 4) && *last <= 4);
        assert_eq!(epoch.walked(), occurrences(&dataset));
    }

    #[test]
    fn without_words_an_item_is_a_purchase() {
        let (dataset, space) = tiny(false);
        let mut epoch = Epoch::new(&dataset, &space, &[], 5, 1);
        let mut batch = Batch::default();
        assert!(epoch.fill(&mut batch, 100));
        assert_eq!(batch.len(), dataset.train.len());
        assert!(batch.tails[Relation::Mentions as usize].is_empty());
        for (i, &product) in batch.products.iter().enumerate() {
            let row = dataset.product_relations[0].row(space.index(product) as usize);
            let brand = batch.tails[Relation::ProducedBy as usize][i];
            assert_eq!(brand == ABSENT, row.is_empty());
        }
        assert!(!epoch.fill(&mut batch, 100));
    }
}

//! Made-up datasets with planted structure. Latent topics drive what users buy, which words their
//! reviews use, and the products' brands, categories and related products, so an agent that learns
//! finds what one that walks at random does not.

mod catalogue;

use super::dataset::{Dataset, Interactions, Rows};
use crate::random::{Purpose, generator};
use catalogue::{Catalogue, OWN_WORDS};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::fmt;
use thiserror::Error;

/// Why a dataset cannot be generated.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{name} is {value}, but must lie between {min} and {max}")]
pub struct SyntheticError {
    /// The field of [`SyntheticSpec`].
    pub name: &'static str,
    pub value: u64,
    pub min: u64,
    pub max: u64,
}

/// Size and seed of a made-up dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyntheticSpec {
    /// 1 to 10 million.
    pub users: u32,
    /// 10 to 10 million.
    pub products: u32,
    /// Size of the vocabulary, from 5 a topic to 10 million.
    pub words: u32,
    /// At most a fifth of the products.
    pub topics: u32,
    /// Mean length of a review, at most 1000; 0 makes a dataset without words.
    pub words_per_review: u32,
    /// Mean number of purchases, at most half the products. No user has fewer than 5, or than the
    /// mean where that is less.
    pub purchases_per_user: u32,
    pub seed: u64,
}

impl fmt::Display for SyntheticSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "synthetic: {} users, {} products, {} words, {} topics, {} words a review, {} purchases \
             a user, seed {}",
            self.users,
            self.products,
            self.words,
            self.topics,
            self.words_per_review,
            self.purchases_per_user,
            self.seed
        )
    }
}

/// Largest number of users, products or words.
const MOST: u64 = 10_000_000;

/// Place of a stream of draws: catalogue and relations, purchases of a user, reviews of a user.
const CATALOGUE: u64 = 0;
const PURCHASES: u64 = 1;
const REVIEWS: u64 = 2;

impl SyntheticSpec {
    /// The dataset that the program carries: training on it takes seconds.
    pub const fn embedded() -> Self {
        Self {
            users: 500,
            products: 400,
            words: 360,
            topics: 16,
            words_per_review: 14,
            purchases_per_user: 10,
            seed: 2020,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// Names the first field that is out of its range.
    pub fn check(&self) -> Result<(), SyntheticError> {
        let products = u64::from(self.products);
        let topics = u64::from(self.topics);
        for (name, value, min, max) in [
            ("users", self.users, 1, MOST),
            ("products", self.products, 10, MOST),
            ("topics", self.topics, 1, products / 5),
            ("words", self.words, 5 * topics, MOST),
            ("words_per_review", self.words_per_review, 0, 1000),
            ("purchases_per_user", self.purchases_per_user, 1, products / 2),
        ] {
            let value = u64::from(value);
            if value < min || value > max {
                return Err(SyntheticError { name, value, min, max });
            }
        }
        Ok(())
    }

    /// Generates the dataset; the same specification gives the same dataset.
    ///
    /// # Errors
    /// If the specification is out of its ranges.
    pub fn generate(&self) -> Result<Dataset, SyntheticError> {
        self.check()?;
        Ok(Catalogue::new(self, &mut self.rng(CATALOGUE, 0)).into_dataset(self))
    }

    fn rng(&self, what: u64, user: u32) -> ChaCha8Rng {
        generator(self.seed, Purpose::Synthesis, [what, u64::from(user), 0])
    }
}

impl Catalogue {
    fn into_dataset(self, spec: &SyntheticSpec) -> Dataset {
        let mut train = Interactions { words: Rows::new(), ..Interactions::default() };
        let mut test = train.clone();
        for user in 0..spec.users {
            let bought = self.purchases(spec, &mut spec.rng(PURCHASES, user));
            let rng = &mut spec.rng(REVIEWS, user);
            // ceil(0.7 n), the split of the Amazon sets.
            let train_count = (7 * bought.len()).div_ceil(10);
            for (i, product) in bought.into_iter().enumerate() {
                let part = if i < train_count { &mut train } else { &mut test };
                part.users.push(user);
                part.products.push(product);
                self.review(spec, product, rng, &mut part.words.values);
                part.words.offsets.push(part.words.values.len() as u64);
            }
        }
        Dataset {
            counts: self.counts,
            has_words: spec.words_per_review > 0,
            train,
            test,
            product_relations: self.product_relations,
        }
    }

    /// Distinct products, in the order in which a user buys them.
    fn purchases(&self, spec: &SyntheticSpec, rng: &mut ChaCha8Rng) -> Vec<u32> {
        const SHARES: [&[f64]; 3] = [&[1.0], &[0.65, 1.0], &[0.5, 0.8, 1.0]];
        /// Share of purchases that have nothing to do with the user's topics.
        const STRAY: f64 = 0.08;
        let shares = SHARES[rng.random_range(0..SHARES.len().min(self.topics.len()))];
        let mut interests: Vec<usize> = Vec::new();
        while interests.len() < shares.len() {
            let topic = rng.random_range(0..self.topics.len());
            if !interests.contains(&topic) {
                interests.push(topic);
            }
        }

        let least = spec.purchases_per_user.min(5);
        let beyond = f64::from(spec.purchases_per_user - least);
        let mut count = least;
        while count < spec.products / 2 && rng.random::<f64>() < beyond / (1.0 + beyond) {
            count += 1;
        }

        let mut bought: Vec<u32> = Vec::new();
        while bought.len() < count as usize {
            let topic = if rng.random::<f64>() < STRAY {
                rng.random_range(0..self.topics.len())
            } else {
                let at = rng.random::<f64>();
                interests[shares.partition_point(|&share| share <= at)]
            };
            let draw = |rng: &mut ChaCha8Rng| self.topics[topic].products.draw(rng);
            // A topic may be bought up; then any other product will do.
            let fresh = (0..8).map(|_| draw(rng)).find(|product| !bought.contains(product));
            let product = fresh.unwrap_or_else(|| rng.random_range(0..spec.products));
            if !bought.contains(&product) {
                bought.push(product);
            }
        }
        bought
    }

    /// Appends the words of a review.
    fn review(
        &self,
        spec: &SyntheticSpec,
        product: u32,
        rng: &mut ChaCha8Rng,
        words: &mut Vec<u32>,
    ) {
        let mean = spec.words_per_review;
        if mean == 0 {
            return;
        }
        let topic = &self.topics[self.topic_of[product as usize] as usize];
        let own = &self.own_words[product as usize];
        for _ in 0..rng.random_range(mean.div_ceil(2)..=mean + mean / 2) {
            let kind = rng.random::<f64>();
            words.push(if kind < 0.4 {
                topic.words.draw(rng)
            } else if kind < 0.55 {
                own[rng.random_range(0..OWN_WORDS)]
            } else {
                self.common_words.draw(rng)
            });
        }
    }
}

// In tests a failed `unwrap` is a failed assertion.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{pgpr, pgpr_writer};
    use crate::kg::{EntityType, Graph, GraphParams, Relation};
    use rand::seq::SliceRandom;

    #[test]
    fn the_same_seed_gives_the_same_dataset_and_another_seed_another() {
        let spec = SyntheticSpec::embedded();
        let dataset = spec.generate().unwrap();
        assert_eq!(dataset, spec.generate().unwrap());
        let other = SyntheticSpec { seed: spec.seed + 1, ..spec }.generate().unwrap();
        assert_ne!(dataset.content_key(), other.content_key());
    }

    /// The numbers enter results: a change here means that results on `embedded` are not comparable
    /// with those before, and belongs in the change log.
    #[test]
    fn the_embedded_dataset_does_not_change() {
        let dataset = SyntheticSpec::embedded().generate().unwrap();
        insta::assert_snapshot!(dataset.content_key().short(), @"398995103963");
    }

    #[test]
    fn it_survives_pgprs_format() {
        let dir = tempfile::tempdir().unwrap();
        let spec = SyntheticSpec::embedded();
        for (name, words_per_review) in [("words", spec.words_per_review), ("pairs", 0)] {
            let dataset = SyntheticSpec { words_per_review, ..spec }.generate().unwrap();
            pgpr_writer::write(&dataset, &dir.path().join(name)).unwrap();
            assert_eq!(pgpr::read(&dir.path().join(name)).unwrap(), dataset, "{name}");
        }
    }

    #[test]
    fn an_occupied_folder_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("mine"), b"").unwrap();
        let dataset = SyntheticSpec::embedded().generate().unwrap();
        assert!(pgpr_writer::write(&dataset, dir.path()).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn each_user_trains_on_seven_tenths() {
        let spec = SyntheticSpec::embedded();
        let dataset = spec.generate().unwrap();
        let (users, products) = (spec.users as usize, spec.products as usize);
        let train = dataset.train.products_by_user(users, products);
        let test = dataset.test.products_by_user(users, products);
        for (train, test) in train.iter().zip(test.iter()) {
            let n = train.len() + test.len();
            assert!(n >= 5 && !test.is_empty());
            assert_eq!(train.len(), (7 * n).div_ceil(10));
            assert!(test.iter().all(|product| !train.contains(product)));
        }
        assert_eq!(
            train.values.len() + test.values.len(),
            dataset.train.len() + dataset.test.len()
        );
    }

    #[test]
    fn any_size_within_the_ranges_works() {
        let base = SyntheticSpec::embedded();
        for (users, products, words, topics, words_per_review, purchases_per_user) in [
            (1, 10, 5, 1, 3, 5),
            (3, 10, 10, 2, 1, 1),
            (20, 30, 40, 6, 0, 15),
            (9, 11, 99, 2, 90, 4),
        ] {
            let spec = SyntheticSpec {
                users,
                products,
                words,
                topics,
                words_per_review,
                purchases_per_user,
                ..base
            };
            let dataset = spec.generate().unwrap();
            Graph::build(&dataset, &GraphParams::default()).unwrap();
        }
        insta::assert_snapshot!(
            SyntheticSpec { topics: 81, ..base }.generate().unwrap_err(),
            @"topics is 81, but must lie between 1 and 80"
        );
    }

    /// Hit rate at 10 of lists drawn from a walk that chooses at random, and of lists drawn from all
    /// products, both ranked by the planted structure.
    fn hit_rates(spec: SyntheticSpec) -> (f64, f64) {
        let catalogue = Catalogue::new(&spec, &mut spec.rng(CATALOGUE, 0));
        let dataset = spec.generate().unwrap();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        let users = graph.space.count(EntityType::User);
        let products = 0..graph.space.count(EntityType::Product) as u32;
        let (mut walk_hits, mut all_hits) = (0, 0);
        for user in 0..users {
            let train = graph.train_products.row(user);
            let interest = |product: u32| {
                let topic = catalogue.topic_of[product as usize];
                let rank = catalogue.topics[topic as usize]
                    .products
                    .items
                    .iter()
                    .position(|&p| p == product)
                    .unwrap();
                let bought =
                    train.iter().filter(|&&p| catalogue.topic_of[p as usize] == topic).count();
                bought as f64 / (rank as f64 + 4.0)
            };
            let hit = |candidates: &mut Vec<u32>| {
                candidates.sort_unstable();
                candidates.dedup();
                candidates.retain(|product| !train.contains(product));
                candidates.sort_by(|&a, &b| interest(b).total_cmp(&interest(a)));
                candidates.truncate(10);
                candidates.iter().any(|product| graph.test_products.row(user).contains(product))
            };
            let rng = &mut generator(1, Purpose::RandomWalk, [user as u64, 0, 0]);
            let mut reached = vec![user as u32];
            for width in [25, 5, 1] {
                reached = reached
                    .into_iter()
                    .flat_map(|node| {
                        let mut tails = graph.edges(node).1.to_vec();
                        tails.shuffle(rng);
                        tails.truncate(width);
                        tails
                    })
                    .collect();
            }
            reached.retain(|&node| graph.space.entity_type(node) == EntityType::Product);
            let mut reached: Vec<u32> =
                reached.into_iter().map(|node| graph.space.index(node)).collect();
            walk_hits += usize::from(hit(&mut reached));
            all_hits += usize::from(hit(&mut products.clone().collect()));
        }
        (walk_hits as f64 / users as f64, all_hits as f64 / users as f64)
    }

    #[test]
    fn there_is_something_to_learn() {
        let (walk, all) = hit_rates(SyntheticSpec::embedded());

        assert!(all > 0.5 && walk < 0.6 * all, "at random {walk}, at best {all}");
    }

    #[test]
    fn words_survive_the_filter() {
        let dataset = SyntheticSpec::embedded().generate().unwrap();
        let graph = Graph::build(&dataset, &GraphParams::default()).unwrap();
        let edges = graph.edges_by_relation();
        let per_user = |relation: Relation| edges[relation as usize] / 500;

        assert!((10..60).contains(&per_user(Relation::Mentions)), "{edges:?}");
        assert!(per_user(Relation::Purchase) >= 6, "{edges:?}");
    }
}

//! What does not depend on users: the topics, what belongs to them, and the products' own relations.

use super::SyntheticSpec;
use crate::data::Rows;
use crate::kg::EntityType;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Items with a chance each: the earlier, the likelier.
#[derive(Clone, Debug)]
pub(super) struct Skewed {
    pub(super) items: Vec<u32>,
    cumulative: Vec<f64>,
}

impl Skewed {
    /// The chance of the item at place i is proportional to 1/(i + `flat`).
    fn new(items: Vec<u32>, flat: f64) -> Self {
        let mut sum = 0.0;
        let cumulative = (0..items.len())
            .map(|i| {
                sum += 1.0 / (i as f64 + flat);
                sum
            })
            .collect();
        Self { items, cumulative }
    }

    /// Draws an item. There is at least one.
    pub(super) fn draw(&self, rng: &mut impl Rng) -> u32 {
        let last = self.items.len() - 1;
        let at = rng.random::<f64>() * self.cumulative[last];
        self.items[self.cumulative.partition_point(|&c| c <= at).min(last)]
    }
}

/// What belongs to a topic.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    /// From popular to rare.
    pub(super) products: Skewed,
    pub(super) words: Skewed,
    brands: Vec<u32>,
    category: u32,
    /// Related products that are not products of the dataset.
    outside: Vec<u32>,
}

/// The planted structure.
#[derive(Clone, Debug)]
pub(super) struct Catalogue {
    pub(super) topics: Vec<Topic>,
    /// Topic of each product.
    pub(super) topic_of: Vec<u32>,
    /// Words that reviews of every topic use.
    pub(super) common_words: Skewed,
    /// Words that reviews of one product use, [`OWN_WORDS`] of each.
    pub(super) own_words: Vec<[u32; OWN_WORDS]>,
    pub(super) counts: [u32; EntityType::COUNT],
    pub(super) product_relations: [Rows; 5],
}

pub(super) const OWN_WORDS: usize = 4;

/// Number of brands, general categories and related products for a number of products and topics.
const PRODUCTS_A_BRAND: u32 = 12;
const GENERAL_CATEGORIES: u32 = 4;

impl Catalogue {
    pub(super) fn new(spec: &SyntheticSpec, rng: &mut ChaCha8Rng) -> Self {
        let topic_count = spec.topics as usize;
        let brand_count = (spec.products / PRODUCTS_A_BRAND).max(spec.topics);
        let related_count = spec.products + spec.products / 2;

        // Dealing shuffled entities out in turn gives every topic some of each.
        let products = dealt(shuffled(spec.products, rng), topic_count);
        let brands = dealt(shuffled(brand_count, rng), topic_count);
        let mut words = shuffled(spec.words, rng);
        let topic_words = words.split_off(words.len() * 3 / 20);
        let common_words = if words.is_empty() { topic_words.clone() } else { words };
        let related = shuffled(related_count, rng);
        let (shadows, outside) = related.split_at(spec.products as usize);
        let outside = dealt(outside.to_vec(), topic_count);
        // Nearly all words of a topic are its own; a third of the vocabulary is for products alone.
        let own_pool = topic_words.clone();
        let words = dealt(topic_words[topic_words.len() / 3..].to_vec(), topic_count);

        let mut topic_of = vec![0u32; spec.products as usize];
        for (topic, list) in products.iter().enumerate() {
            list.iter().for_each(|&product| topic_of[product as usize] = topic as u32);
        }
        let own_words = topic_of
            .iter()
            .map(|_| std::array::from_fn(|_| own_pool[rng.random_range(0..own_pool.len())]))
            .collect();
        let topics: Vec<Topic> = (0u32..)
            .zip(products.into_iter().zip(words).zip(brands.into_iter().zip(outside)))
            .map(|(category, ((products, words), (brands, outside)))| Topic {
                products: Skewed::new(products, 4.0),
                words: Skewed::new(words, 8.0),
                brands,
                category,
                outside,
            })
            .collect();

        let relations = Relations { topics: &topics, topic_of: &topic_of, shadows, brand_count };
        let product_relations = relations.draw(rng);
        let counts = [
            spec.users,
            spec.products,
            spec.words,
            brand_count,
            spec.topics + GENERAL_CATEGORIES,
            related_count,
        ];
        Self {
            topics,
            topic_of,
            common_words: Skewed::new(common_words, 3.0),
            own_words,
            counts,
            product_relations,
        }
    }
}

/// What the products' own relations are drawn from.
struct Relations<'a> {
    topics: &'a [Topic],
    topic_of: &'a [u32],
    /// The related product that stands for each product.
    shadows: &'a [u32],
    brand_count: u32,
}

impl Relations<'_> {
    /// Rows by [`crate::kg::Relation::OF_PRODUCT`].
    fn draw(&self, rng: &mut ChaCha8Rng) -> [Rows; 5] {
        let mut rows: [Rows; 5] = std::array::from_fn(|_| Rows::new());
        let topic_count = self.topics.len() as u32;
        for (product, &topic) in self.topic_of.iter().enumerate() {
            let topic = &self.topics[topic as usize];
            rows[0].push([if rng.random::<f64>() < 0.8 {
                topic.brands[rng.random_range(0..topic.brands.len())]
            } else {
                rng.random_range(0..self.brand_count)
            }]);
            let general = topic_count + rng.random_range(0..GENERAL_CATEGORIES);
            let own = if rng.random::<f64>() < 0.85 {
                topic.category
            } else {
                rng.random_range(0..topic_count)
            };
            rows[1].push([own, general]);
            for (row, sizes) in rows[2..].iter_mut().zip([4..=8, 2..=5, 0..=2]) {
                let mut tails: Vec<u32> = Vec::new();
                for _ in 0..rng.random_range(sizes) {
                    let tail = self.related(topic, rng);
                    // A product is not related to itself, nor twice to another.
                    if tail != self.shadows[product] && !tails.contains(&tail) {
                        tails.push(tail);
                    }
                }
                row.push(tails);
            }
        }
        rows
    }

    fn related(&self, topic: &Topic, rng: &mut ChaCha8Rng) -> u32 {
        let kind = rng.random::<f64>();
        if kind < 0.8 || (kind < 0.9 && topic.outside.is_empty()) {
            self.shadows[topic.products.draw(rng) as usize]
        } else if kind < 0.9 {
            topic.outside[rng.random_range(0..topic.outside.len())]
        } else {
            self.shadows[rng.random_range(0..self.shadows.len())]
        }
    }
}

fn shuffled(count: u32, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut all: Vec<u32> = (0..count).collect();
    all.shuffle(rng);
    all
}

/// Deals items out in turn.
fn dealt(items: Vec<u32>, hands: usize) -> Vec<Vec<u32>> {
    let mut dealt = vec![Vec::new(); hands];
    for (i, item) in items.into_iter().enumerate() {
        dealt[i % hands].push(item);
    }
    dealt
}

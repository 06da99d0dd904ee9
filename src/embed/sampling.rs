//! What training draws at random: negatives by frequency, and which word occurrences it keeps
//! (SPEC section 2; Mikolov et al. 2013 for both).

use crate::data::{Dataset, Rows};
use crate::kg::{EntityType, NodeSpace, Relation};
use rand::Rng;

/// A distribution over entities of one type.
#[derive(Clone, Debug)]
pub struct Negatives {
    /// First node of the type.
    offset: u32,
    /// Cumulative weights.
    cumulative: Vec<f64>,
}

impl Negatives {
    /// Weights frequency^0.75. `None` where every frequency is zero.
    fn by_frequency(frequencies: &[u64], offset: u32) -> Option<Self> {
        let mut total = 0.0;
        let cumulative: Vec<f64> = frequencies
            .iter()
            .map(|&f| {
                // f^0.75 by square roots, whose last bit does not depend on the C library.
                let root = (f as f64).sqrt();
                total += root * root.sqrt();
                total
            })
            .collect();
        (total > 0.0).then_some(Self { offset, cumulative })
    }

    /// A node.
    pub fn draw(&self, rng: &mut impl Rng) -> u32 {
        let total = self.cumulative.last().copied().unwrap_or(0.0);
        let point = rng.random::<f64>() * total;
        // Entities of weight zero share their predecessor's sum and are never the first above.
        let index = self.cumulative.partition_point(|&c| c <= point);
        self.offset + index.min(self.cumulative.len() - 1) as u32
    }
}

/// The negatives of each relation; `None` where the dataset has no triple of it.
pub fn negatives(dataset: &Dataset, space: &NodeSpace) -> [Option<Negatives>; Relation::COUNT] {
    let of_product = |relation| {
        let place = Relation::OF_PRODUCT.iter().position(|&r| r == relation)?;
        Some(&dataset.product_relations[place])
    };
    Relation::ALL.map(|relation| {
        let (_, tail) = relation.ends()?;
        let frequencies = match relation {
            Relation::Purchase => vec![1; dataset.count(EntityType::Product)],
            Relation::Mentions | Relation::DescribedAs => word_frequencies(dataset),
            _ => frequencies(of_product(relation)?, dataset.count(tail)),
        };
        Negatives::by_frequency(&frequencies, space.offset(tail))
    })
}

fn frequencies(rows: &Rows, count: usize) -> Vec<u64> {
    let mut frequencies = vec![0; count];
    for &value in &rows.values {
        frequencies[value as usize] += 1;
    }
    frequencies
}

fn word_frequencies(dataset: &Dataset) -> Vec<u64> {
    frequencies(&dataset.train.words, dataset.count(EntityType::Word))
}

/// The probability that an occurrence of a word becomes a training item, by word:
/// min(1, (√(f/τ) + 1)·τ/f) with τ = `subsample` × all tokens.
pub fn keep_probabilities(dataset: &Dataset, subsample: f64) -> Vec<f32> {
    let threshold = subsample * dataset.train.words.values.len() as f64;
    word_frequencies(dataset)
        .into_iter()
        .map(|f| {
            let ratio = threshold / f as f64;
            if f == 0 { 1.0 } else { ((ratio.sqrt().recip() + 1.0) * ratio).min(1.0) as f32 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, generator};

    #[test]
    fn negatives_follow_frequency_to_three_quarters() {
        let frequencies = [16, 0, 1, 81, 256];
        let weights = [8.0, 0.0, 1.0, 27.0, 64.0];
        let negatives = Negatives::by_frequency(&frequencies, 100).unwrap();
        let mut rng = generator(3, Purpose::EmbeddingTraining, [0, 0, 0]);
        let draws = 100_000;
        let mut counts = [0.0f64; 5];
        for _ in 0..draws {
            counts[negatives.draw(&mut rng) as usize - 100] += 1.0;
        }
        assert_eq!(counts[1], 0.0);
        let chi_square: f64 = (0..5)
            .filter(|&i| weights[i] > 0.0)
            .map(|i| {
                let expected = f64::from(draws) * weights[i] / 100.0;
                (counts[i] - expected).powi(2) / expected
            })
            .sum();
        // The 99.9 % quantile with 3 degrees of freedom.
        assert!(chi_square < 16.27, "chi-square {chi_square}");
        assert!(Negatives::by_frequency(&[0, 0], 0).is_none());
    }

    #[test]
    fn frequent_words_are_kept_less_often() {
        let mut dataset = Dataset {
            counts: [1, 1, 4, 0, 0, 0],
            has_words: true,
            train: Default::default(),
            test: Default::default(),
            product_relations: Default::default(),
        };
        let words = [(0, 10_000), (1, 100), (2, 1)];
        dataset.train.words = Rows::new();
        dataset.train.words.push(words.iter().flat_map(|&(w, n)| std::iter::repeat_n(w, n)));
        let keep = keep_probabilities(&dataset, 100.0 / 10_101.0);
        // τ = 100: f = 100 τ gives (√100 + 1)/100, f = τ gives 2 and so 1.
        assert!((keep[0] - 0.11).abs() < 1e-6, "{keep:?}");
        assert_eq!(keep[1..], [1.0, 1.0, 1.0]);
    }
}

//! The word filter of SPEC section 1: which words of which train reviews make edges. A review is a
//! document, the train reviews are the corpus.

use crate::data::Rows;
use serde::{Deserialize, Serialize};

/// Which side of the tf-idf threshold is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WordFilter {
    /// Words at or above the threshold: what PGPR's code does.
    #[default]
    KeepHigh,
    /// Words below the threshold: what the sentence of the paper says.
    DropHigh,
}

/// The distinct words of each review that pass the filter, in order of first appearance.
///
/// A word passes when its tf-idf in the review is on the side of `threshold` that `filter` names, and
/// when it appears at most `max_frequency` times in all reviews. tf is the raw count, idf is
/// ln((1 + n) / (1 + df)) + 1, and each review's vector has unit Euclidean length, as scikit-learn's
/// `TfidfTransformer` computes it by default. `vocabulary` bounds the words.
pub fn kept_words(
    reviews: &Rows,
    vocabulary: usize,
    filter: WordFilter,
    threshold: f64,
    max_frequency: u64,
) -> Rows {
    // One counter a word, cleared through the list of the words that were touched, so that a review
    // costs its own length only.
    let mut counts = vec![0u32; vocabulary];
    let mut distinct: Vec<u32> = Vec::new();
    let count = |review: &[u32], counts: &mut [u32], distinct: &mut Vec<u32>| {
        for &word in distinct.iter() {
            counts[word as usize] = 0;
        }
        distinct.clear();
        for &word in review {
            if counts[word as usize] == 0 {
                distinct.push(word);
            }
            counts[word as usize] += 1;
        }
    };

    let mut frequency = vec![0u64; vocabulary];
    let mut documents = vec![0u64; vocabulary];
    for review in reviews.iter() {
        count(review, &mut counts, &mut distinct);
        for &word in &distinct {
            documents[word as usize] += 1;
            frequency[word as usize] += u64::from(counts[word as usize]);
        }
    }
    let n = reviews.len() as f64;
    let idf: Vec<f64> =
        documents.iter().map(|&df| ((1.0 + n) / (1.0 + df as f64)).ln() + 1.0).collect();

    let mut kept = Rows::new();
    for review in reviews.iter() {
        count(review, &mut counts, &mut distinct);
        let weight = |word: u32| f64::from(counts[word as usize]) * idf[word as usize];
        let length = distinct.iter().map(|&word| weight(word).powi(2)).sum::<f64>().sqrt();
        kept.push(distinct.iter().copied().filter(|&word| {
            let high = weight(word) / length >= threshold;
            let wanted = match filter {
                WordFilter::KeepHigh => high,
                WordFilter::DropHigh => !high,
            };
            wanted && frequency[word as usize] <= max_frequency
        }));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reviews() -> Rows {
        let mut rows = Rows::new();
        rows.push([0, 1, 1, 1]);
        rows.push([0, 2]);
        rows.push([]);
        rows
    }

    fn kept(filter: WordFilter, threshold: f64, max_frequency: u64) -> Vec<Vec<u32>> {
        kept_words(&reviews(), 3, filter, threshold, max_frequency)
            .iter()
            .map(<[u32]>::to_vec)
            .collect()
    }

    /// scikit-learn's `TfidfTransformer` on these counts gives
    /// [0.245, 0.969, 0], [0.605, 0, 0.796], [0, 0, 0].
    #[test]
    fn weights_are_those_of_scikit_learn() {
        use WordFilter::*;
        assert_eq!(kept(KeepHigh, 0.24, 99), [vec![0, 1], vec![0, 2], vec![]]);
        assert_eq!(kept(KeepHigh, 0.25, 99), [vec![1], vec![0, 2], vec![]]);
        assert_eq!(kept(KeepHigh, 0.60, 99), [vec![1], vec![0, 2], vec![]]);
        assert_eq!(kept(KeepHigh, 0.61, 99), [vec![1], vec![2], vec![]]);
        assert!(kept(KeepHigh, 0.97, 99).iter().all(Vec::is_empty));
        assert_eq!(kept(DropHigh, 0.61, 99), [vec![0], vec![0], vec![]]);
    }

    #[test]
    fn frequency_counts_every_occurrence() {
        assert_eq!(kept(WordFilter::KeepHigh, 0.1, 3), [vec![0, 1], vec![0, 2], vec![]]);
        assert_eq!(kept(WordFilter::KeepHigh, 0.1, 2), [vec![0], vec![0, 2], vec![]]);
        assert_eq!(kept(WordFilter::DropHigh, 1.0, 1), [vec![], vec![2], vec![]]);
    }
}

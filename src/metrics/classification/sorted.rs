//! Scored paths in the order of their scores: sorted once, then walked for every resample.

use super::Scored;
use rayon::prelude::*;

/// From this score on a path is predicted attacked (SPEC section 8).
const THRESHOLD: f32 = 0.5;

/// Weighted numbers of paths.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Counts {
    pub positives: u64,
    pub negatives: u64,
}

/// Paths from the highest score down, in groups of equal scores.
pub(super) struct Sorted {
    /// Of each path: 2 · its user's place + its label, so that a walk reads one array.
    paths: Vec<u32>,
    /// Where each group ends.
    ends: Vec<u32>,
    /// Of each group.
    scores: Vec<f32>,
    /// Of each user, in the order of their numbers.
    of_user: Vec<Counts>,
    predicted_groups: usize,
}

impl Sorted {
    pub(super) fn new(scored: &Scored) -> Self {
        let Scored { scores, labels, users } = scored;
        assert!(
            scores.len() == labels.len() && scores.len() == users.len(),
            "one label and one user a score"
        );
        assert!(scores.len() < 1 << 31, "paths are counted in 31 bits");
        assert!(!scores.iter().any(|s| s.is_nan()), "a score is not a number");
        let mut known = users.to_vec();
        known.par_sort_unstable();
        known.dedup();
        let mut of_user = vec![Counts::default(); known.len()];
        let mut pairs: Vec<(f32, u32)> = Vec::with_capacity(scores.len());
        for ((score, label), user) in scores.iter().zip(*labels).zip(*users) {
            // Always found: `known` is made from the same users.
            let place = known.partition_point(|k| k < user);
            let counts = &mut of_user[place];
            *if *label { &mut counts.positives } else { &mut counts.negatives } += 1;
            pairs.push((*score, 2 * place as u32 + u32::from(*label)));
        }
        // No score is NaN, so equal scores, the two zeros among them, stand together.
        pairs.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
        let (mut ends, mut group_scores) = (Vec::new(), Vec::new());
        for (i, (score, _)) in pairs.iter().enumerate() {
            if pairs.get(i + 1).is_none_or(|next| next.0 != *score) {
                ends.push(i as u32 + 1);
                group_scores.push(*score);
            }
        }
        let predicted_groups = group_scores.partition_point(|score| *score >= THRESHOLD);
        let paths = pairs.into_iter().map(|(_, path)| path).collect();
        Self { paths, ends, scores: group_scores, of_user, predicted_groups }
    }

    /// Number of users.
    pub(super) fn users(&self) -> usize {
        self.of_user.len()
    }

    /// Number of distinct scores.
    pub(super) fn groups(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn score(&self, group: usize) -> f32 {
        self.scores[group]
    }

    /// How many groups are predicted attacked.
    pub(super) fn predicted_groups(&self) -> usize {
        self.predicted_groups
    }

    /// All paths, each user's counted as often as `weights` says.
    pub(super) fn all(&self, weights: &[u32]) -> Counts {
        let mut all = Counts::default();
        for (counts, weight) in self.of_user.iter().zip(weights) {
            all.positives += counts.positives * u64::from(*weight);
            all.negatives += counts.negatives * u64::from(*weight);
        }
        all
    }

    /// The paths that are predicted attacked.
    pub(super) fn predicted(&self, weights: &[u32]) -> Counts {
        let (mut predicted, mut group) = (Counts::default(), 0);
        self.walk(weights, |at| {
            if group < self.predicted_groups {
                predicted = at;
            }
            group += 1;
        });
        predicted
    }

    /// Calls `each` after every group with the paths of it and of all groups before.
    pub(super) fn walk(&self, weights: &[u32], mut each: impl FnMut(Counts)) {
        // By label: negatives, positives.
        let mut counts = [0u64; 2];
        let mut start = 0;
        for &end in &self.ends {
            for &path in &self.paths[start as usize..end as usize] {
                counts[(path & 1) as usize] += u64::from(weights[(path >> 1) as usize]);
            }
            start = end;
            each(Counts { positives: counts[1], negatives: counts[0] });
        }
    }
}

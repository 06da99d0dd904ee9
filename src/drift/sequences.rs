//! Sets of action sequences, and the vectors that their ids stand for.

use super::Draw;
use super::mmd::DriftError;
use crate::random::{Purpose, generator};
use rand::seq::SliceRandom;
use rayon::prelude::*;

/// A set of action sequences. A sequence is the concatenation of one embedding a position, each
/// given by its index into the position's table of [`Vectors`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    pub positions: usize,
    /// `[n, positions]`, row by row.
    pub ids: Vec<u32>,
}

impl Sequences {
    /// The number of sequences.
    pub fn len(&self) -> usize {
        self.ids.len().checked_div(self.positions).unwrap_or(0)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The ids of sequence `i`, one a position.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.ids[i * self.positions..][..self.positions]
    }

    fn select(&self, rows: &[u32]) -> Sequences {
        let ids = rows.iter().flat_map(|&i| self.row(i as usize)).copied().collect();
        Sequences { positions: self.positions, ids }
    }

    /// The same sequences in lexicographic order, so that what is drawn from a set does not depend
    /// on the order in which it was written.
    pub(super) fn sorted(&self) -> Sequences {
        let mut rows: Vec<u32> = (0..self.len() as u32).collect();
        rows.par_sort_unstable_by(|&a, &b| self.row(a as usize).cmp(self.row(b as usize)));
        self.select(&rows)
    }

    /// At most `most` of the sequences, drawn without replacement, in the order they have here.
    pub(super) fn sample(&self, most: usize, seed: u64, draw: Draw, side: u64) -> Sequences {
        if self.len() <= most {
            return self.clone();
        }
        let (mut taken, _) = draw_rows(self.len(), most, seed, [draw as u64, side, 0]);
        taken.sort_unstable();
        self.select(&taken)
    }
}

/// `most` of the numbers below `n` drawn without replacement, and the others.
fn draw_rows(n: usize, most: usize, seed: u64, at: [u64; 3]) -> (Vec<u32>, Vec<u32>) {
    let mut rows: Vec<u32> = (0..n as u32).collect();
    let mut rng = generator(seed, Purpose::Drift, at);
    let (taken, others) = rows.partial_shuffle(&mut rng, most);
    (taken.to_vec(), others.to_vec())
}

/// Splits a set into two disjoint random halves, each in the order of the set; of an odd number the
/// first half has one more. For the diagonal of a matrix of sets, where a set would be compared with
/// itself.
pub fn halves(x: &Sequences, seed: u64) -> (Sequences, Sequences) {
    let n = x.len();
    let (mut first, mut second) = draw_rows(n, n.div_ceil(2), seed, [Draw::Halves as u64, 0, 0]);
    first.sort_unstable();
    second.sort_unstable();
    (x.select(&first), x.select(&second))
}

/// The vectors that the ids of [`Sequences`] stand for.
#[derive(Clone, Debug)]
pub struct Vectors<'a> {
    /// Length of a vector.
    pub dim: usize,
    /// By position: a table `[count, dim]`, row by row. Positions may share one.
    pub tables: Vec<&'a [f32]>,
}

impl<'a> Vectors<'a> {
    /// The vector of an id at a position.
    ///
    /// # Panics
    /// If there is none; [`check`](Self::check) tells beforehand.
    pub(super) fn vector(&self, position: usize, id: u32) -> &'a [f32] {
        &self.tables[position][id as usize * self.dim..][..self.dim]
    }

    /// Squared Euclidean distance of two sequences, in double precision.
    pub(super) fn squared_distance(&self, x: &[u32], y: &[u32]) -> f64 {
        let mut sum = 0.0;
        for (position, (&x, &y)) in x.iter().zip(y).enumerate() {
            if x != y {
                let pairs = self.vector(position, x).iter().zip(self.vector(position, y));
                sum += pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>();
            }
        }
        sum
    }

    /// Whether every id of the set has a vector here, and a finite one.
    pub(super) fn check(&self, set: &Sequences) -> Result<(), DriftError> {
        if set.positions == 0
            || set.positions != self.tables.len()
            || !set.ids.len().is_multiple_of(set.positions)
        {
            return Err(DriftError::Shape {
                ids: set.ids.len(),
                positions: set.positions,
                tables: self.tables.len(),
            });
        }
        if set.len() < 2 {
            return Err(DriftError::TooFew { found: set.len() });
        }
        for (position, table) in self.tables.iter().enumerate() {
            let count = table.len().checked_div(self.dim).unwrap_or(0);
            let mut seen = vec![false; count];
            for id in set.ids.iter().skip(position).step_by(set.positions).copied() {
                match seen.get_mut(id as usize) {
                    None => return Err(DriftError::Id { position, id, count }),
                    Some(true) => {}
                    Some(seen) => {
                        if !self.vector(position, id).iter().all(|v| v.is_finite()) {
                            return Err(DriftError::NotFinite { position, id });
                        }
                        *seen = true;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(n: u32) -> Sequences {
        Sequences { positions: 2, ids: (0..n).flat_map(|i| [i / 3, i]).collect() }
    }

    #[test]
    fn halves_are_disjoint_and_complete() {
        for n in [0, 1, 2, 7, 100] {
            let set = numbered(n);
            let (a, b) = halves(&set, 5);
            assert_eq!((a.len(), b.len()), (n.div_ceil(2) as usize, n as usize / 2));
            let all = Sequences { positions: 2, ids: [a.ids, b.ids].concat() };
            assert_eq!(all.sorted(), set);
        }
        let set = numbered(100);
        assert_ne!(halves(&set, 5).0, halves(&set, 6).0);
        assert_eq!(halves(&set, 5), halves(&set, 5));
    }

    #[test]
    fn a_sample_has_no_sequence_twice_and_keeps_a_small_set() {
        let set = numbered(50);
        assert_eq!(set.sample(50, 1, Draw::Sample, 0), set);
        let sample = set.sample(20, 1, Draw::Sample, 0);
        assert_eq!(sample.len(), 20);
        assert_eq!(sample.sorted(), sample);
        assert!((1..20).all(|i| sample.row(i - 1) < sample.row(i)));
        assert_ne!(sample, set.sample(20, 1, Draw::Sample, 1));
    }

    #[test]
    fn distances_add_up_over_positions() {
        let (people, kinds) = ([0.0, 0.0, 3.0, 4.0], [1.0, 1.0, 1.0, -1.0]);
        let vectors = Vectors { dim: 2, tables: vec![&people, &kinds] };
        assert_eq!(vectors.squared_distance(&[0, 0], &[1, 1]), 25.0 + 4.0);
        assert_eq!(vectors.squared_distance(&[1, 0], &[1, 0]), 0.0);
    }
}

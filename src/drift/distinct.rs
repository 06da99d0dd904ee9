//! A set of sequences as the sums over its kernel read it: each distinct sequence once, with how
//! often it occurs, in an order in which neighbours share their first positions.

use super::sequences::{Sequences, Vectors};
use rayon::prelude::*;
use std::ops::Range;

/// The vectors in use at each position, moved and scaled, in one table: the ids of the first
/// position, then those of the second, and so on.
#[derive(Debug)]
pub(super) struct Vocabulary {
    pub dim: usize,
    /// By position: its first row; one more at the end.
    starts: Vec<usize>,
    /// By row: the id it stands for, ascending within a position.
    ids: Vec<u32>,
    /// `[rows, dim]`: (vector − centre) / (√2·σ), so that a kernel's factor is exp(−‖x − y‖²).
    pub vectors: Vec<f32>,
    /// By row: the sum of squares, added up in the order of the dimensions.
    pub norms: Vec<f32>,
}

impl Vocabulary {
    /// The vectors that either set uses, for the bandwidth σ > 0.
    pub fn new(sets: [&Sequences; 2], vectors: &Vectors, bandwidth: f64) -> Vocabulary {
        let (dim, positions) = (vectors.dim, vectors.tables.len());
        let scale = 1.0 / (std::f64::consts::SQRT_2 * bandwidth);
        let mut starts = vec![0];
        let (mut ids, mut packed) = (Vec::new(), Vec::new());
        for position in 0..positions {
            let column = |set: &Sequences| -> Vec<u32> {
                set.ids.iter().skip(position).step_by(positions).copied().collect()
            };
            let mut used = [column(sets[0]), column(sets[1])].concat();
            used.par_sort_unstable();
            used.dedup();
            // Squared distances come from |a|² + |b|² − 2ab, which loses digits where vectors lie
            // far from zero compared with their distances; distances do not change when all vectors
            // of a position move. The median, because one far vector does not carry it away.
            let centre: Vec<f64> = (0..dim)
                .into_par_iter()
                .map(|d| {
                    let mut values: Vec<f32> =
                        used.iter().map(|&id| vectors.vector(position, id)[d]).collect();
                    let middle = values.len() / 2;
                    f64::from(*values.select_nth_unstable_by(middle, f32::total_cmp).1)
                })
                .collect();
            for &id in &used {
                let vector = vectors.vector(position, id).iter().zip(&centre);
                packed.extend(vector.map(|(&v, c)| ((f64::from(v) - c) * scale) as f32));
            }
            ids.extend(used);
            starts.push(ids.len());
        }
        let norm = |row: usize| packed[row * dim..][..dim].iter().fold(0.0, |sum, v| sum + v * v);
        let norms = (0..ids.len()).map(norm).collect();
        Vocabulary { dim, starts, ids, vectors: packed, norms }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// The rows of a position.
    pub fn rows(&self, position: usize) -> Range<usize> {
        self.starts[position]..self.starts[position + 1]
    }

    /// The row of an id that one of the sets has at a position.
    pub fn row(&self, position: usize, id: u32) -> u32 {
        let rows = self.rows(position);
        // Every id of the sets was put in by `new`.
        let place = self.ids[rows.clone()].partition_point(|&i| i < id);
        (rows.start + place) as u32
    }
}

/// The distinct sequences of a set, in lexicographic order.
#[derive(Debug)]
pub(super) struct Distinct {
    pub positions: usize,
    /// `[len, positions]`: rows of the vocabulary.
    pub rows: Vec<u32>,
    /// How often each occurs; exact as f32 below 2²⁴.
    pub weights: Vec<f32>,
    /// How many first positions each has in common with the one before it.
    pub shared: Vec<u32>,
}

impl Distinct {
    /// Of a set in lexicographic order.
    pub fn new(sorted: &Sequences, vocabulary: &Vocabulary) -> Distinct {
        let positions = sorted.positions;
        let mut distinct =
            Distinct { positions, rows: Vec::new(), weights: Vec::new(), shared: Vec::new() };
        for i in 0..sorted.len() {
            let row = sorted.row(i);
            let shared = if i == 0 {
                0
            } else {
                row.iter().zip(sorted.row(i - 1)).take_while(|(a, b)| a == b).count()
            };
            match distinct.weights.last_mut() {
                Some(weight) if shared == positions => *weight += 1.0,
                _ => {
                    let ids = row.iter().enumerate();
                    distinct.rows.extend(ids.map(|(position, &id)| vocabulary.row(position, id)));
                    distinct.weights.push(1.0);
                    distinct.shared.push(shared as u32);
                }
            }
        }
        distinct
    }

    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// The rows of distinct sequence `i`.
    pub fn row(&self, i: usize) -> &[u32] {
        &self.rows[i * self.positions..][..self.positions]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_merged_and_rows_lead_back_to_the_ids() {
        let x = Sequences { positions: 2, ids: vec![1, 3, 1, 3, 1, 4, 2, 3] };
        let y = Sequences { positions: 2, ids: vec![0, 4, 2, 9] };
        let table: Vec<f32> = (0..10).map(|i| i as f32).collect();
        let vectors = Vectors { dim: 1, tables: vec![&table, &table] };
        let vocabulary = Vocabulary::new([&x, &y], &vectors, std::f64::consts::FRAC_1_SQRT_2);
        assert_eq!(vocabulary.starts, [0, 3, 6]);
        assert_eq!(vocabulary.ids, [0, 1, 2, 3, 4, 9]);
        assert_eq!(vocabulary.vectors, [-1.0, 0.0, 1.0, -1.0, 0.0, 5.0]);
        assert_eq!(vocabulary.norms, [1.0, 0.0, 1.0, 1.0, 0.0, 25.0]);
        let distinct = Distinct::new(&x, &vocabulary);
        assert_eq!(distinct.rows, [1, 3, 1, 4, 2, 3]);
        assert_eq!(distinct.weights, [2.0, 1.0, 1.0]);
        assert_eq!(distinct.shared, [0, 1, 0]);
    }
}

//! Sums of the kernel over pairs of sequences, by its factors.
//!
//! exp(−‖x − y‖²) = Π_h exp(−‖x_h − y_h‖²) over the positions h, and at a position only so many
//! vectors occur. So for [`LANES`] sequences x at a time the factors against every vector of the
//! vocabulary are tabulated, and a pair costs one factor a position, or less: y is read in an order
//! in which the product over its first positions is often the one of its predecessor.
//!
//! No sum runs in an order that threads could change, and there is no fused multiply-add: the bits
//! are the same on every processor.

use super::distinct::{Distinct, Vocabulary};
use crate::embed::kernel::exp_of_negative;
use multiversion::multiversion;
use std::ops::Range;

/// Sequences x handled together: their factors of one vector fill a cache line.
pub(super) const LANES: usize = 16;
/// Vectors of the vocabulary whose products with the lanes are held in registers together.
const ROWS: usize = 4;
/// Pairs a lane that are summed up in single precision before they enter the double.
const SHORT: usize = 64;

pub(super) type Lanes = [f32; LANES];

/// The kernel's factors between the vocabulary and sequences x of one block, some lanes at a time.
#[derive(Debug)]
pub(super) struct Factors<'a> {
    vocabulary: &'a Vocabulary,
    set: &'a Distinct,
    block: Range<usize>,
    /// By position: what the sequences of the block have in common there.
    common: Vec<Option<Common>>,
    /// By row of the vocabulary: the factors between its vector and those of the current lanes.
    table: Vec<Lanes>,
    turned: Vec<Lanes>,
}

/// A position at which the block's sequences have so few vectors that their factors are computed once
/// for the block and then copied to the lanes.
#[derive(Debug)]
struct Common {
    /// By sequence of the block: the place of its vector.
    places: Vec<usize>,
    /// By place / [`LANES`], then by row of the position's vocabulary: the factors.
    table: Vec<Lanes>,
}

impl<'a> Factors<'a> {
    /// For a block of sequences of a set.
    pub fn new(vocabulary: &'a Vocabulary, set: &'a Distinct, block: Range<usize>) -> Factors<'a> {
        let mut turned = vec![[0.0; LANES]; vocabulary.dim];
        let common = (0..set.positions)
            .map(|position| {
                let column = || block.clone().map(|i| set.row(i)[position]);
                let mut used: Vec<u32> = column().collect();
                used.sort_unstable();
                used.dedup();
                if used.len().div_ceil(LANES) == block.len().div_ceil(LANES) {
                    return None;
                }
                let places = column().map(|row| used.partition_point(|&u| u < row)).collect();
                let count = vocabulary.rows(position).len();
                let mut table = vec![[0.0; LANES]; used.len().div_ceil(LANES) * count];
                for (rows, out) in used.chunks(LANES).zip(table.chunks_exact_mut(count)) {
                    fill(vocabulary, position, rows, &mut turned, out);
                }
                Some(Common { places, table })
            })
            .collect();
        let table = vec![[0.0; LANES]; vocabulary.norms.len()];
        Factors { vocabulary, set, block, common, table, turned }
    }

    /// Turns to the sequences `lanes` of the block: at least one, at most [`LANES`]. Lanes left over
    /// repeat the last one.
    pub fn turn_to(&mut self, lanes: Range<usize>) {
        let member = |lane: usize| (lanes.start + lane).min(lanes.end - 1);
        for (position, common) in self.common.iter().enumerate() {
            let out = &mut self.table[self.vocabulary.rows(position)];
            match common {
                Some(common) => {
                    let place = |lane| common.places[member(lane) - self.block.start];
                    spread(&common.table, std::array::from_fn(place), out);
                }
                None => {
                    let rows: [u32; LANES] =
                        std::array::from_fn(|lane| self.set.row(member(lane))[position]);
                    fill(self.vocabulary, position, &rows, &mut self.turned, out);
                }
            }
        }
    }

    /// By current lane: Σ weight·k over the sequences `range` of a set.
    pub fn sum(&self, set: &Distinct, range: Range<usize>) -> [f64; LANES] {
        sum(&self.table, set, range)
    }
}

/// The factors between at most [`LANES`] rows of the vocabulary, the last one repeated, and all rows
/// of a position. `turned` is scratch of length `dim`.
fn fill(
    vocabulary: &Vocabulary,
    position: usize,
    lanes: &[u32],
    turned: &mut [Lanes],
    out: &mut [Lanes],
) {
    let dim = vocabulary.dim;
    let mut norms = [0.0; LANES];
    for (lane, norm) in norms.iter_mut().enumerate() {
        let row = lanes[lane.min(lanes.len() - 1)] as usize;
        *norm = vocabulary.norms[row];
        // A dimension's values are together.
        let vector = &vocabulary.vectors[row * dim..][..dim];
        for (turned, &v) in turned.iter_mut().zip(vector) {
            turned[lane] = v;
        }
    }
    factors(turned, &norms, vocabulary, vocabulary.rows(position), out);
}

/// Copies the factors at `places` of a [`Common`] table to the lanes.
fn spread(common: &[Lanes], places: [usize; LANES], out: &mut [Lanes]) {
    let count = out.len();
    let sources = places.map(|place| (&common[place / LANES * count..][..count], place % LANES));
    for (row, out) in out.iter_mut().enumerate() {
        for (out, (source, lane)) in out.iter_mut().zip(&sources) {
            *out = source[row][*lane];
        }
    }
}

/// exp(−(‖x‖² + ‖y‖² − 2xy)) of the lanes' vectors x and the rows y.
#[multiversion(targets("x86_64+avx2"))]
fn factors(
    turned: &[Lanes],
    norms: &Lanes,
    vocabulary: &Vocabulary,
    rows: Range<usize>,
    out: &mut [Lanes],
) {
    let dim = turned.len();
    let end = rows.end;
    for (start, out) in rows.step_by(ROWS).zip(out.chunks_mut(ROWS)) {
        // A last, shorter group repeats its last row and drops what comes of it.
        let row = |r: usize| (start + r).min(end - 1);
        let vectors: [&[f32]; ROWS] =
            std::array::from_fn(|r| &vocabulary.vectors[row(r) * dim..][..dim]);
        let mut dots = [[0.0f32; LANES]; ROWS];
        for (d, x) in turned.iter().enumerate() {
            for r in 0..ROWS {
                let y = vectors[r][d];
                for l in 0..LANES {
                    dots[r][l] += x[l] * y;
                }
            }
        }
        for (r, out) in out.iter_mut().enumerate() {
            let norm = vocabulary.norms[row(r)];
            for l in 0..LANES {
                // Of a vector with itself exactly 0: its norm adds up the same products in the same
                // order.
                out[l] = exp_of_minus((norms[l] + norm) - 2.0 * dots[r][l]);
            }
        }
    }
}

/// exp(−x); 1 for x < 0, which only rounding makes of a squared distance; 0 for x > 80.
#[inline(always)]
fn exp_of_minus(x: f32) -> f32 {
    let value = exp_of_negative(if x > 0.0 { -x } else { 0.0 });
    if x > 80.0 { 0.0 } else { value }
}

#[multiversion(targets("x86_64+avx2"))]
fn sum(table: &[Lanes], set: &Distinct, range: Range<usize>) -> [f64; LANES] {
    let positions = set.positions;
    let last = positions - 1;
    // By position: the product of the factors before it.
    let mut products = vec![[1.0f32; LANES]; positions];
    let mut total = [0.0f64; LANES];
    let mut fresh = true;
    let mut start = range.start;
    while start < range.end {
        let end = range.end.min(start + SHORT);
        let mut part = [0.0f32; LANES];
        let weights = &set.weights[start..end];
        let shared = &set.shared[start..end];
        let rows = set.rows[start * positions..end * positions].chunks_exact(positions);
        for ((row, &weight), &shared) in rows.zip(weights).zip(shared) {
            // The first of the range has no predecessor here.
            let from = if fresh { 0 } else { shared as usize };
            fresh = false;
            let mut product = products[from];
            for h in from..last {
                let factor = &table[row[h] as usize];
                for l in 0..LANES {
                    product[l] *= factor[l];
                }
                products[h + 1] = product;
            }
            let factor = &table[row[last] as usize];
            for l in 0..LANES {
                part[l] += product[l] * factor[l] * weight;
            }
        }
        for l in 0..LANES {
            total[l] += f64::from(part[l]);
        }
        start = end;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_agrees_with_double_precision() {
        let mut worst = 0.0f64;
        for i in 0..=8000 {
            let x = i as f32 * 0.01;
            worst = worst.max((f64::from(exp_of_minus(x)) / (-f64::from(x)).exp() - 1.0).abs());
        }
        assert!(worst < 4e-7, "relative error {worst}");
        assert_eq!(exp_of_minus(0.0), 1.0);
        assert_eq!(exp_of_minus(-1e-7), 1.0);
        assert_eq!(exp_of_minus(81.0), 0.0);
        assert_eq!(exp_of_minus(f32::INFINITY), 0.0);
    }
}

//! The first two principal components of two sets of action sequences together, and the sets on them.

use super::Draw;
use super::distinct::{Distinct, Vocabulary};
use super::mmd::{DriftError, DriftParams, Samples};
use super::sequences::{Sequences, Vectors};
use super::subspace;
use crate::plan::{Cloud, Projection};

/// Most points a side: more of them hide one another in a figure.
const POINTS: usize = 200;

/// Projects two sets on the first two principal components of their union: the sequences that
/// [`compare`](super::compare) compares with the same parameters, each counting once. Of either set at most
/// 200 sequences become points, drawn without replacement.
///
/// Components are eigenvectors of the covariance matrix; the entry of one that is farthest from 0 is positive.
/// As in a comparison, the order of the sequences, which set is `x`, and the number of threads do not change
/// a bit of the result.
///
/// Time is that of some dozens of products with the matrix, none of which forms it: each goes once over the
/// vectors in use and once over the sequences.
///
/// # Errors
/// As [`compare`](super::compare).
pub fn project(
    x: &Sequences,
    y: &Sequences,
    vectors: &Vectors,
    params: &DriftParams,
) -> Result<Projection, DriftError> {
    let Samples { sets: [x, y], swapped } = Samples::draw(x, y, vectors, params)?;
    let pooled = Pooled::new([&x, &y], vectors);
    let total = pooled.variance();
    let mut components = subspace::leading(pooled.mean.len(), &|vector| pooled.covariance(vector));
    for (_, component) in &mut components {
        fix_sign(component);
    }
    let share = |at: usize| match components.get(at) {
        Some((variance, _)) if total > 0.0 => (variance / total).clamp(0.0, 1.0),
        _ => 0.0,
    };
    let shares = [share(0), share(1)];
    let cloud = |set: &Sequences, side: u64| {
        let few = set.sample(POINTS, params.seed, Draw::Points, side);
        let place = |i: usize| {
            [0, 1].map(|at| match components.get(at) {
                Some((_, component)) if total > 0.0 => pooled.place(few.row(i), component),
                _ => 0.0,
            })
        };
        Cloud { sequences: set.len() as u64, points: (0..few.len()).map(place).collect() }
    };
    let (mut first, mut second) = (cloud(&x, 0), cloud(&y, 1));
    shorten([&mut first, &mut second]);
    if swapped {
        std::mem::swap(&mut first, &mut second);
    }
    Ok(Projection { shares, rollout: first, other: second })
}

/// Of a component and its opposite, the one whose entry farthest from 0 is positive; of several as far, the
/// first.
fn fix_sign(component: &mut [f64]) {
    let farthest =
        component.iter().fold(0.0_f64, |most, v| if v.abs() > most.abs() { *v } else { most });
    if farthest < 0.0 {
        component.iter_mut().for_each(|v| *v = -*v);
    }
}

/// Rounds the points to a ten-thousandth of what is between them: no figure shows more.
fn shorten(clouds: [&mut Cloud; 2]) {
    let largest = clouds.iter().flat_map(|cloud| cloud.points.iter().flatten());
    let largest = largest.fold(0.0_f64, |most, v| most.max(v.abs()));
    if largest == 0.0 {
        return;
    }
    let digits = 4 - largest.log10().floor() as i32;
    for number in clouds.into_iter().flat_map(|cloud| cloud.points.iter_mut().flatten()) {
        // A power of ten that is a whole number, so that the quotient is the number with these digits.
        *number = match digits {
            0.. => (*number * 10f64.powi(digits)).round() / 10f64.powi(digits),
            _ => (*number / 10f64.powi(-digits)).round() * 10f64.powi(-digits),
        } + 0.0;
    }
}

/// Two sets as one sample.
struct Pooled {
    vocabulary: Vocabulary,
    sets: [Distinct; 2],
    /// How many sequences there are.
    count: f64,
    /// How often each row of the vocabulary occurs.
    uses: Vec<f64>,
    /// Of the sequences, all positions one after the other.
    mean: Vec<f64>,
}

impl Pooled {
    fn new(sets: [&Sequences; 2], vectors: &Vectors) -> Self {
        // With this bandwidth the vocabulary has the vectors in their own unit.
        let vocabulary = Vocabulary::new(sets, vectors, std::f64::consts::FRAC_1_SQRT_2);
        let count = (sets[0].len() + sets[1].len()) as f64;
        let sets = sets.map(|set| Distinct::new(set, &vocabulary));
        let mut uses = vec![0.0; vocabulary.len()];
        for set in &sets {
            for (i, weight) in set.weights.iter().enumerate() {
                set.row(i).iter().for_each(|&row| uses[row as usize] += f64::from(*weight));
            }
        }
        let mean = vec![0.0; vocabulary.dim * vectors.tables.len()];
        let mut pooled = Self { vocabulary, sets, count, uses, mean };
        pooled.mean = pooled.sum(&pooled.uses).into_iter().map(|sum| sum / count).collect();
        pooled
    }

    fn vector(&self, row: usize) -> impl Iterator<Item = f64> {
        let dim = self.vocabulary.dim;
        self.vocabulary.vectors[row * dim..][..dim].iter().map(|v| f64::from(*v))
    }

    /// Each row of the vocabulary as often as `times` says, added up at its position.
    fn sum(&self, times: &[f64]) -> Vec<f64> {
        let dim = self.vocabulary.dim;
        let mut sum = vec![0.0; self.mean.len()];
        for (position, sum) in sum.chunks_exact_mut(dim).enumerate() {
            for row in self.vocabulary.rows(position) {
                let terms = sum.iter_mut().zip(self.vector(row));
                terms.for_each(|(sum, v)| *sum += times[row] * v);
            }
        }
        sum
    }

    /// The product of each row of the vocabulary, less the mean, with its part of a vector.
    fn products(&self, with: &[f64]) -> Vec<f64> {
        let dim = self.vocabulary.dim;
        let mut products = Vec::with_capacity(self.uses.len());
        for (position, part) in with.chunks_exact(dim).enumerate() {
            let mean = &self.mean[position * dim..][..dim];
            products.extend(self.vocabulary.rows(position).map(|row| {
                let terms = self.vector(row).zip(mean).zip(part);
                terms.map(|((v, mean), part)| (v - mean) * part).sum::<f64>()
            }));
        }
        products
    }

    /// The covariance matrix times a vector.
    fn covariance(&self, vector: &[f64]) -> Vec<f64> {
        let products = self.products(vector);
        let mut times = vec![0.0; products.len()];
        for set in &self.sets {
            for (i, weight) in set.weights.iter().enumerate() {
                let rows = set.row(i);
                let place: f64 = rows.iter().map(|&row| products[row as usize]).sum();
                let place = f64::from(*weight) * place / self.count;
                rows.iter().for_each(|&row| times[row as usize] += place);
            }
        }
        // The places add up to 0, so that the mean need not be taken from the vectors again.
        self.sum(&times)
    }

    /// The trace of the covariance matrix.
    fn variance(&self) -> f64 {
        let dim = self.vocabulary.dim;
        let mut sum = 0.0;
        for (position, mean) in self.mean.chunks_exact(dim).enumerate() {
            for row in self.vocabulary.rows(position) {
                let far = self.vector(row).zip(mean).map(|(v, mean)| (v - mean).powi(2));
                sum += self.uses[row] * far.sum::<f64>();
            }
        }
        sum / self.count
    }

    /// Where a sequence is on a component.
    fn place(&self, ids: &[u32], component: &[f64]) -> f64 {
        let dim = self.vocabulary.dim;
        let parts = ids.iter().zip(self.mean.chunks_exact(dim)).zip(component.chunks_exact(dim));
        let places = parts.enumerate().map(|(position, ((&id, mean), part))| {
            let vector = self.vector(self.vocabulary.row(position, id) as usize);
            vector.zip(mean).zip(part).map(|((v, mean), part)| (v - mean) * part).sum::<f64>()
        });
        places.sum()
    }
}

#[cfg(test)]
mod tests;

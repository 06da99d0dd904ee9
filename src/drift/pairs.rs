//! Sums of the kernel over all pairs of sequences of two sets, in blocks.

use super::distinct::{Distinct, Vocabulary};
use super::factors::{Factors, LANES};
use super::mmd::DriftError;
use super::sequences::{Sequences, Vectors};
use rayon::prelude::*;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Distinct sequences a task of the thread pool; a multiple of [`LANES`]. More of them have more
/// vectors in common, and the tables of a task grow. A constant of the program: sums are added up
/// task by task.
const BLOCK: usize = 128;

/// The sums of the kernel over all pairs of two sorted sets: (x with x, x with y, y with y), where
/// the bandwidth is σ > 0.
pub(super) fn kernel_sums(
    sets: [&Sequences; 2],
    vectors: &Vectors,
    bandwidth: f64,
    progress: &(dyn Fn(usize, usize) -> ControlFlow<()> + Sync),
) -> Result<(f64, f64, f64), DriftError> {
    let vocabulary = Vocabulary::new(sets, vectors, bandwidth);
    let [x, y] = sets.map(|set| Distinct::new(set, &vocabulary));
    let total = x.len() + y.len();
    let done = AtomicUsize::new(0);
    let blocks = |set: &Distinct| (0..set.len()).step_by(BLOCK).collect::<Vec<_>>();
    // Of a block of x the factors serve x and y; a block of y is left with the pairs within y.
    let tasks: Vec<(bool, usize)> = blocks(&x)
        .into_iter()
        .map(|start| (true, start))
        .chain(blocks(&y).into_iter().map(|start| (false, start)))
        .collect();
    let sums: Vec<(f64, f64)> = tasks
        .par_iter()
        .map(|&(of_x, start)| {
            let (own, other) = if of_x { (&x, Some(&y)) } else { (&y, None) };
            let (mut within, mut across) = (0.0, 0.0);
            let block = start..own.len().min(start + BLOCK);
            let mut factors = Factors::new(&vocabulary, own, block.clone());
            for first in block.clone().step_by(LANES) {
                let lanes = first..block.end.min(first + LANES);
                factors.turn_to(lanes.clone());
                let weights = &own.weights[lanes.clone()];
                let weighted = |sums: [f64; LANES]| -> f64 {
                    weights.iter().zip(sums).map(|(&w, sum)| f64::from(w) * sum).sum()
                };
                // Each pair of two different groups of lanes is met once and counts twice.
                within += weighted(factors.sum(own, lanes.clone()));
                within += 2.0 * weighted(factors.sum(own, lanes.end..own.len()));
                if let Some(other) = other {
                    across += weighted(factors.sum(other, 0..other.len()));
                }
                let done = done.fetch_add(lanes.len(), Ordering::Relaxed) + lanes.len();
                if progress(done, total).is_break() {
                    return Err(DriftError::Stopped);
                }
            }
            Ok((within, across))
        })
        .collect::<Result<_, _>>()?;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (&(of_x, _), (within, across)) in tasks.iter().zip(sums) {
        if of_x {
            xx += within;
            xy += across;
        } else {
            yy += within;
        }
    }
    Ok((xx, xy, yy))
}

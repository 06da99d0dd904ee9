//! Drift: how far two sets of action sequences are apart, as the maximum mean discrepancy (SPEC
//! section 7; Gretton et al., A Kernel Two-Sample Test, JMLR 13, 2012); and both in a picture, on their
//! first two principal components.

mod bandwidth;
mod distinct;
mod factors;
pub mod mmd;
mod pairs;
pub mod paths;
mod permutation;
mod principal;
pub mod sequences;
mod subspace;

pub use mmd::{Drift, DriftError, DriftParams, compare};
pub use paths::PathInput;
pub use principal::project;
pub use sequences::{Sequences, Vectors, halves};

/// What a draw is for: the first word of its place, beside [`crate::random::Purpose::Drift`]. The
/// numbers enter results: never reuse or renumber one.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
enum Draw {
    /// The sequences of a set that is larger than the most allowed.
    Sample = 0,
    /// Pairs for the bandwidth.
    Pairs = 1,
    /// The sequences of the permutation test.
    PermutationSample = 2,
    /// Labels of one permutation.
    Relabelling = 3,
    /// Two halves of one set.
    Halves = 4,
    /// The sequences of a set that become points of a picture.
    Points = 5,
    /// Where the search for principal components begins.
    Directions = 6,
}

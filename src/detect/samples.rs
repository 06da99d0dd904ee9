//! The paths that a detector is trained and tested on (SPEC section 8).

use crate::agent::path::Path;

/// Paths with their labels, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples {
    pub paths: Vec<Path>,
    /// Whether each path counts as attacked.
    pub labels: Vec<bool>,
}

impl Samples {
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }
}

/// What a detector is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    pub training: Samples,
    pub validation: Samples,
}

//! Detection of attacked paths (SPEC section 8): parameters of detectors, and the paths that they are
//! trained and tested on. The detectors themselves need tensors and are the worker's.

pub mod params;
pub mod samples;

pub use params::{Decay, Decision, DetectorParams, Label, Method, Negatives, Split};
pub use samples::{Part, Samples, SamplesError, Source, Test};

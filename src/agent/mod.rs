//! The agent as far as it needs no libtorch: its environment (SPEC section 3), its weights on disk and
//! its parameters (section 4), recommendation lists and rollouts (section 5). The network, its training
//! and the beam search are in the worker's package.

pub mod calibration;
pub mod environment;
pub mod params;
pub mod path;
pub mod recommendation;
pub mod rollout;
pub mod weights;

pub use environment::{Actions, Environment};
pub use params::{AgentParams, Algorithm, RewardKind};
pub use path::{HOPS, Path};
pub use rollout::Rollout;

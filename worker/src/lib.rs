//! What of advrec needs libtorch: the policy and value network, its training, beam search, and the
//! stages that a worker runs. Definitions are in docs/method.md, called SPEC here.

pub mod attacker;
pub mod beam;
pub mod bench;
pub mod detection;
pub mod detector;
pub mod libtorch;
pub mod policy;
pub mod realised;
pub mod stages;
pub mod training;
pub mod update;
pub mod victim;
pub mod work;

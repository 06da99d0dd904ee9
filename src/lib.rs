//! Adversarial attacks on reinforcement-learning recommender agents, and their detection: a rebuild
//! of Cao et al., SIGIR 2020, as a grid of stages that run on one machine, on GPUs or under Slurm.
//!
//! ARCHITECTURE.md maps the modules; where the documentation says SPEC, it means the definitions in
//! docs/method.md.

pub mod agent;
pub mod attack;
pub mod causes;
pub mod cli;
pub mod data;
pub mod detect;
pub mod drift;
pub mod embed;
pub mod export;
pub mod grid;
pub mod kg;
pub mod live;
pub mod metrics;
pub mod plan;
pub mod random;
pub mod report;
pub mod run;
pub mod store;

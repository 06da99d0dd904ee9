//! Running a plan: the queue of stages, worker processes, the protocol between them and the
//! orchestrator, and what is shown meanwhile.

mod clock;
mod crew;
mod death;
pub mod device;
mod forecast;
pub mod history;
mod interrupt;
mod ledger;
mod link;
mod local;
mod log;
mod memory;
pub mod noop;
mod outcome;
pub mod progress;
pub mod protocol;
mod queue;
mod retries;
pub mod scheduler;
pub mod serve;
pub mod slurm;
mod stocktake;
mod worker;

pub use device::{DeviceError, Devices};
pub use forecast::words;
pub use history::{Estimate, History};
pub use interrupt::Interrupts;
pub use outcome::{Ending, Limits, Outcome, RunError, Settings};
pub use progress::Display;
pub use protocol::{Failure, Hello, Job, Progress};
pub use scheduler::execute;
pub use worker::{REMEDY, WorkerCommand, WorkerError, environment};

//! Stage processes: what is said to them, and how they are run and watched.
//!
//! The worker starts itself again with the argument `stage` for each task attempt. A segfault, a hang or an
//! out-of-memory kill in native code then costs that attempt and never the worker.
//!
//! * [`protocol`]: what the two say to each other
//! * [`child`]: the child's side
//! * [`process`]: the worker's side: start, follow, stop
//! * [`probe`]: the port `CapabilityProbe`: what works here
//! * [`proven`]: what it proved, for the stages that follow
//! * [`check`]: `gpu-check`, every way through the GPU measured
//! * [`runner`]: the port `StageRunner`: from job and plan to files and back

pub mod check;
pub mod child;
mod exit;
mod gauge;
mod isolation;
mod lines;
mod once;
pub mod probe;
pub mod process;
pub mod protocol;
pub mod proven;
pub mod runner;
mod stop;
mod watchdog;

pub use child::{Child, Progress, child_main};
pub use gauge::Gauge;
pub use probe::{DeviceProbe, ProcessProbe, Wanted};
pub use process::{Launcher, StageProcess};
pub use proven::Proven;
pub use runner::{ProcessRunner, RunnerSettings};

//! Stage processes: how they are run and watched; [`protocol`](crate::protocol) is what they and the worker exchange.
//!
//! The worker starts itself again with the argument `stage` for each task attempt. A segfault, a hang or an
//! out-of-memory kill in native code then costs that attempt and never the worker.
//!
//! * [`child`]: the child's side
//! * [`stage_process`]: the worker's side: start, follow, stop
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
pub mod proven;
pub mod runner;
pub mod stage_process;
mod stop;
mod watchdog;

pub use child::{Child, Progress, child_main};
pub use gauge::Gauge;
pub use probe::{DeviceProbe, ProcessProbe, Wanted};
pub use proven::Proven;
pub use runner::{ProcessRunner, RunnerSettings};
pub use stage_process::{Launcher, StageProcess};

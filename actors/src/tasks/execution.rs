//! What an attempt at a task takes on this worker: the lease of the task, the count of its attempts, a stage process, and a
//! place in the progress.

use super::attempt::Attempts;
use super::lease::Leases;
use super::stage::Stages;
use crate::in_flight::InFlight;

/// The execution of tasks.
#[derive(Clone)]
pub(super) struct Execution {
    pub leases: Leases,
    pub attempts: Attempts,
    pub stages: Stages,
    pub in_flight: InFlight,
}

//! What is known of jobs, where it is kept, and how they go on: together, since almost every step of a task needs it.

use super::ending::Endings;
use super::job_state::JobStates;
use super::parts::Parts;
use super::plans::Plans;
use super::successors::Successors;

/// The jobs.
#[derive(Clone)]
pub(super) struct Jobs {
    pub states: JobStates,
    pub plans: Plans,
    pub parts: Parts,
    pub successors: Successors,
    pub endings: Endings,
}

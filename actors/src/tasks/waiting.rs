//! What a job waits for, where its owner can see it: in its checkpoint and in its reports.

use super::job_state::JobStates;
use crate::domain::checkpoint::{Advance, Checkpoint};
use crate::domain::failure::Failure;
use crate::in_flight::InFlight;

/// Shows what jobs wait for.
#[derive(Clone)]
pub(super) struct Waiting {
    states: JobStates,
    in_flight: InFlight,
}

impl Waiting {
    pub fn new(states: JobStates, in_flight: InFlight) -> Self {
        Self { states, in_flight }
    }

    pub async fn show(&self, seen: &Checkpoint, what: String) -> Result<(), Failure> {
        let step = Advance { waiting_for: Some(what), generation: Some(seen.generation), ..Advance::default() };
        self.states.advance(&seen.job_id, step).await?;
        self.in_flight.waits(seen);
        Ok(())
    }
}

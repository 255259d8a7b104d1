//! Cancellations: a job is asked to stop, and ended where nothing of it runs.

use super::early::EarlyCancels;
use super::ending::Endings;
use super::job_state::JobStates;
use crate::domain::checkpoint::{Advance, Checkpoint};
use crate::domain::failure::Failure;
use crate::domain::job::JobId;

/// Cancels jobs.
#[derive(Clone)]
pub struct Cancels {
    early: EarlyCancels,
    states: JobStates,
    endings: Endings,
}

impl Cancels {
    pub(super) fn new(early: EarlyCancels, states: JobStates, endings: Endings) -> Self {
        Self { early, states, endings }
    }

    /// Asks all workers to stop a job; the answer is its checkpoint. A job that nobody has seen yet is cancelled when
    /// it comes.
    ///
    /// # Errors
    /// As the store.
    pub async fn request(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        // Remembered before the checkpoint is looked for: the job may come in between.
        self.early.remember(job_id);
        let checkpoint = self.states.advance(job_id, Advance { cancel: true, ..Advance::default() }).await?;
        if checkpoint.is_some() {
            self.early.forget(job_id);
        }
        Ok(checkpoint)
    }

    /// Ends a job that somebody asked to cancel.
    ///
    /// # Errors
    /// As the store.
    pub async fn end(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        self.endings.end_cancelled(checkpoint).await
    }
}

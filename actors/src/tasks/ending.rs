//! The end of a job: its last report into the outbox, then its work is removed. The first end wins.

use std::sync::Arc;

use super::job_state::JobStates;
use super::plans::Plans;
use super::tally;
use crate::domain::backoff::Backoff;
use crate::domain::checkpoint::{Checkpoint, Outcome};
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::domain::progress::Report;
use crate::in_flight::{InFlight, media_length};
use crate::ports::WorkStorage;

/// Tries to remove the work of a job; what is left is only disk space, which the operator's clean-up takes.
const REMOVE_TRIES: u32 = 3;

/// Ends jobs.
#[derive(Clone)]
pub(super) struct Endings {
    pub states: JobStates,
    pub plans: Plans,
    pub work: Arc<dyn WorkStorage>,
    pub in_flight: InFlight,
    /// The worker that reports it.
    pub worker: String,
}

impl Endings {
    /// Ends a job and removes its work. `plan` is only for the speed in its last report.
    pub async fn end_job(
        &self,
        seen: &Checkpoint,
        outcome: Outcome,
        plan: Option<&Arc<PinnedPlan>>,
    ) -> Result<(), Failure> {
        let job_id = &seen.job_id;
        let checkpoint = self.states.read(job_id).await?.unwrap_or_else(|| seen.clone());
        let known = checkpoint.fingerprint.as_ref().and_then(|print| self.plans.recent(job_id, print));
        let media = plan.or(known.as_ref()).map(|plan| media_length(plan));
        let now = self.states.now();
        let report = Report::of(&checkpoint, 0, media, &self.worker, now).ended(&outcome);
        if self.states.finish(job_id, outcome.clone(), report, now).await? {
            tally::job(&outcome, checkpoint.created_at, now);
            tracing::info!(%job_id, outcome = outcome.status().as_str(), "job ended");
        }
        self.in_flight.job_ended();
        self.clear(job_id).await;
        Ok(())
    }

    /// Ends a job that somebody asked to cancel.
    pub async fn end_cancelled(&self, checkpoint: &Checkpoint) -> Result<(), Failure> {
        if checkpoint.status.is_terminal() {
            return Ok(());
        }
        self.end_job(checkpoint, Outcome::Cancelled, None).await
    }

    /// Removes the work of a job that has ended. Failing to do so harms nothing but the disk. Where the job was opened
    /// again meanwhile, the files may already be those of its new generation, and stay until that ends.
    pub async fn clear(&self, job_id: &JobId) {
        self.plans.forget(job_id);
        for attempt in 1..=REMOVE_TRIES {
            if self.lives_again(job_id).await {
                return;
            }
            match self.work.remove(job_id.clone()).await {
                Ok(()) => return,
                Err(failure) if attempt == REMOVE_TRIES => {
                    tracing::warn!(%job_id, %failure, "work of an ended job was not removed, remove it by hand");
                }
                Err(_) => tokio::time::sleep(Backoff::NETWORK.jittered(attempt)).await,
            }
        }
    }

    async fn lives_again(&self, job_id: &JobId) -> bool {
        let known = self.states.read(job_id).await.ok().flatten();
        known.is_some_and(|known| known.generation > 0 && !known.status.is_terminal())
    }
}

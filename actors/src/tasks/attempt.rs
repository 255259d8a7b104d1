//! The attempts of tasks: each is counted before it begins, so that one that takes its worker with it is counted too.

use std::sync::Arc;

use super::tally;
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::domain::unit::UnitId;
use crate::ports::PartStore;

/// The attempt that runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// Attempts with this one, once it was counted.
    pub counted: Option<u32>,
    /// The key of its task.
    pub task: String,
    /// Media of a chunk that it had encoded when it ended without a part.
    pub media: Option<(Arc<PinnedPlan>, UnitId, u64)>,
}

impl Attempt {
    /// Whether one before it was begun and has not ended well: what that one did is done again.
    pub fn is_again(&self) -> bool {
        self.counted.is_some_and(|counted| counted > 1)
    }

    /// It ended without a part after so much media.
    pub fn ended_after(&mut self, plan: &Arc<PinnedPlan>, unit: UnitId, media_ns: u64) {
        self.media = Some((plan.clone(), unit, media_ns));
    }
}

/// Counts attempts.
#[derive(Clone)]
pub(super) struct Attempts {
    store: Arc<dyn PartStore>,
    /// Attempts of a task before its job fails.
    max: u32,
}

impl Attempts {
    pub fn new(store: Arc<dyn PartStore>, max: u32) -> Self {
        Self { store, max }
    }

    /// Counts the attempt that begins now, before anything can crash.
    pub async fn begin(&self, job_id: &JobId, task: String, attempt: &mut Attempt) -> Result<(), Failure> {
        let attempts = self.count(job_id, task.clone()).await?;
        *attempt = Attempt { counted: Some(attempts), task, media: None };
        if attempts <= self.max {
            return Ok(());
        }
        // This one is not made.
        let begun = attempts - 1;
        attempt.counted = Some(begun);
        Err(Failure::retryable(format!(
            "{} was begun {begun} times and never ended; look for crashed workers and their memory limits",
            attempt.task
        )))
    }

    /// Counts one more attempt; returns how many there were with it.
    pub async fn count(&self, job_id: &JobId, task: String) -> Result<u32, Failure> {
        self.store.count_attempt(job_id.clone(), task).await
    }

    /// Whether the job fails after so many attempts of a task.
    pub fn are_used_up(&self, attempts: u32) -> bool {
        attempts >= self.max
    }

    /// Whether the job fails with this attempt.
    pub fn is_last(&self, attempt: &Attempt) -> bool {
        attempt.counted.is_some_and(|counted| self.are_used_up(counted))
    }

    /// The attempt does not count; its media does, as nobody who begins again will know of it.
    pub async fn give_back(&self, job_id: &JobId, attempt: &Attempt) {
        if attempt.counted.is_none() {
            return;
        }
        if let Err(failure) = self.store.return_attempt(job_id.clone(), attempt.task.clone()).await {
            return tracing::warn!(%job_id, task = attempt.task, %failure, "an attempt that does not count was not given back");
        }
        if let Some((plan, unit, media_ns)) = &attempt.media {
            tally::wasted(plan, *unit, *media_ns);
        }
    }
}

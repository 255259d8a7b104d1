//! A source of the plan is damaged or missing: its input is cut again, by the task that found it.
//!
//! There is nothing to remember and nobody to tell: the task is not finished, so that whoever gets it after a crash finds
//! the source lost once more, or made. Cutting the same input gives the same files under the same fingerprint; they take
//! the place of the old ones by rename, under workers that read them. Parts that are recorded stay, and so do the chains.
//! The attempt of the task counts, so that a storage that loses sources every time fails the job in the end.

use std::sync::Arc;

use super::attempt::Attempt;
use super::{Step, Workbench};
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::ports::SplitRequest;
use crate::work::{Deferral, Execute};

impl Workbench {
    /// Cuts the input of `plan` again for `task`, of which the source is lost as `how` says. The task is tried again then.
    pub(super) async fn resplit(
        &self,
        execute: &Execute,
        task: &Task,
        plan: &Arc<PinnedPlan>,
        how: &str,
        attempt: &Attempt,
    ) -> Result<Step, Failure> {
        if self.is_last(attempt) {
            return Err(Failure::retryable(format!("{how}; see whether the disks of the work storage are whole")));
        }
        let job_id = &plan.job.job_id;
        // Tasks of one worker must not cut the same input side by side: each is an owner of its own.
        let owner = format!("{} {}", self.settings.worker, task.key());
        let Some(lease) = self.hold_as(owner, format!("{job_id}/split")).await? else {
            // Somebody cuts it just now.
            self.give_attempt_back(job_id, attempt).await;
            return Ok(Step::Deferred(Deferral::Briefly));
        };
        tracing::warn!(%job_id, task = task.key(), how, "source is lost, cutting the input again");
        let job = Arc::new(plan.job.clone());
        let outcome = match self.work.identify(job.input.uri.clone()).await {
            Ok(source) => match self.work.pin(job_id.clone(), plan.families()).await {
                Ok(families) => {
                    let request = SplitRequest { job, source, families };
                    self.run_stage(job_id, &lease, request, Box::new(|_| {}), &execute.stop).await
                }
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        lease.release().await;
        let cut = outcome.map_err(|failure| failure.context(how))?;
        self.after_resplit(plan, &cut, how).await
    }

    async fn after_resplit(&self, plan: &PinnedPlan, cut: &Arc<PinnedPlan>, how: &str) -> Result<Step, Failure> {
        let job_id = &plan.job.job_id;
        if cut.fingerprint() != plan.fingerprint() {
            // The input was replaced, or cut by a worker of another version or with another length of chunks: what is
            // there does not fit. The job goes on with the new plan; tasks of the old one are stale.
            tracing::warn!(%job_id, fingerprint = %cut.fingerprint(), "input gives another plan now, the job begins anew");
            return self.start_chains(cut).await;
        }
        let checkpoint = self.store.read(job_id.clone()).await?;
        if checkpoint.is_some_and(|checkpoint| checkpoint.status.is_terminal()) {
            // It ended meanwhile, and somebody may have removed its work just before the sources came back.
            self.clear(job_id).await;
            return Ok(Step::Nothing);
        }
        Err(Failure::retryable(format!("{how}; it was made again")))
    }
}

//! A job message: cut the input unless that was done, put the plan in force, and start the chains.

use std::sync::Arc;

use super::attempt::Attempt;
use super::{Step, Workbench};
use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome};
use crate::domain::failure::Failure;
use crate::domain::job::JobSpec;
use crate::domain::plan::{PinnedPlan, SourceIdentity};
use crate::ports::SplitRequest;
use crate::work::{Deferral, Execute};

/// What there is of a plan.
enum Planned {
    /// It is there.
    Is(Arc<PinnedPlan>),
    /// Another worker makes it, or it waits for a GPU.
    Deferred(Step),
}

impl Workbench {
    pub(super) async fn split(
        &self,
        execute: &Execute,
        job: &Arc<JobSpec>,
        attempt: &mut Attempt,
    ) -> Result<Step, Failure> {
        let content = job.content_digest();
        let checkpoint = self.store.open(job.job_id.clone(), content.clone(), self.now()).await?;
        if checkpoint.content != content {
            return self.refuse_double(execute, &job.job_id).await;
        }
        if checkpoint.status.is_terminal() {
            self.clear(&job.job_id).await;
            return Ok(Step::Nothing);
        }
        if checkpoint.cancel_requested || self.early_cancels.take(&job.job_id) {
            self.end_job(&checkpoint, Outcome::Cancelled, None).await?;
            return Ok(Step::Done);
        }
        match self.plan_of(execute, job, &checkpoint, attempt).await? {
            Planned::Is(plan) => self.start_chains(&plan).await,
            Planned::Deferred(step) => Ok(step),
        }
    }

    /// The plan of a job: the one in force if it still fits the input, or a new one.
    async fn plan_of(
        &self,
        execute: &Execute,
        job: &Arc<JobSpec>,
        checkpoint: &Checkpoint,
        attempt: &mut Attempt,
    ) -> Result<Planned, Failure> {
        let source = self.work.identify(job.input.uri.clone()).await?;
        if let Some(plan) = self.plan_in_force(checkpoint, &source).await? {
            return Ok(Planned::Is(plan));
        }
        let Some(families) = self.families(job, checkpoint).await? else {
            return Ok(Planned::Deferred(Step::Deferred(Deferral::Increasing)));
        };
        let task = format!("{}/split", job.job_id);
        let Some(lease) = self.hold(task.clone()).await? else {
            return Ok(Planned::Deferred(Step::Deferred(Deferral::Briefly)));
        };
        self.begin(&job.job_id, task, attempt).await?;
        let status = Some(JobStatus::Splitting);
        self.store.advance(job.job_id.clone(), Advance { status, ..Advance::default() }, self.now()).await?;
        let families = self.work.pin(job.job_id.clone(), families).await?;
        let entry = self.in_flight.split(checkpoint);
        let request = SplitRequest { job: job.clone(), source, families };
        let outcome = self.run_stage(&job.job_id, &lease, request, entry.on_progress(), &execute.stop).await;
        lease.release().await;
        outcome.map(Planned::Is)
    }

    async fn plan_in_force(
        &self,
        checkpoint: &Checkpoint,
        source: &SourceIdentity,
    ) -> Result<Option<Arc<PinnedPlan>>, Failure> {
        let Some(fingerprint) = &checkpoint.fingerprint else { return Ok(None) };
        let plan = self.plan(&checkpoint.job_id, fingerprint).await?;
        Ok(plan.filter(|plan| plan.source == *source))
    }

    /// Puts a plan in force and publishes its first tasks. Those of which the parts are there pass the chains on.
    pub(super) async fn start_chains(&self, plan: &Arc<PinnedPlan>) -> Result<Step, Failure> {
        let job_id = &plan.job.job_id;
        self.plans.keep(plan);
        let units_done = self.restore_parts(plan).await?;
        match self.put_in_force(plan, units_done).await? {
            // The job ended while its input was cut.
            Some(checkpoint) if checkpoint.status.is_terminal() => {
                self.clear(job_id).await;
                return Ok(Step::Nothing);
            }
            Some(_) => {}
            // The store was emptied while the input was cut.
            None => drop(self.rebuild(job_id, plan.fingerprint()).await?),
        }
        tracing::info!(%job_id, chunks = plan.num_chunks(), fingerprint = %plan.fingerprint(), "job was split");
        self.publish_units(plan, plan.after_split(), false).await?;
        Ok(Step::Done)
    }
}

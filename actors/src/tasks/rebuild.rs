//! Where the store was emptied, the checkpoint of a job is built again from the plan and the parts in the work storage.

use super::family::is_for_cpu;
use super::jobs::Jobs;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;

/// Builds the checkpoint of a job again from its work storage; `None` where there is no plan. The plans kept in
/// memory do not count: the job may have ended and its work may be gone.
pub(super) async fn rebuild(
    jobs: &Jobs,
    job_id: &JobId,
    fingerprint: &Fingerprint,
) -> Result<Option<Checkpoint>, Failure> {
    let Some(plan) = jobs.plans.stored(job_id, fingerprint).await? else {
        tracing::info!(%job_id, %fingerprint, "task of a job that nobody knows any more");
        return Ok(None);
    };
    tracing::warn!(%job_id, %fingerprint, "checkpoint is missing, building it again from the work storage");
    // The plan comes last: a checkpoint without one is built again by whoever meets it, so dying in between is safe,
    // and nobody counts parts that are not all there.
    let units_done = jobs.parts.restore(&plan).await?;
    jobs.states.open(job_id, plan.job.content_digest()).await?;
    resume_chains(jobs, &plan).await?;
    let checkpoint = jobs.states.put_in_force(&plan, units_done).await?;
    checkpoint.map(Some).ok_or_else(|| {
        Failure::retryable(format!(
            "the checkpoint of job {job_id} went away while it was built again; see that the store keeps its data"
        ))
    })
}

/// Starts the chains of the plan in force again, if it is still there.
pub(super) async fn resume_chains_of(jobs: &Jobs, job_id: &JobId, fingerprint: &Fingerprint) -> Result<(), Failure> {
    match jobs.plans.read(job_id, fingerprint).await? {
        Some(plan) => resume_chains(jobs, &plan).await,
        None => Ok(()),
    }
}

/// Starts each chain again where its first part is missing. A part that the store knew and the work storage lost has
/// no task any more, and nobody remembers that it had one; where there is a task, two are as good.
async fn resume_chains(jobs: &Jobs, plan: &PinnedPlan) -> Result<(), Failure> {
    let known = jobs.parts.all(plan).await?;
    let on_cpu = is_for_cpu(plan, known.values());
    jobs.successors.units(plan, plan.frontier(|unit| known.contains_key(&unit)), on_cpu).await
}

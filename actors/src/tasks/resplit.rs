//! A source of the plan is damaged or missing: its input is cut again, by the task that found it.
//!
//! There is nothing to remember and nobody to notify: the task is not finished, so that whoever gets it after a crash finds
//! the source lost once more, or made. Cutting the same input gives the same files under the same fingerprint; they take
//! the place of the old ones by rename, under workers that read them. Parts that are recorded stay, and so do the chains.
//! The attempt of the task counts, so that a storage that loses sources every time fails the job in the end.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::chains::start_chains;
use super::execution::Execution;
use super::jobs::Jobs;
use super::lease::Lease;
use super::step::Step;
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::ports::{SplitRequest, WorkStorage};
use crate::work::Deferral;

/// What a resplit needs.
#[derive(Clone)]
pub(super) struct ResplitContext {
    pub jobs: Jobs,
    pub execution: Execution,
    pub work: Arc<dyn WorkStorage>,
}

/// Cuts the input of `plan` again for `task`, of which the source is lost as `how` says. The task is tried again then.
pub(super) async fn resplit(
    context: &ResplitContext,
    task: &Task,
    plan: &PinnedPlan,
    how: &str,
    attempt: &Attempt,
    stop: &CancellationToken,
) -> Result<Step, Failure> {
    let ResplitContext { jobs, execution, .. } = context;
    if execution.attempts.is_last(attempt) {
        return Err(Failure::retryable(format!("{how}; see whether the disks of the work storage are whole")));
    }
    let job_id = &plan.job.job_id;
    // Tasks of one worker must not cut the same input side by side: each is an owner of its own.
    let Some(lease) = execution.leases.hold_within(&task.key(), format!("{job_id}/split")).await? else {
        // Somebody cuts it at the moment.
        execution.attempts.give_back(job_id, attempt).await;
        return Ok(Step::Deferred(Deferral::Briefly));
    };
    tracing::warn!(%job_id, task = task.key(), how, "source is lost, cutting the input again");
    let outcome = cut_again(context, plan, plan.from_start, &lease, stop).await;
    lease.release().await;
    let cut = outcome.map_err(|failure| failure.context(how))?;
    after_resplit(jobs, plan, &cut, how).await
}

/// The outputs of `plan` are not what its input shows, as `how` says: cuts it so that each chunk is decoded from the beginning of
/// the film, and begins the job anew with that. A decoder that begins at the first picture has all that it can have; where
/// that was done the job fails.
pub(super) async fn decode_from_start(
    context: &ResplitContext,
    task: &Task,
    plan: &PinnedPlan,
    how: &str,
    attempt: &Attempt,
    stop: &CancellationToken,
) -> Result<Step, Failure> {
    if plan.from_start {
        return Err(Failure::permanent(format!(
            "{how}; it was decoded from its beginning as well, so nothing is published"
        )));
    }
    let ResplitContext { jobs, execution, .. } = context;
    let job_id = &plan.job.job_id;
    let Some(lease) = execution.leases.hold_within(&task.key(), format!("{job_id}/split")).await? else {
        // Somebody cuts it at the moment.
        execution.attempts.give_back(job_id, attempt).await;
        return Ok(Step::Deferred(Deferral::Briefly));
    };
    tracing::warn!(%job_id, how, "outputs are not what the input shows, decoding it from its beginning");
    let outcome = cut_again(context, plan, true, &lease, stop).await;
    lease.release().await;
    start_chains(jobs, &outcome.map_err(|failure| failure.context(how))?).await
}

async fn cut_again(
    context: &ResplitContext,
    plan: &PinnedPlan,
    from_start: bool,
    lease: &Lease,
    stop: &CancellationToken,
) -> Result<Arc<PinnedPlan>, Failure> {
    let ResplitContext { execution, work, .. } = context;
    let job = Arc::new(plan.job.clone());
    let source = work.identify(job.input.uri.clone()).await?;
    let families = work.pin(job.job_id.clone(), plan.families()).await?;
    let request = SplitRequest { job, source, families, from_start };
    execution.stages.run(&plan.job.job_id, lease, request, Box::new(|_| {}), stop).await
}

async fn after_resplit(jobs: &Jobs, plan: &PinnedPlan, cut: &Arc<PinnedPlan>, how: &str) -> Result<Step, Failure> {
    let job_id = &plan.job.job_id;
    if cut.fingerprint() != plan.fingerprint() {
        // The input was replaced, or cut by a worker of another version or with another length of chunks: what is
        // there does not fit. The job goes on with the new plan; tasks of the old one are stale.
        tracing::warn!(%job_id, fingerprint = %cut.fingerprint(), "input gives another plan now, the job begins anew");
        return start_chains(jobs, cut).await;
    }
    let checkpoint = jobs.states.read(job_id).await?;
    if checkpoint.is_some_and(|checkpoint| checkpoint.status.is_terminal()) {
        // It ended meanwhile, and somebody may have removed its work just before the sources came back.
        jobs.endings.clear(job_id).await;
        return Ok(Step::Nothing);
    }
    Err(Failure::retryable(format!("{how}; it was made again")))
}

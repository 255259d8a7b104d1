//! A job message: cut the input unless that was done, put the plan in force, and start the chains.

use std::sync::Arc;

use super::attempt::Attempt;
use super::chains::start_chains;
use super::dead_letters::DeadLetters;
use super::device::Devices;
use super::early::EarlyCancels;
use super::execution::Execution;
use super::jobs::Jobs;
use super::refuse::refuse_double;
use super::step::Step;
use crate::domain::checkpoint::{Checkpoint, Outcome};
use crate::domain::failure::Failure;
use crate::domain::job::JobSpec;
use crate::domain::plan::{PinnedPlan, SourceIdentity};
use crate::ports::{SplitRequest, WorkStorage};
use crate::work::{Deferral, Execute};

/// What a split needs.
pub(super) struct SplitContext {
    pub jobs: Jobs,
    pub execution: Execution,
    pub devices: Devices,
    pub work: Arc<dyn WorkStorage>,
    pub early_cancels: EarlyCancels,
    pub dead_letters: DeadLetters,
}

/// What there is of a plan.
enum Planned {
    /// It is there.
    Is(Arc<PinnedPlan>),
    /// Another worker makes it, or it waits for a GPU.
    Deferred(Deferral),
}

pub(super) async fn split(
    context: &SplitContext,
    execute: &Execute,
    job: &Arc<JobSpec>,
    attempt: &mut Attempt,
) -> Result<Step, Failure> {
    let jobs = &context.jobs;
    let content = job.content_digest();
    let checkpoint = jobs.states.open(&job.job_id, content.clone()).await?;
    if checkpoint.content != content {
        return refuse_double(&context.dead_letters, &execute.delivery, &job.job_id).await;
    }
    if checkpoint.status.is_terminal() {
        jobs.endings.clear(&job.job_id).await;
        return Ok(Step::Nothing);
    }
    if checkpoint.cancel_requested || context.early_cancels.take(&job.job_id) {
        jobs.endings.end_job(&checkpoint, Outcome::Cancelled, None).await?;
        return Ok(Step::Done);
    }
    match plan_of(context, execute, job, &checkpoint, attempt).await? {
        Planned::Is(plan) => start_chains(jobs, &plan).await,
        Planned::Deferred(deferral) => Ok(Step::Deferred(deferral)),
    }
}

/// The plan of a job: the one in force if it still fits the input, or a new one.
async fn plan_of(
    context: &SplitContext,
    execute: &Execute,
    job: &Arc<JobSpec>,
    checkpoint: &Checkpoint,
    attempt: &mut Attempt,
) -> Result<Planned, Failure> {
    let SplitContext { jobs, execution, devices, work, .. } = context;
    let source = work.identify(job.input.uri.clone()).await?;
    if let Some(plan) = plan_in_force(jobs, checkpoint, &source).await? {
        return Ok(Planned::Is(plan));
    }
    let Some(families) = devices.families(job, checkpoint).await? else {
        return Ok(Planned::Deferred(Deferral::Increasing));
    };
    let task = format!("{}/split", job.job_id);
    let Some(lease) = execution.leases.hold(task.clone()).await? else {
        return Ok(Planned::Deferred(Deferral::Briefly));
    };
    execution.attempts.begin(&job.job_id, task, attempt).await?;
    jobs.states.enter_split(&job.job_id).await?;
    let families = work.pin(job.job_id.clone(), families).await?;
    let entry = execution.in_flight.split(checkpoint);
    let request = SplitRequest { job: job.clone(), source, families, from_start: false };
    let outcome = execution.stages.run(&job.job_id, &lease, request, entry.on_progress(), &execute.stop).await;
    lease.release().await;
    outcome.map(Planned::Is)
}

async fn plan_in_force(
    jobs: &Jobs,
    checkpoint: &Checkpoint,
    source: &SourceIdentity,
) -> Result<Option<Arc<PinnedPlan>>, Failure> {
    let Some(fingerprint) = &checkpoint.fingerprint else { return Ok(None) };
    let plan = jobs.plans.read(&checkpoint.job_id, fingerprint).await?;
    Ok(plan.filter(|plan| plan.source == *source))
}

//! What a task finds when it arrives: whether its job still wants it, the checkpoint and the plan.

use std::sync::Arc;

use super::jobs::Jobs;
use super::rebuild::{rebuild, resume_chains_of};
use super::step::Step;
use crate::domain::checkpoint::{Checkpoint, Outcome};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;

/// What a task finds.
enum Found {
    /// Its job has ended: the rest of its work can go.
    Ended,
    /// Nobody knows of its job any more, or waits for its split.
    Stale,
    /// Its job follows this plan.
    Superseded(Fingerprint),
    /// Somebody asked to stop its job.
    Cancelled(Checkpoint),
    /// There is work.
    Live(Checkpoint, Arc<PinnedPlan>),
}

/// What becomes of a task that arrives.
pub(super) enum Entered {
    /// There is work.
    Live(Box<Checkpoint>, Arc<PinnedPlan>),
    /// There is none, or what there was is done.
    Over(Step),
}

/// Looks what `task` finds, and does what is left where its job wants no work any more.
pub(super) async fn enter(jobs: &Jobs, task: &Task) -> Result<Entered, Failure> {
    match find(jobs, task).await? {
        Found::Ended => {
            // Whoever ended the job may have died before it removed the work, or a part became durable after that.
            jobs.endings.clear(task.job_id()).await;
            Ok(Entered::Over(Step::Nothing))
        }
        Found::Stale => Ok(Entered::Over(Step::Nothing)),
        Found::Superseded(by) => {
            // Whoever put that plan in force may have died before its first tasks were published.
            resume_chains_of(jobs, task.job_id(), &by).await?;
            Ok(Entered::Over(Step::Nothing))
        }
        Found::Cancelled(checkpoint) => {
            jobs.endings.end_job(&checkpoint, Outcome::Cancelled, None).await?;
            Ok(Entered::Over(Step::Done))
        }
        Found::Live(checkpoint, plan) => Ok(Entered::Live(Box::new(checkpoint), plan)),
    }
}

async fn find(jobs: &Jobs, task: &Task) -> Result<Found, Failure> {
    let (job_id, fingerprint) = (task.job_id(), task.fingerprint());
    let known = jobs.states.read(job_id).await?;
    if known.as_ref().is_some_and(Checkpoint::awaits_split) {
        return Ok(Found::Stale);
    }
    // Without a plan: the store was emptied, and whoever built the checkpoint again died halfway.
    let checkpoint = match known.filter(|known| known.status.is_terminal() || known.fingerprint.is_some()) {
        Some(checkpoint) => checkpoint,
        None => match rebuild(jobs, job_id, fingerprint).await? {
            Some(checkpoint) => checkpoint,
            None => return Ok(Found::Stale),
        },
    };
    if checkpoint.status.is_terminal() {
        return Ok(Found::Ended);
    }
    if let Some(by) = checkpoint.fingerprint.clone().filter(|by| by != fingerprint) {
        return Ok(Found::Superseded(by));
    }
    if checkpoint.cancel_requested {
        return Ok(Found::Cancelled(checkpoint));
    }
    let plan = jobs.plans.read(job_id, fingerprint).await?.ok_or_else(|| {
        Failure::retryable(format!(
            "the work storage has no plan {fingerprint} of job {job_id}; see that all workers share one work storage"
        ))
    })?;
    Ok(Found::Live(checkpoint, plan))
}

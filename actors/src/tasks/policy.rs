//! What is done about a failure: by its class alone, never by its text.
//!
//! | class | what follows |
//! |---|---|
//! | interrupted | the job was cancelled: it ends so. The worker stops: no attempt, somebody else goes on. Neither of them: a storage is full, no attempt, the task is deferred |
//! | permanent | the job fails |
//! | retryable, device | tried again after a backoff; after `max_attempts` the job fails. A device that is not required does not come here: see `device` |

use super::attempt::{Attempt, Attempts};
use super::dead_letters::DeadLetters;
use super::full::FullStorage;
use super::jobs::Jobs;
use super::tally::{self, Outcome as TaskOutcome};
use crate::domain::checkpoint::{Checkpoint, Outcome};
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::job::{JobId, JobSpec};
use crate::work::{Deferral, Disposition, Execute, Work};

/// What the policy acts on.
pub(super) struct PolicyContext {
    pub jobs: Jobs,
    pub attempts: Attempts,
    pub dead_letters: DeadLetters,
    pub full_storage: FullStorage,
}

/// Deals with a failed attempt.
pub(super) async fn after_failure(
    context: &PolicyContext,
    execute: &Execute,
    attempt: Attempt,
    failure: Failure,
) -> (Disposition, TaskOutcome) {
    tally::failure(&failure);
    match failure.class {
        FailureClass::Interrupted => after_interruption(context, execute, attempt, &failure).await,
        FailureClass::Permanent => fail(context, execute, attempt.counted.unwrap_or(0), failure).await,
        FailureClass::Retryable | FailureClass::Device => try_again(context, execute, attempt, failure).await,
    }
}

async fn after_interruption(
    context: &PolicyContext,
    execute: &Execute,
    attempt: Attempt,
    failure: &Failure,
) -> (Disposition, TaskOutcome) {
    let PolicyContext { jobs, attempts, full_storage, .. } = context;
    let interrupted = (Disposition::Interrupted, TaskOutcome::Interrupted);
    let Some(job_id) = execute.work.job_id() else { return interrupted };
    let checkpoint = match own_checkpoint(jobs, &execute.work).await {
        Ok(checkpoint) => checkpoint,
        Err(failure) => {
            tracing::warn!(%job_id, %failure, "checkpoint of interrupted work cannot be read");
            return interrupted;
        }
    };
    match checkpoint {
        Some(ended) if ended.status.is_terminal() => {
            jobs.endings.clear(job_id).await;
            (Disposition::Finished, TaskOutcome::Cancelled)
        }
        Some(cancelled) if cancelled.cancel_requested => match jobs.endings.end_cancelled(&cancelled).await {
            Ok(()) => (Disposition::Finished, TaskOutcome::Cancelled),
            Err(failure) => {
                tracing::warn!(%job_id, %failure, "cancelled job cannot be ended yet");
                interrupted
            }
        },
        // Neither this job nor this worker wanted it stopped.
        Some(_) if !execute.stop.is_cancelled() => {
            attempts.give_back(job_id, &attempt).await;
            full_storage.warn(job_id, failure);
            (Disposition::Deferred(Deferral::Increasing), TaskOutcome::Interrupted)
        }
        Some(_) | None => {
            attempts.give_back(job_id, &attempt).await;
            interrupted
        }
    }
}

async fn try_again(
    context: &PolicyContext,
    execute: &Execute,
    attempt: Attempt,
    failure: Failure,
) -> (Disposition, TaskOutcome) {
    let (Some(job_id), Some(key)) = (execute.work.job_id(), execute.work.key()) else {
        return fail(context, execute, attempt.counted.unwrap_or(0), failure).await;
    };
    let attempts = match attempt.counted {
        Some(attempts) => attempts,
        // It failed before the attempt was counted: it counts all the same, so that there is an end to it.
        None => match context.attempts.count(job_id, key.clone()).await {
            Ok(attempts) => attempts,
            Err(uncounted) => return fail(context, execute, 0, uncounted).await,
        },
    };
    if context.attempts.are_used_up(attempts) {
        return fail(context, execute, attempts, failure).await;
    }
    tracing::warn!(%job_id, task = key, class = %failure.class, attempts, %failure, "task failed, it is tried again");
    (Disposition::Retry { attempts }, TaskOutcome::Retried)
}

/// Ends the job as failed. What goes wrong here is logged and no more: the dead letter is the last resort, and a
/// delivery that can neither be done nor be reported must not come back for ever.
async fn fail(
    context: &PolicyContext,
    execute: &Execute,
    attempts: u32,
    failure: Failure,
) -> (Disposition, TaskOutcome) {
    let PolicyContext { jobs, dead_letters, .. } = context;
    let job_id = execute.work.job_id();
    tracing::error!(job_id = job_id.map(JobId::as_str), class = %failure.class, attempts, %failure, "job failed");
    let job = job_of(jobs, &execute.work).await;
    if let Err(unsent) = dead_letters.publish(&execute.delivery, &failure, attempts, job.as_ref()).await {
        tracing::error!(job_id = job_id.map(JobId::as_str), failure = %unsent, "dead letter was refused");
    }
    if let Err(unended) = fail_job(jobs, &execute.work, failure).await {
        tracing::error!(job_id = job_id.map(JobId::as_str), failure = %unended, "job cannot be marked as failed");
    }
    (Disposition::Finished, TaskOutcome::Failed)
}

/// The job of a task, for its dead letter: the work files go with the job, so it can only be sent back as a whole.
async fn job_of(jobs: &Jobs, work: &Work) -> Option<JobSpec> {
    let Work::Task(task) = work else { return None };
    match jobs.plans.read(task.job_id(), task.fingerprint()).await {
        Ok(plan) => plan.map(|plan| plan.job.clone()),
        Err(failure) => {
            tracing::warn!(job_id = %task.job_id(), %failure, "dead letter goes without its job, its plan cannot be read");
            None
        }
    }
}

async fn fail_job(jobs: &Jobs, work: &Work, failure: Failure) -> Result<(), Failure> {
    match own_checkpoint(jobs, work).await? {
        Some(ended) if ended.status.is_terminal() => Ok(()),
        Some(checkpoint) => jobs.endings.end_job(&checkpoint, Outcome::Failed(failure), None).await,
        None => Ok(()),
    }
}

/// The checkpoint that the work belongs to: never that of another job with the same id, nor of another plan.
/// Where the store knows none, a new one.
async fn own_checkpoint(jobs: &Jobs, work: &Work) -> Result<Option<Checkpoint>, Failure> {
    let (Work::Job(_) | Work::Task(_), Some(job_id)) = (work, work.job_id()) else { return Ok(None) };
    let Some(checkpoint) = jobs.states.read(job_id).await? else {
        return Ok(Some(Checkpoint::queued(job_id.clone(), String::new(), jobs.states.now())));
    };
    let own = match work {
        Work::Job(job) => checkpoint.content == job.content_digest(),
        Work::Task(_) if checkpoint.awaits_split() => false,
        Work::Task(task) => checkpoint.fingerprint.as_ref().is_none_or(|print| print == task.fingerprint()),
        Work::Refused(_) => false,
    };
    Ok(own.then_some(checkpoint))
}

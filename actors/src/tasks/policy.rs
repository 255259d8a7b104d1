//! What is done about a failure: by its class alone, never by its text.
//!
//! | class | what follows |
//! |---|---|
//! | interrupted | the job was cancelled: it ends so. The worker stops: no attempt, somebody else goes on. Neither of them: a storage is full, no attempt, it is deferred |
//! | permanent | the job fails |
//! | retryable, device | tried again after a backoff; after `max_attempts` the job fails. A device that is not required does not come here: see `device` |

use super::Workbench;
use super::attempt::Attempt;
use super::tally::{self, Outcome as TaskOutcome};
use crate::domain::checkpoint::{Checkpoint, Outcome};
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::job::{JobId, JobSpec};
use crate::work::{Deferral, Disposition, Execute, Work};

impl Workbench {
    /// Counts the attempt that begins now, before anything can crash.
    pub(super) async fn begin(&self, job_id: &JobId, task: String, attempt: &mut Attempt) -> Result<(), Failure> {
        let attempts = self.store.count_attempt(job_id.clone(), task.clone()).await?;
        *attempt = Attempt { counted: Some(attempts), task, media: None };
        if attempts <= self.settings.max_attempts {
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

    /// Whether the job fails with this attempt.
    pub(super) fn is_last(&self, attempt: &Attempt) -> bool {
        attempt.counted.is_some_and(|counted| counted >= self.settings.max_attempts)
    }

    /// Deals with a failed attempt.
    pub(super) async fn after_failure(
        &self,
        execute: &Execute,
        attempt: Attempt,
        failure: Failure,
    ) -> (Disposition, TaskOutcome) {
        tally::failure(&failure);
        match failure.class {
            FailureClass::Interrupted => self.after_interruption(execute, attempt, &failure).await,
            FailureClass::Permanent => self.fail(execute, attempt.counted.unwrap_or(0), failure).await,
            FailureClass::Retryable | FailureClass::Device => self.try_again(execute, attempt, failure).await,
        }
    }

    async fn after_interruption(
        &self,
        execute: &Execute,
        attempt: Attempt,
        failure: &Failure,
    ) -> (Disposition, TaskOutcome) {
        let interrupted = (Disposition::Interrupted, TaskOutcome::Interrupted);
        let Some(job_id) = execute.work.job_id() else { return interrupted };
        let checkpoint = match self.own_checkpoint(&execute.work).await {
            Ok(checkpoint) => checkpoint,
            Err(failure) => {
                tracing::warn!(%job_id, %failure, "checkpoint of interrupted work cannot be read");
                return interrupted;
            }
        };
        match checkpoint {
            Some(ended) if ended.status.is_terminal() => {
                self.clear(job_id).await;
                (Disposition::Finished, TaskOutcome::Cancelled)
            }
            Some(cancelled) if cancelled.cancel_requested => match self.end_cancelled(&cancelled).await {
                Ok(()) => (Disposition::Finished, TaskOutcome::Cancelled),
                Err(failure) => {
                    tracing::warn!(%job_id, %failure, "cancelled job cannot be ended yet");
                    interrupted
                }
            },
            // Neither this job nor this worker wanted it stopped.
            Some(_) if !execute.stop.is_cancelled() => {
                self.give_attempt_back(job_id, &attempt).await;
                self.full_storage.say(job_id, failure);
                (Disposition::Deferred(Deferral::Increasing), TaskOutcome::Interrupted)
            }
            Some(_) | None => {
                self.give_attempt_back(job_id, &attempt).await;
                interrupted
            }
        }
    }

    /// The attempt does not count; its media does, as nobody who begins anew will know of it.
    pub(super) async fn give_attempt_back(&self, job_id: &JobId, attempt: &Attempt) {
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

    async fn try_again(&self, execute: &Execute, attempt: Attempt, failure: Failure) -> (Disposition, TaskOutcome) {
        let (Some(job_id), Some(key)) = (execute.work.job_id(), execute.work.key()) else {
            return self.fail(execute, attempt.counted.unwrap_or(0), failure).await;
        };
        let attempts = match attempt.counted {
            Some(attempts) => attempts,
            // It failed before the attempt was counted: it counts all the same, so that there is an end to it.
            None => match self.store.count_attempt(job_id.clone(), key.clone()).await {
                Ok(attempts) => attempts,
                Err(uncounted) => return self.fail(execute, 0, uncounted).await,
            },
        };
        if attempts >= self.settings.max_attempts {
            return self.fail(execute, attempts, failure).await;
        }
        tracing::warn!(%job_id, task = key, class = %failure.class, attempts, %failure, "task failed, it is tried again");
        (Disposition::Retry { attempts }, TaskOutcome::Retried)
    }

    /// Ends the job as failed. What goes wrong here is logged and no more: the dead letter is the last resort, and a
    /// delivery that can neither be done nor be reported must not come back for ever.
    async fn fail(&self, execute: &Execute, attempts: u32, failure: Failure) -> (Disposition, TaskOutcome) {
        let job_id = execute.work.job_id();
        tracing::error!(job_id = job_id.map(JobId::as_str), class = %failure.class, attempts, %failure, "job failed");
        let job = self.job_of(&execute.work).await;
        if let Err(unsent) = self.publish_dead_letter(&execute.delivery, &failure, attempts, job.as_ref()).await {
            tracing::error!(job_id = job_id.map(JobId::as_str), failure = %unsent, "dead letter was refused");
        }
        if let Err(unended) = self.fail_job(&execute.work, failure).await {
            tracing::error!(job_id = job_id.map(JobId::as_str), failure = %unended, "job cannot be marked as failed");
        }
        (Disposition::Finished, TaskOutcome::Failed)
    }

    /// The job of a task, for its dead letter: the work files go with the job, so it can only be sent back as a whole.
    async fn job_of(&self, work: &Work) -> Option<JobSpec> {
        let Work::Task(task) = work else { return None };
        match self.plan(task.job_id(), task.fingerprint()).await {
            Ok(plan) => plan.map(|plan| plan.job.clone()),
            Err(failure) => {
                tracing::warn!(job_id = %task.job_id(), %failure, "dead letter goes without its job, its plan cannot be read");
                None
            }
        }
    }

    async fn fail_job(&self, work: &Work, failure: Failure) -> Result<(), Failure> {
        match self.own_checkpoint(work).await? {
            Some(ended) if ended.status.is_terminal() => Ok(()),
            Some(checkpoint) => self.end_job(&checkpoint, Outcome::Failed(failure), None).await,
            None => Ok(()),
        }
    }

    /// The checkpoint that the work belongs to: never that of another job with the same id, nor of another plan.
    /// Where the store knows none, a new one.
    async fn own_checkpoint(&self, work: &Work) -> Result<Option<Checkpoint>, Failure> {
        let (Work::Job(_) | Work::Task(_), Some(job_id)) = (work, work.job_id()) else { return Ok(None) };
        let Some(checkpoint) = self.store.read(job_id.clone()).await? else {
            return Ok(Some(Checkpoint::queued(job_id.clone(), String::new(), self.now())));
        };
        let own = match work {
            Work::Job(job) => checkpoint.content == job.content_digest(),
            Work::Task(_) if checkpoint.awaits_split() => false,
            Work::Task(task) => checkpoint.fingerprint.as_ref().is_none_or(|print| print == task.fingerprint()),
            Work::Refused(_) => false,
        };
        Ok(own.then_some(checkpoint))
    }
}

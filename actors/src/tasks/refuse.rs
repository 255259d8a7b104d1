//! What is not work: to the dead-letter topic with its reason, and reported as failed where it named a job.
//! A job that has the same id and another content is never touched.

use super::dead_letters::DeadLetters;
use super::jobs::Jobs;
use super::step::Step;
use super::tally;
use crate::domain::checkpoint::Outcome;
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::record::Delivery;
use crate::work::Refusal;

/// What a refusal needs.
pub(super) struct RefuseContext {
    pub jobs: Jobs,
    pub dead_letters: DeadLetters,
}

/// Puts a record away that is neither a job nor a task.
pub(super) async fn refuse(context: &RefuseContext, delivery: &Delivery, refusal: &Refusal) -> Result<Step, Failure> {
    let failure = Failure::permanent(refusal.reason.clone());
    tally::failure(&failure);
    tracing::error!(job_id = refusal.job_id.as_ref().map(JobId::as_str), tag = ?delivery.tag, %failure,
        "record is not work, it goes to the dead-letter topic");
    context.dead_letters.publish(delivery, &failure, 0, None).await?;
    if let Some(job_id) = &refusal.job_id {
        fail_unknown(&context.jobs, job_id, &refusal.content, failure).await?;
    }
    Ok(Step::Done)
}

async fn fail_unknown(jobs: &Jobs, job_id: &JobId, content: &str, failure: Failure) -> Result<(), Failure> {
    let checkpoint = jobs.states.open(job_id, content.to_owned()).await?;
    if checkpoint.content == content && !checkpoint.status.is_terminal() {
        jobs.endings.end_job(&checkpoint, Outcome::Failed(failure), None).await?;
    }
    Ok(())
}

/// Puts a job away whose id belongs to another one.
pub(super) async fn refuse_double(
    dead_letters: &DeadLetters,
    delivery: &Delivery,
    job_id: &JobId,
) -> Result<Step, Failure> {
    let failure = Failure::permanent(format!(
        "the job id {job_id} is in use by a job with other content; submit it under another id"
    ));
    tally::failure(&failure);
    tracing::error!(%job_id, %failure, "job goes to the dead-letter topic");
    dead_letters.publish(delivery, &failure, 0, None).await?;
    Ok(Step::Done)
}

//! What is not work: to the dead-letter topic with its reason, and reported as failed where it named a job.
//! A job that has the same id and another content is never touched.

use super::{Step, Workbench, tally};
use crate::domain::checkpoint::Outcome;
use crate::domain::dead_letter;
use crate::domain::failure::Failure;
use crate::domain::job::{JobId, JobSpec};
use crate::domain::record::Delivery;
use crate::work::{Execute, Refusal};

impl Workbench {
    /// Puts a record away that is neither a job nor a task.
    pub(super) async fn refuse(&self, execute: &Execute, refusal: &Refusal) -> Result<Step, Failure> {
        let failure = Failure::permanent(refusal.reason.clone());
        tally::failure(&failure);
        tracing::error!(job_id = refusal.job_id.as_ref().map(JobId::as_str), tag = ?execute.delivery.tag, %failure,
            "record is not work, it goes to the dead-letter topic");
        self.publish_dead_letter(&execute.delivery, &failure, 0, None).await?;
        if let Some(job_id) = &refusal.job_id {
            self.fail_unknown(job_id, &refusal.content, failure).await?;
        }
        Ok(Step::Done)
    }

    async fn fail_unknown(&self, job_id: &JobId, content: &str, failure: Failure) -> Result<(), Failure> {
        let checkpoint = self.store.open(job_id.clone(), content.to_owned(), self.now()).await?;
        if checkpoint.content == content && !checkpoint.status.is_terminal() {
            self.end_job(&checkpoint, Outcome::Failed(failure), None).await?;
        }
        Ok(())
    }

    /// Puts a job away whose id belongs to another one.
    pub(super) async fn refuse_double(&self, execute: &Execute, job_id: &JobId) -> Result<Step, Failure> {
        let failure = Failure::permanent(format!(
            "the job id {job_id} is in use by a job with other content; submit it under another id"
        ));
        tally::failure(&failure);
        tracing::error!(%job_id, %failure, "job goes to the dead-letter topic");
        self.publish_dead_letter(&execute.delivery, &failure, 0, None).await?;
        Ok(Step::Done)
    }

    /// Publishes a record as it came, with what is wrong in its headers and, for a task, the `job` that it belongs to.
    /// One that is too large to be passed on goes without both.
    pub(super) async fn publish_dead_letter(
        &self,
        delivery: &Delivery,
        failure: &Failure,
        attempts: u32,
        job: Option<&JobSpec>,
    ) -> Result<(), Failure> {
        let letter = dead_letter::write(delivery, self.settings.topics.of(delivery.tag.queue), failure, attempts, job);
        let Err(refused) = self.publisher.publish(letter.clone()).await else { return Ok(()) };
        self.publisher.publish(dead_letter::without_contents(letter, refused.message)).await
    }
}

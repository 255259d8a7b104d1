//! What is not work: to the dead-letter topic with its reason, and reported as failed where it named a job.
//! A job that has the same id and another content is never touched.

use super::{Step, Workbench, tally};
use crate::checkpoint::Outcome;
use crate::failure::Failure;
use crate::job::JobId;
use crate::ports::{Delivery, Publication, Queue};
use crate::work::{Refusal, RunWork};

impl Workbench {
    /// Puts a record away that is neither a job nor a task.
    pub(super) async fn refuse(&self, asked: &RunWork, refusal: &Refusal) -> Result<Step, Failure> {
        let failure = Failure::permanent(refusal.reason.clone());
        tally::failure(&failure);
        tracing::error!(job_id = refusal.job_id.as_ref().map(JobId::as_str), tag = ?asked.delivery.tag, %failure,
            "record is not work, it goes to the dead-letter topic");
        self.publish_dead_letter(&asked.delivery, &failure, 0).await?;
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
    pub(super) async fn refuse_double(&self, asked: &RunWork, job_id: &JobId) -> Result<Step, Failure> {
        let failure = Failure::permanent(format!(
            "the job id {job_id} is in use by a job with other content; submit it under another id"
        ));
        tally::failure(&failure);
        tracing::error!(%job_id, %failure, "job goes to the dead-letter topic");
        self.publish_dead_letter(&asked.delivery, &failure, 0).await?;
        Ok(Step::Done)
    }

    /// Publishes a record as it came, with what is wrong in its headers. One that is too large to be passed on goes
    /// without its value.
    pub(super) async fn publish_dead_letter(
        &self,
        delivery: &Delivery,
        failure: &Failure,
        attempts: u32,
    ) -> Result<(), Failure> {
        let letter = dead_letter(delivery, self.settings.topics.of(delivery.tag.queue), failure, attempts);
        let Err(refused) = self.publisher.publish(letter.clone()).await else { return Ok(()) };
        let mut headers = letter.headers;
        headers.push(("value-omitted".into(), refused.message.into_bytes()));
        self.publisher.publish(Publication { value: None, headers, ..letter }).await
    }
}

/// The dead letter of a delivery.
fn dead_letter(delivery: &Delivery, topic: &str, failure: &Failure, attempts: u32) -> Publication {
    let tag = delivery.tag;
    let ours = [
        ("class", failure.class.as_str().to_owned()),
        ("reason", failure.message.clone()),
        ("attempts", attempts.to_string()),
        ("origin-topic", topic.to_owned()),
        ("origin-partition", tag.partition.to_string()),
        ("origin-offset", tag.offset.to_string()),
    ];
    let ours = ours.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    let kept = delivery.headers.iter().filter(|(name, _)| !ours.iter().any(|(known, _)| known == name)).cloned();
    let headers = kept.chain(ours.iter().cloned()).collect();
    Publication {
        queue: Queue::DeadLetter,
        key: delivery.key.clone().unwrap_or_default(),
        value: delivery.value.clone(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::DeliveryTag;

    #[test]
    fn a_dead_letter_is_the_record_with_its_headers_and_where_it_came_from() {
        let delivery = Delivery {
            tag: DeliveryTag { queue: Queue::Cpu, partition: 7, offset: 42, epoch: 3 },
            key: Some(b"movie/v00001".to_vec()),
            value: Some(b"task".to_vec()),
            headers: vec![("trace".into(), b"abc".to_vec()), ("class".into(), b"old".to_vec())],
        };
        let letter = dead_letter(&delivery, "transcoding.tasks.cpu", &Failure::device("no GPU"), 3);
        assert_eq!((&letter.key[..], letter.value.as_deref()), (&b"movie/v00001"[..], Some(&b"task"[..])));
        let headers: Vec<_> =
            letter.headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value))).collect();
        let expected = [
            ("trace", "abc"),
            ("class", "device"),
            ("reason", "no GPU"),
            ("attempts", "3"),
            ("origin-topic", "transcoding.tasks.cpu"),
            ("origin-partition", "7"),
            ("origin-offset", "42"),
        ];
        assert_eq!(headers, expected.map(|(name, value)| (name, value.into())));
    }
}

//! Dead letters: records that cannot be worked on, as they came and with what is wrong in their headers.

use std::sync::Arc;

use crate::domain::dead_letter;
use crate::domain::failure::Failure;
use crate::domain::job::JobSpec;
use crate::domain::record::{Delivery, TopicNames};
use crate::ports::TaskPublisher;

/// Publishes dead letters.
#[derive(Clone)]
pub(super) struct DeadLetters {
    publisher: Arc<dyn TaskPublisher>,
    topics: TopicNames,
}

impl DeadLetters {
    /// `topics` are for the origin of a record.
    pub fn new(publisher: Arc<dyn TaskPublisher>, topics: TopicNames) -> Self {
        Self { publisher, topics }
    }

    /// Publishes `delivery` with the `failure` after `attempts` and, for a task, the `job` that it belongs to. A record
    /// that is too large to be passed on goes without its contents.
    pub async fn publish(
        &self,
        delivery: &Delivery,
        failure: &Failure,
        attempts: u32,
        job: Option<&JobSpec>,
    ) -> Result<(), Failure> {
        let letter = dead_letter::write(delivery, self.topics.of(delivery.tag.queue), failure, attempts, job);
        let Err(refused) = self.publisher.publish(letter.clone()).await else { return Ok(()) };
        self.publisher.publish(dead_letter::without_contents(letter, refused.message)).await
    }
}

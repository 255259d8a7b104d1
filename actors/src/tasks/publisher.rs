//! Records out: successors and dead letters. While the broker is away it waits and tries again; a call ends when the
//! broker has answered, refused for good, or when the asker no longer waits.

use std::sync::Arc;

use metrics::counter;

use crate::domain::backoff::Backoff;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::record::{Publication, Queue, TopicNames};
use crate::metrics as names;
use crate::ports::{Answer, TaskPublisher};
use crate::trace;

/// A publisher that waits while the broker is away. Dropping an answer gives the record up. It may be sent twice: its
/// readers expect that.
#[derive(Clone)]
pub struct PatientPublisher {
    publisher: Arc<dyn TaskPublisher>,
    topics: TopicNames,
}

impl PatientPublisher {
    /// The patient form of `publisher`; `topics` are for the log.
    pub fn new(publisher: Arc<dyn TaskPublisher>, topics: TopicNames) -> Self {
        Self { publisher, topics }
    }
}

impl TaskPublisher for PatientPublisher {
    fn publish(&self, mut record: Publication) -> Answer<()> {
        if let Some(context) = trace::current() {
            context.add_to(&mut record.headers);
        }
        let this = self.clone();
        Box::pin(async move { persist(&*this.publisher, &this.topics, &record).await })
    }
}

async fn persist(publisher: &dyn TaskPublisher, topics: &TopicNames, record: &Publication) -> Result<(), Failure> {
    let mut failures = 0;
    loop {
        let Err(failure) = publisher.publish(record.clone()).await else {
            if record.queue == Queue::DeadLetter {
                counter!(names::DEAD_LETTERS_TOTAL).increment(1);
            }
            return Ok(());
        };
        match failure.class {
            FailureClass::Permanent => return Err(failure),
            FailureClass::Retryable | FailureClass::Device | FailureClass::Interrupted => {}
        }
        failures += 1;
        let key = String::from_utf8_lossy(&record.key);
        tracing::warn!(topic = topics.of(record.queue), %key, failures, %failure, "record was not taken, trying again");
        tokio::time::sleep(Backoff::NETWORK.jittered(failures)).await;
    }
}

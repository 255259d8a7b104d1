//! Records out: successors and dead letters. While the broker is away it waits and tries again; a call ends when the
//! broker has answered, refused for good, or when the asker no longer waits.

use actix::prelude::*;
use metrics::counter;
use tokio_util::sync::CancellationToken;

use super::Consumer;
use crate::domain::backoff::Backoff;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::record::{Publication, Queue, TopicNames};
use crate::link::Link;
use crate::metrics as names;
use crate::ports::{Answer, TaskPublisher};
use crate::trace;

/// Send a record; answered when it is acknowledged. Sent twice at worst: its readers expect that.
#[derive(Clone, Message)]
#[rtype(result = "Result<(), Failure>")]
pub struct Publish {
    record: Publication,
    /// Cancelled when nobody waits for the answer any more.
    abandoned: CancellationToken,
}

impl Handler<Publish> for Consumer {
    type Result = ResponseActFuture<Self, Result<(), Failure>>;

    fn handle(&mut self, publish: Publish, _: &mut Self::Context) -> Self::Result {
        let (publisher, topics) = (self.ports.publisher.clone(), self.ports.topics.clone());
        Box::pin(
            async move {
                tokio::select! {
                    biased;
                    () = publish.abandoned.cancelled() => Err(Failure::interrupted("nobody waits for the record")),
                    answer = persist(&*publisher, &topics, &publish.record) => answer,
                }
            }
            .into_actor(self),
        )
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

/// The publisher as work sees it: each record goes through the consumer of the hour. Dropping an answer gives it up.
#[derive(Clone)]
pub struct PatientPublisher {
    link: Link<Publish>,
}

impl PatientPublisher {
    /// The publisher behind the consumer at the other end of `link`.
    pub fn new(link: Link<Publish>) -> Self {
        Self { link }
    }
}

impl TaskPublisher for PatientPublisher {
    fn publish(&self, mut record: Publication) -> Answer<()> {
        if let Some(context) = trace::current() {
            context.add_to(&mut record.headers);
        }
        let link = self.link.clone();
        Box::pin(async move {
            let abandoned = CancellationToken::new();
            let _abandon = abandoned.clone().drop_guard();
            let asked = link.ask(Publish { record, abandoned }).await;
            asked.unwrap_or_else(|_| Err(Failure::interrupted("publishing: the worker has ended")))
        })
    }
}

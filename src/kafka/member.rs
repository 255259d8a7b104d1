//! A member of the consumer group: the client that reads one topic. Its balance is its own, so that the tasks are
//! spread over all workers whatever the spread of the jobs is. Must never be asked to wait for the cluster.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::failure::Failure;
use actors::domain::record::Queue;
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::context::GroupContext;
use super::intake::{Commit, FlowChange, Incoming, Place};
use super::settings::{KafkaSettings, client_failure};
use super::shared::Shared;

/// See the module. Dropping it leaves the group; its callbacks run in the drop.
pub(super) struct Member {
    pub(super) queue: Queue,
    consumer: BaseConsumer<GroupContext>,
    shared: Arc<Shared>,
}

impl Member {
    /// Makes the client; nothing goes over the network yet. `wake` is called when a poll would give something.
    pub(super) fn new(
        settings: &KafkaSettings,
        queue: Queue,
        shared: Arc<Shared>,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let context = GroupContext::new(queue, Arc::clone(&shared));
        let config = settings.member_config(queue);
        let mut consumer: BaseConsumer<GroupContext> =
            config.create_with_context(context).map_err(|error| client_failure(&error))?;
        consumer.set_nonempty_callback(wake);
        Ok(Self { queue, consumer, shared })
    }

    /// Joins the group.
    ///
    /// # Errors
    /// `permanent` where librdkafka refuses the name of the topic.
    pub(super) fn join(&self) -> Result<(), Failure> {
        let name = self.shared.topics.name(self.queue);
        let refused = |error: KafkaError| Failure::permanent(format!("the topic `{name}` was refused: {error}"));
        self.consumer.subscribe(&[name]).map_err(refused)
    }

    /// Serves the client, and takes a record if there is one.
    pub(super) fn poll(&self) -> Option<KafkaResult<Incoming>> {
        let polled = self.consumer.poll(Duration::ZERO)?;
        Some(polled.map(|record| self.incoming(&record)))
    }

    fn incoming(&self, record: &BorrowedMessage<'_>) -> Incoming {
        Incoming {
            place: (self.queue, record.partition()),
            offset: record.offset(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.payload().map(<[u8]>::to_vec),
            headers: headers_of(record),
        }
    }

    /// Why the client cannot go on, after a fatal error.
    pub(super) fn fatal_reason(&self) -> Option<String> {
        self.consumer.client().fatal_error().map(|(_, reason)| reason)
    }

    /// Pauses and resumes the partitions of this member's topic.
    pub(super) fn apply(&self, change: &FlowChange) {
        let list = |places: &[Place]| {
            let ours = places.iter().filter(|(queue, _)| *queue == self.queue);
            self.shared.list(ours.map(|place| (*place, Offset::Invalid)))
        };
        let (pause, resume) = (list(&change.pause), list(&change.resume));
        for (outcome, what) in [(self.consumer.pause(&pause), "pause"), (self.consumer.resume(&resume), "resume")] {
            if let Err(error) = outcome {
                tracing::warn!(%error, what, "kafka partitions could not be paused or resumed");
            }
        }
    }

    /// Sends a commit whose answer comes to [`GroupContext`] by a later poll. The safe call of rdkafka 0.39 gives no
    /// answer: librdkafka drops it where, as here, callbacks are replaced by events and no queue is named.
    pub(super) fn commit(&self, commits: &[Commit]) -> RDKafkaRespErr {
        let offsets = commits.iter().map(|commit| (commit.place, Offset::Offset(commit.offset)));
        let list: TopicPartitionList = self.shared.list(offsets);
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client lives as long as the consumer, the list as long as the call, which copies it. The reference
        // to the queue is given back at once; the request under way holds one of its own.
        unsafe {
            let queue = native::rd_kafka_queue_get_consumer(client);
            let code = native::rd_kafka_commit_queue(client, list.ptr(), queue, None, std::ptr::null_mut());
            native::rd_kafka_queue_destroy(queue);
            code
        }
    }
}

fn headers_of(record: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
        (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default())
    };
    record.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default()
}

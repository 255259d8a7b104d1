//! Records in, offsets out, records out.

use std::sync::Arc;

use super::answer::Answer;
use crate::domain::dead_letter::{DeadLetter, LetterId};
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::record::{Delivery, DeliveryTag, Publication, Queue};

/// What a [`TaskSource`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceEvent {
    /// A record to work on; one credit is used.
    Delivered(Delivery),
    /// Somebody asked to cancel a job (from the control topic; needs no answer).
    Cancelled(JobId),
    /// The group gave partitions to this worker; it may now take work.
    Assigned {
        /// How many partitions it has now, over all topics.
        partitions: usize,
    },
    /// Partitions went to another worker: deliveries of them that were not started are to be dropped,
    /// running ones go on, their answers change nothing.
    Revoked(Vec<(Queue, i32)>),
    /// Records of a partition that are not committed yet.
    Lag {
        /// The topic.
        queue: Queue,
        /// The partition.
        partition: i32,
        /// High watermark less committed offset.
        records: u64,
    },
    /// Whether the broker answers questions; said at each change, and for the first time when it did not.
    Answers(bool),
    /// The consumer left the group after [`TaskSource::leave`]; nothing follows.
    Left,
    /// The consumer cannot go on; the worker has to be restarted.
    Broken(Failure),
}

/// Records in, offsets out. All calls return at once: the work is done by a thread of its own, which polls at all times.
pub trait TaskSource: Send + Sync {
    /// Allows `count` more deliveries.
    fn grant(&self, count: usize);
    /// The work of a delivery is finished: its offset counts towards the commit watermark.
    fn finished(&self, tag: DeliveryTag);
    /// Takes tasks for GPUs too, or leaves them to others: their partitions are then given back, like revoked ones. A
    /// source begins without them.
    fn read_gpu(&self, read: bool);
    /// Commits what is finished, leaves the group, then says [`SourceEvent::Left`].
    fn leave(&self);
}

/// Joins the consumer group and starts its thread; what the source says comes through the sender. The channel is not
/// bounded, the credits are.
pub type ConnectSource =
    Arc<dyn Fn(tokio::sync::mpsc::UnboundedSender<SourceEvent>) -> Result<Arc<dyn TaskSource>, Failure> + Send + Sync>;

/// Records out.
pub trait TaskPublisher: Send + Sync {
    /// Sends a record; the answer comes when all in-sync replicas have it.
    fn publish(&self, record: Publication) -> Answer<()>;
}

/// The dead letters, as they lie in their topic. Reading them changes nothing.
pub trait DeadLetters: Send + Sync {
    /// The newest ones, at most `limit`, as the topic is when it is asked.
    fn newest(&self, limit: usize) -> Answer<Letters>;
    /// One of them, unless it never was or is gone.
    fn letter(&self, id: LetterId) -> Answer<Option<DeadLetter>>;
}

/// Answer to [`DeadLetters::newest`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letters {
    /// The newest one comes last.
    pub letters: Vec<DeadLetter>,
    /// How many older ones there are.
    pub left_out: u64,
}

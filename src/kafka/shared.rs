//! What the threads of one source share: the intake, the commits under way, and the way to the receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actors::domain::record::Queue;
use actors::ports::SourceEvent;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc::UnboundedSender;

use super::commits::Commits;
use super::intake::{Commit, Intake, Place};
use super::settings::{KafkaSettings, Topics};

/// State that callbacks of librdkafka change too: never hold its lock around a call into librdkafka.
pub(super) struct Group {
    pub(super) intake: Intake,
    commits: BTreeMap<Queue, Commits>,
    /// Topics whose member has not joined yet.
    awaited: BTreeSet<Queue>,
    /// Assigned since the poll thread looked last, with the epoch.
    pub(super) fresh: Vec<(Place, u64)>,
    /// How often librdkafka called back: a poll that gave no record may still have done something.
    pub(super) callbacks: u64,
    /// Whether a revocation may still commit; not after a final commit that failed.
    pub(super) may_commit: bool,
}

impl Group {
    /// The commits of the member for a topic.
    pub(super) fn commits(&mut self, queue: Queue) -> &mut Commits {
        self.commits.entry(queue).or_insert_with(|| Commits::new(Instant::now()))
    }

    /// What is to be committed now in a topic.
    pub(super) fn due_commits(&mut self, queue: Queue, now: Instant) -> Vec<Commit> {
        let idle = self.intake.is_idle();
        if !self.commits(queue).is_due(idle, now) {
            return Vec::new();
        }
        self.intake.to_commit().into_iter().filter(|commit| commit.place.0 == queue).collect()
    }

    /// Notes that a member was assigned something, be it no partition. Says how many partitions there are over all
    /// topics, once every member has joined.
    pub(super) fn joined(&mut self, queue: Queue) -> Option<usize> {
        self.awaited.remove(&queue);
        self.awaited.is_empty().then(|| self.intake.num_partitions())
    }
}

/// See the module.
pub(super) struct Shared {
    pub(super) topics: Topics,
    pub(super) events: Events,
    group: Mutex<Group>,
}

impl Shared {
    pub(super) fn new(settings: &KafkaSettings, sender: UnboundedSender<SourceEvent>) -> Self {
        let group = Group {
            intake: Intake::new(settings.window),
            commits: BTreeMap::new(),
            awaited: settings.work_queues().into_iter().collect(),
            fresh: Vec::new(),
            callbacks: 0,
            may_commit: true,
        };
        Self { topics: settings.topics(), events: Events(Mutex::new(Some(sender))), group: Mutex::new(group) }
    }

    pub(super) fn group(&self) -> MutexGuard<'_, Group> {
        lock(&self.group)
    }

    /// librdkafka's list of `places`, each with an offset.
    pub(super) fn list(&self, places: impl IntoIterator<Item = (Place, Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((queue, partition), offset) in places {
            let mut element = list.add_partition(self.topics.name(queue), partition);
            // Only an offset below the logical ones is refused, and Kafka has none.
            let _ = element.set_offset(offset);
        }
        list
    }

    /// The places of a list; foreign topics are left out.
    pub(super) fn places(&self, list: &TopicPartitionList) -> Vec<Place> {
        let place = |topic: &str, partition| Some((self.topics.queue(topic)?, partition));
        list.elements().iter().filter_map(|element| place(element.topic(), element.partition())).collect()
    }
}

/// The way to the receiver. Nothing follows [`SourceEvent::Left`].
pub(super) struct Events(Mutex<Option<UnboundedSender<SourceEvent>>>);

impl Events {
    /// Says something; to a receiver that is gone, nothing.
    pub(super) fn send(&self, event: SourceEvent) {
        if let Some(sender) = lock(&self.0).as_ref() {
            // A receiver that is gone is seen by `is_closed`.
            let _ = sender.send(event);
        }
    }

    /// Says the last word.
    pub(super) fn left(&self) {
        if let Some(sender) = lock(&self.0).take() {
            // Nobody may wait for it any more.
            let _ = sender.send(SourceEvent::Left);
        }
    }

    /// Whether nobody listens.
    pub(super) fn is_closed(&self) -> bool {
        lock(&self.0).as_ref().is_none_or(UnboundedSender::is_closed)
    }
}

/// A panic of another thread does not make this state wrong: each change is one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

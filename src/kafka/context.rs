//! What librdkafka calls back on the poll thread: rebalances, answers to commits, logs. Never pauses or resumes
//! here (a partition that is paused, revoked and assigned again stays paused), and never blocks but for the last
//! commit of partitions that go away.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use actors::domain::record::Queue;
use actors::ports::SourceEvent;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Offset, TopicPartitionList};

use super::intake::Place;
use super::log::{self, Brake};
use super::shared::Shared;

/// Context of the member for one topic.
pub(super) struct GroupContext {
    queue: Queue,
    shared: Arc<Shared>,
    commit_brake: Mutex<Brake>,
}

impl GroupContext {
    pub(super) fn new(queue: Queue, shared: Arc<Shared>) -> Self {
        Self { queue, shared, commit_brake: Mutex::new(Brake::new()) }
    }

    fn called_back(&self) {
        self.shared.group().callbacks += 1;
    }

    fn topic(&self) -> &str {
        self.shared.topics.name(self.queue)
    }

    fn assigned(&self, places: &[Place]) {
        let partitions = {
            let mut group = self.shared.group();
            let epoch = group.intake.assign(places);
            group.fresh.extend(places.iter().map(|place| (*place, epoch)));
            group.joined(self.queue)
        };
        tracing::info!(topic = self.topic(), added = places.len(), "kafka partitions assigned");
        if let Some(partitions) = partitions {
            self.shared.events.send(SourceEvent::Assigned { partitions });
        }
    }

    fn revoked(&self, consumer: &BaseConsumer<Self>, places: Vec<Place>) {
        let lost = consumer.assignment_lost();
        if !lost {
            self.commit_last(consumer, &places);
        }
        self.shared.group().intake.revoke(&places);
        tracing::info!(topic = self.topic(), removed = places.len(), lost, "kafka partitions revoked");
        if !places.is_empty() {
            self.shared.events.send(SourceEvent::Revoked(places));
        }
    }

    /// What is finished must be known to the next owner. Refused or not, the partitions go.
    fn commit_last(&self, consumer: &BaseConsumer<Self>, places: &[Place]) {
        let commits = {
            let group = self.shared.group();
            let ours = group.intake.to_commit().into_iter().filter(|commit| places.contains(&commit.place));
            if group.may_commit { ours.collect() } else { Vec::new() }
        };
        if commits.is_empty() {
            return;
        }
        let list = self.shared.list(commits.iter().map(|commit| (commit.place, Offset::Offset(commit.offset))));
        if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            tracing::warn!(%error, "last commit of revoked kafka partitions refused, their last tasks will be seen again");
        }
    }

    fn warn_of_commit(&self, error: &KafkaError) {
        let mut brake = self.commit_brake.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(muted) = brake.admit(Instant::now()) {
            tracing::warn!(%error, muted, "kafka commit refused, it is sent again");
        }
    }
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        self.called_back();
        log::line(level, facility, text);
    }

    fn stats_raw(&self, _: &[u8]) {
        self.called_back();
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // The poll gives the same error as its result; the reason is only here.
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl ConsumerContext for GroupContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.called_back();
        if let Rebalance::Revoke(list) = rebalance {
            self.revoked(consumer, self.shared.places(list));
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(&self.shared.places(list)),
            Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => tracing::warn!(%error, "kafka rebalance failed, the client joins again"),
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, list: &TopicPartitionList) {
        self.called_back();
        let accepted: Vec<Place> = match &result {
            Ok(()) => {
                let good = list.elements().into_iter().filter(|element| element.error().is_ok());
                good.filter_map(|one| Some((self.shared.topics.queue(one.topic())?, one.partition()))).collect()
            }
            Err(_) => Vec::new(),
        };
        let failures = {
            let mut group = self.shared.group();
            let done = group.commits(self.queue).answered(|commit| accepted.contains(&commit.place), Instant::now());
            for commit in done {
                group.intake.committed(commit);
            }
            group.commits(self.queue).failures()
        };
        let refused = list.elements().iter().find_map(|element| element.error().err());
        if let Some(error) = result.err().or(refused).filter(|_| failures > 0) {
            self.warn_of_commit(&error);
        }
    }
}

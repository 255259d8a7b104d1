//! The thread that owns the member of the consumer group. It polls at all times and waits for nothing else: questions
//! to the cluster are the observer's, work is the receiver's. Records go to the intake and from there, credit by
//! credit, to the receiver; finished offsets come back as commits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::failure::Failure;
use actors::ports::{DeliveryTag, SourceEvent};
use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::context::GroupContext;
use super::inbox::Inbox;
use super::intake::{FlowChange, Incoming, Place};
use super::log::Brake;
use super::observer::{Observer, Request};
use super::settings::{KafkaSettings, client_failure};
use super::shared::Shared;
use super::source::PollClock;

/// librdkafka wakes the thread; a wake-up that was missed costs no more than this.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// While something is to be committed.
const COMMIT_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Records taken from librdkafka before anything else is looked at.
const BATCH: usize = 100;
/// For the last commits before the group is left.
const LAST_COMMIT_TIMEOUT: Duration = Duration::from_secs(3);
/// For one try to reach the cluster.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries.
const TRY_INTERVAL: Duration = Duration::from_millis(200);

/// What the receiver asks for.
pub(super) enum Command {
    Grant(usize),
    Finished(DeliveryTag),
    Leave,
}

/// See the module.
pub(super) struct PollThread {
    settings: KafkaSettings,
    shared: Arc<Shared>,
    inbox: Arc<Inbox<Command>>,
    clock: PollClock,
    consumer: BaseConsumer<GroupContext>,
    brake: Brake,
    leaving: bool,
}

impl PollThread {
    /// Makes the client; nothing goes over the network yet.
    pub(super) fn new(
        settings: KafkaSettings,
        shared: Arc<Shared>,
        inbox: Arc<Inbox<Command>>,
        clock: PollClock,
    ) -> Result<Self, Failure> {
        let context = GroupContext::new(Arc::clone(&shared));
        let config = settings.consumer_config();
        let mut consumer: BaseConsumer<GroupContext> =
            config.create_with_context(context).map_err(|error| client_failure(&error))?;
        let waker = Arc::clone(&inbox);
        consumer.set_nonempty_callback(move || waker.wake());
        Ok(Self { settings, shared, inbox, clock, consumer, brake: Brake::new(), leaving: false })
    }

    /// Finds the topics, joins the group, serves until it is told to leave, leaves.
    ///
    /// # Errors
    /// What makes it impossible to go on.
    pub(super) fn run(mut self, observer: Observer) -> Result<(), Failure> {
        if !self.find_topics(&observer)? {
            return Ok(());
        }
        let requests = observer.inbox();
        let spawned = std::thread::Builder::new().name("kafka-observer".into()).spawn(move || observer.run());
        spawned.map_err(|error| Failure::retryable(format!("a thread for Kafka cannot be started: {error}")))?;
        let outcome = self.serve(&requests);
        requests.push(Request::Stop);
        // Dropping the consumer leaves the group; its callbacks run here.
        drop(self.consumer);
        outcome
    }

    /// Waits until the cluster answers and has all topics. Says `false` where it was told to leave before.
    fn find_topics(&mut self, observer: &Observer) -> Result<bool, Failure> {
        let queues = self.settings.work_queues();
        let deadline = Instant::now() + self.settings.connect_timeout;
        loop {
            self.clock.touch();
            let left = deadline.saturating_duration_since(Instant::now());
            match observer.locate_topics(&queues, TRY_TIMEOUT.min(left.max(Duration::from_millis(100)))) {
                Ok(()) => return Ok(true),
                Err(problem) if Instant::now() >= deadline => return Err(self.unreachable(&problem)),
                Err(problem) => tracing::debug!(problem, "kafka is not ready, trying again"),
            }
            // Logs and authentication of the member are served by its polls.
            let _ = self.consumer.poll(Duration::ZERO);
            self.obey(TRY_INTERVAL);
            if self.leaving || self.shared.events.is_closed() {
                return Ok(false);
            }
        }
    }

    fn unreachable(&self, problem: &str) -> Failure {
        Failure::retryable(format!(
            "Kafka at `{}` could not be used within {:?}: {problem}; check the brokers, the topics and the access rights",
            self.settings.brokers, self.settings.connect_timeout
        ))
    }

    fn serve(&mut self, requests: &Inbox<Request>) -> Result<(), Failure> {
        let topics = self.settings.topics();
        let names: Vec<&str> = self.settings.work_queues().into_iter().map(|queue| topics.name(queue)).collect();
        let refused = |error: KafkaError| Failure::permanent(format!("the topics {names:?} were refused: {error}"));
        self.consumer.subscribe(&names).map_err(refused)?;
        let mut more = false;
        loop {
            self.obey(if more { Duration::ZERO } else { self.wait() });
            if self.leaving || self.shared.events.is_closed() {
                self.commit_last();
                return Ok(());
            }
            more = self.poll()?;
            self.locate_fresh(requests);
            self.deliver();
            self.control_flow();
            self.commit_if_due(Instant::now());
        }
    }

    fn wait(&self) -> Duration {
        if self.shared.group().intake.to_commit().is_empty() { POLL_INTERVAL } else { COMMIT_POLL_INTERVAL }
    }

    fn obey(&mut self, timeout: Duration) {
        let commands = self.inbox.wait(timeout);
        let mut group = self.shared.group();
        for command in commands {
            match command {
                Command::Grant(count) => group.intake.grant(count),
                Command::Finished(tag) => group.intake.finished(tag),
                Command::Leave => self.leaving = true,
            }
        }
    }

    /// Takes what librdkafka has. Says `true` where there may be more.
    fn poll(&mut self) -> Result<bool, Failure> {
        self.clock.touch();
        for _ in 0..BATCH {
            let callbacks = self.shared.group().callbacks;
            match self.consumer.poll(Duration::ZERO) {
                Some(Ok(record)) => self.receive(&record),
                Some(Err(error)) => self.take_error(error)?,
                // A callback ends a poll too.
                None if self.shared.group().callbacks == callbacks => return Ok(false),
                None => {}
            }
        }
        Ok(true)
    }

    fn receive(&self, record: &BorrowedMessage<'_>) {
        let Some(queue) = self.shared.topics.queue(record.topic()) else { return };
        let incoming = Incoming {
            place: (queue, record.partition()),
            offset: record.offset(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.payload().map(<[u8]>::to_vec),
            headers: headers_of(record),
        };
        if !self.shared.group().intake.receive(incoming) {
            tracing::warn!(
                topic = record.topic(),
                partition = record.partition(),
                offset = record.offset(),
                "kafka offsets went back, the topic was made anew; its records are worked on from here"
            );
        }
    }

    fn take_error(&mut self, error: KafkaError) -> Result<(), Failure> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                let reason = self.consumer.client().fatal_error().map_or(error.to_string(), |(_, reason)| reason);
                Err(Failure::retryable(format!("the Kafka consumer cannot go on: {reason}; start the worker again")))
            }
            error => {
                if let Some(muted) = self.brake.admit(Instant::now()) {
                    tracing::warn!(%error, muted, "kafka error, the client tries again");
                }
                Ok(())
            }
        }
    }

    /// New partitions are resumed (they may have been paused when they were ours before) and looked up.
    fn locate_fresh(&self, requests: &Inbox<Request>) {
        let fresh = std::mem::take(&mut self.shared.group().fresh);
        if !fresh.is_empty() {
            self.apply(&FlowChange { pause: Vec::new(), resume: fresh.iter().map(|(place, _)| *place).collect() });
            requests.push(Request::Locate(fresh));
        }
    }

    fn deliver(&self) {
        loop {
            let next = self.shared.group().intake.next();
            match next {
                Some(delivery) => self.shared.events.send(SourceEvent::Delivered(delivery)),
                None => return,
            }
        }
    }

    fn control_flow(&self) {
        let change = self.shared.group().intake.flow();
        if change != FlowChange::default() {
            tracing::debug!(paused = change.pause.len(), resumed = change.resume.len(), "kafka flow changed");
            self.apply(&change);
        }
    }

    fn apply(&self, change: &FlowChange) {
        let list = |places: &[Place]| self.shared.list(places.iter().map(|place| (*place, Offset::Invalid)));
        for (outcome, what) in [
            (self.consumer.pause(&list(&change.pause)), "pause"),
            (self.consumer.resume(&list(&change.resume)), "resume"),
        ] {
            if let Err(error) = outcome {
                tracing::warn!(%error, what, "kafka partitions could not be paused or resumed");
            }
        }
    }

    fn commit_if_due(&self, now: Instant) {
        let commits = {
            let group = self.shared.group();
            if !group.commits.is_due(group.intake.is_idle(), now) {
                return;
            }
            group.intake.to_commit()
        };
        if commits.is_empty() {
            return;
        }
        let list = self.shared.list(commits.iter().map(|commit| (commit.place, Offset::Offset(commit.offset))));
        self.shared.group().commits.sent(commits, now);
        let code = self.commit_with_answer(&list);
        if code != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            self.shared.group().commits.failed(now);
            tracing::warn!(?code, "kafka commit could not be sent, it is sent again");
        }
    }

    /// Sends a commit whose answer comes to [`GroupContext`] by a later poll. The safe call gives no answer: librdkafka
    /// drops it where, as here, callbacks are replaced by events and no queue is named.
    fn commit_with_answer(&self, list: &TopicPartitionList) -> RDKafkaRespErr {
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

    /// Commits what is finished before the group is left. Where that fails, leaving does not try once more.
    fn commit_last(&mut self) {
        self.shared.group().intake.drop_buffers();
        let deadline = Instant::now() + LAST_COMMIT_TIMEOUT;
        while Instant::now() < deadline {
            if self.shared.group().intake.to_commit().is_empty() {
                return;
            }
            self.commit_if_due(Instant::now());
            if self.poll().is_err() {
                break;
            }
            self.obey(COMMIT_POLL_INTERVAL);
            self.shared.group().intake.drop_buffers();
        }
        self.shared.group().may_commit = false;
        tracing::warn!("last kafka commit failed, finished tasks will be seen again by the next owner");
    }
}

fn headers_of(record: &BorrowedMessage<'_>) -> Vec<(String, Vec<u8>)> {
    let header = |header: rdkafka::message::Header<'_, &[u8]>| {
        (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default())
    };
    record.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default()
}

//! The thread that owns the members of the consumer group, one for each topic. It polls at all times and waits for
//! nothing else: questions to the cluster are the observer's, work is the receiver's. Records go to the intake, which
//! all members share, and from there, credit by credit, to the receiver; finished offsets come back as commits.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use actors::domain::record::DeliveryTag;
use actors::ports::SourceEvent;
use rdkafka::error::KafkaError;

use super::clock::PollClock;
use super::inbox::Inbox;
use super::intake::{FlowChange, Incoming};
use super::log::Brake;
use super::member::Member;
use super::observer::{Observer, Request};
use super::settings::KafkaSettings;
use super::shared::Shared;

/// librdkafka wakes the thread; a wake-up that was missed costs no more than this.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// While something is to be committed.
const COMMIT_POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Records taken from a member before anything else is looked at.
const BATCH: usize = 100;
/// For one try to reach the cluster.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries.
const TRY_INTERVAL: Duration = Duration::from_millis(200);

mod committing;
mod gpu;

/// What the receiver asks for.
pub(super) enum Command {
    Grant(usize),
    Finished(DeliveryTag),
    ReadGpu(bool),
    Leave,
}

/// See the module.
pub(super) struct PollThread {
    settings: KafkaSettings,
    shared: Arc<Shared>,
    inbox: Arc<Inbox<Command>>,
    clock: PollClock,
    members: Vec<Member>,
    gpu: gpu::Reading,
    brake: Brake,
    leaving: bool,
}

impl PollThread {
    /// Makes the members; nothing goes over the network yet.
    pub(super) fn new(
        settings: KafkaSettings,
        shared: Arc<Shared>,
        inbox: Arc<Inbox<Command>>,
        clock: PollClock,
    ) -> Result<Self, Failure> {
        let member = |queue| {
            let waker = Arc::clone(&inbox);
            Member::new(&settings, queue, Arc::clone(&shared), move || waker.wake())
        };
        let members = settings.work_queues().into_iter().map(member).collect::<Result<_, _>>()?;
        let gpu = gpu::Reading::starting(settings.gpu);
        Ok(Self { settings, shared, inbox, clock, members, gpu, brake: Brake::new(), leaving: false })
    }

    /// Finds the topics, joins the group, serves until it is told to leave, leaves.
    ///
    /// # Errors
    /// What makes it impossible to go on.
    pub(super) fn run(mut self, observer: Observer) -> Result<(), Failure> {
        let outcome = self.find_topics_and_serve(observer);
        self.leave();
        outcome
    }

    fn find_topics_and_serve(&mut self, observer: Observer) -> Result<(), Failure> {
        if !self.find_topics(&observer)? {
            return Ok(());
        }
        let observing = Observing::start(observer)?;
        self.serve(&observing)
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
            // Logs and authentication of the members are served by their polls.
            for member in &self.members {
                let _ = member.poll();
            }
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

    fn serve(&mut self, observing: &Observing) -> Result<(), Failure> {
        self.members.iter().try_for_each(Member::join)?;
        let mut more = false;
        loop {
            self.obey(if more { Duration::ZERO } else { self.wait() });
            if self.leaving || self.shared.events.is_closed() {
                self.commit_last();
                return Ok(());
            }
            self.follow_gpu()?;
            more = self.poll()?;
            self.check(observing)?;
            self.locate_fresh(&observing.requests);
            self.deliver();
            self.control_flow();
            self.commit_if_due(Instant::now());
        }
    }

    /// While somebody listens, the observer ends only by a panic.
    fn check(&self, observing: &Observing) -> Result<(), Failure> {
        if observing.thread.is_finished() && !self.shared.events.is_closed() {
            return Err(Failure::retryable("the Kafka observer panicked, see the log; start the worker again"));
        }
        Ok(())
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
                Command::ReadGpu(read) => self.gpu.wanted = read,
                Command::Leave => self.leaving = true,
            }
        }
    }

    /// Takes what the members have. Says `true` where there may be more.
    fn poll(&mut self) -> Result<bool, Failure> {
        self.clock.touch();
        let mut more = false;
        for at in 0..self.members.len() {
            more |= self.poll_member(at)?;
        }
        Ok(more)
    }

    fn poll_member(&mut self, at: usize) -> Result<bool, Failure> {
        for _ in 0..BATCH {
            let callbacks = self.shared.group().callbacks;
            match self.members[at].poll() {
                Some(Ok(record)) => self.receive(record),
                Some(Err(error)) => self.take_error(at, error)?,
                // A callback ends a poll too.
                None if self.shared.group().callbacks == callbacks => return Ok(false),
                None => {}
            }
        }
        Ok(true)
    }

    fn receive(&self, record: Incoming) {
        let ((queue, partition), offset) = (record.place, record.offset);
        if !self.shared.group().intake.receive(record) {
            tracing::warn!(
                topic = self.shared.topics.name(queue),
                partition,
                offset,
                "kafka offsets went back, the topic was made anew; its records are worked on from here"
            );
        }
    }

    fn take_error(&mut self, at: usize, error: KafkaError) -> Result<(), Failure> {
        match error {
            KafkaError::MessageConsumptionFatal(_) => {
                let reason = self.members[at].fatal_reason().unwrap_or_else(|| error.to_string());
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
        self.members.iter().for_each(|member| member.apply(change));
    }

    /// Each member needs 100 ms to leave: they do it at the same time, and their last callbacks
    /// run on threads of their own.
    fn leave(&mut self) {
        self.gpu.wait_for_end();
        std::thread::scope(|scope| {
            for member in self.members.drain(..) {
                scope.spawn(move || drop(member));
            }
        });
    }
}

/// The observer's thread; told to stop when this is dropped.
struct Observing {
    requests: Arc<Inbox<Request>>,
    thread: JoinHandle<()>,
}

impl Observing {
    fn start(observer: Observer) -> Result<Self, Failure> {
        let requests = observer.inbox();
        let spawned = std::thread::Builder::new().name("kafka-observer".into()).spawn(move || observer.run());
        let thread =
            spawned.map_err(|error| Failure::retryable(format!("a thread for Kafka cannot be started: {error}")))?;
        Ok(Self { requests, thread })
    }
}

impl Drop for Observing {
    fn drop(&mut self) {
        self.requests.push(Request::Stop);
    }
}

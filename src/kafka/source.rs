//! [`TaskSource`] on Kafka: hands the receiver's wishes to the poll thread and returns at once.

use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use actors::domain::record::DeliveryTag;
use actors::ports::{ConnectSource, SourceEvent, TaskSource};
use tokio::sync::mpsc::UnboundedSender;

use super::clock::PollClock;
use super::inbox::Inbox;
use super::observer::Observer;
use super::poll::{Command, PollThread};
use super::settings::KafkaSettings;
use super::shared::Shared;

/// Leaving the group ends after this time, whatever librdkafka does.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

/// A member of the consumer group. Dropping it leaves the group too, without a word.
pub struct KafkaSource {
    inbox: Arc<Inbox<Command>>,
    shared: Arc<Shared>,
    clock: PollClock,
    /// Closed when the poll thread ends; taken by the first `leave`.
    ended: Mutex<Option<Receiver<()>>>,
}

impl KafkaSource {
    /// Starts the thread that joins the group. Returns at once: a cluster that does not answer within
    /// [`KafkaSettings::connect_timeout`], or lacks a topic, is said as [`SourceEvent::Broken`].
    ///
    /// # Errors
    /// Settings that are not possible.
    pub fn connect(settings: &KafkaSettings, events: UnboundedSender<SourceEvent>) -> Result<Self, Failure> {
        Self::connect_with(settings, PollClock::default(), events)
    }

    /// [`Self::connect`] with a clock that outlives the source.
    ///
    /// # Errors
    /// Settings that are not possible.
    pub fn connect_with(
        settings: &KafkaSettings,
        clock: PollClock,
        events: UnboundedSender<SourceEvent>,
    ) -> Result<Self, Failure> {
        settings.check()?;
        let shared = Arc::new(Shared::new(settings, events));
        let inbox = Arc::new(Inbox::new());
        let observer = Observer::new(settings, Arc::clone(&shared))?;
        let poll = PollThread::new(settings.clone(), Arc::clone(&shared), Arc::clone(&inbox), clock.clone())?;
        let (ending, ended) = channel::<()>();
        let events = Arc::clone(&shared);
        let body = move || {
            let _ending = ending;
            run(poll, observer, &events);
        };
        std::thread::Builder::new()
            .name("kafka-poll".into())
            .spawn(body)
            .map_err(|error| Failure::retryable(format!("a thread for Kafka cannot be started: {error}")))?;
        Ok(Self { inbox, shared, clock, ended: Mutex::new(Some(ended)) })
    }

    /// When the poll thread polled last.
    pub fn last_poll(&self) -> Instant {
        self.clock.last_poll()
    }
}

/// Makes sources with these settings, all on one clock.
pub fn connector(settings: KafkaSettings, clock: PollClock) -> ConnectSource {
    Arc::new(move |events| {
        let source = KafkaSource::connect_with(&settings, clock.clone(), events)?;
        Ok(Arc::new(source) as Arc<dyn TaskSource>)
    })
}

fn run(poll: PollThread, observer: Observer, shared: &Shared) {
    let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| poll.run(observer)));
    let failure = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::retryable("the Kafka thread panicked, see the log; start the worker again"),
    };
    tracing::error!(%failure, "kafka consumer stopped");
    shared.events.send(SourceEvent::Broken(failure));
}

impl TaskSource for KafkaSource {
    fn grant(&self, count: usize) {
        self.inbox.push(Command::Grant(count));
    }

    fn finished(&self, tag: DeliveryTag) {
        self.inbox.push(Command::Finished(tag));
    }

    fn read_gpu(&self, read: bool) {
        self.inbox.push(Command::ReadGpu(read));
    }

    fn leave(&self) {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ended) = ended else { return };
        self.inbox.push(Command::Leave);
        let shared = Arc::clone(&self.shared);
        let watch = move || {
            if ended.recv_timeout(LEAVE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
                tracing::error!(timeout = ?LEAVE_TIMEOUT, "kafka consumer did not end in time, it is left behind");
            }
            shared.events.left();
        };
        if let Err(error) = std::thread::Builder::new().name("kafka-leave".into()).spawn(watch) {
            tracing::error!(%error, "a thread to watch the end of the kafka consumer cannot be started");
            self.shared.events.left();
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.inbox.push(Command::Leave);
    }
}

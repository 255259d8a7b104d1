//! [`TaskPublisher`] on Kafka. A record counts as sent when all in-sync replicas have it; every answer comes within
//! the message timeout and the wait for room. Never blocks its caller.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actors::domain::dead_letter::TRUNCATED;
use actors::domain::failure::Failure;
use actors::domain::record::{Publication, Queue};
use actors::ports::{Answer, TaskPublisher};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer as _, ProducerContext};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::log;
use super::settings::{KafkaSettings, Topics, client_failure};

/// How long a record waits for room in the producer's queue.
const ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// Reports come at once; this is how long the end of the producer may go unseen.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// What is tried with a dead letter whose value the broker finds too large; the first fits the broker's default of 1 MiB.
const TRUNCATED_BYTES: [usize; 2] = [900_000, 16_000];

type Report = KafkaResult<()>;

/// Hands delivery reports to those who wait for them.
struct Reports {
    room: Notify,
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::line(level, facility, text);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<oneshot::Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, sender: Self::DeliveryOpaque) {
        let report = result.as_ref().map(|_| ()).map_err(|(error, _)| error.clone());
        // Who asked may have stopped waiting.
        let _ = sender.send(report);
        self.room.notify_waiters();
    }
}

type Producer = BaseProducer<Reports>;

/// See the module. Clones share one producer.
#[derive(Clone)]
pub struct KafkaPublisher {
    inner: Arc<Inner>,
}

struct Inner {
    settings: KafkaSettings,
    topics: Topics,
    producer: Mutex<Arc<Producer>>,
}

impl KafkaPublisher {
    /// Makes the producer; the cluster is reached when there is something to send.
    ///
    /// # Errors
    /// Settings that are not possible.
    pub fn new(settings: &KafkaSettings) -> Result<Self, Failure> {
        settings.check()?;
        let producer = Mutex::new(make(settings)?);
        let inner = Inner { settings: settings.clone(), topics: settings.topics(), producer };
        Ok(Self { inner: Arc::new(inner) })
    }
}

fn make(settings: &KafkaSettings) -> Result<Arc<Producer>, Failure> {
    let context = Reports { room: Notify::new() };
    let producer: Producer =
        settings.producer_config().create_with_context(context).map_err(|error| client_failure(&error))?;
    let producer = Arc::new(producer);
    let served = Arc::clone(&producer);
    std::thread::Builder::new()
        .name("kafka-reports".into())
        .spawn(move || serve(served))
        .map_err(|error| Failure::retryable(format!("a thread for Kafka cannot be started: {error}")))?;
    Ok(producer)
}

/// Hands reports out until nobody else has the producer; then drops it here, because that can take its time. (The
/// producer that brings such a thread along polls in steps of 100 ms and spins for the last millisecond of each.)
fn serve(producer: Arc<Producer>) {
    while Arc::strong_count(&producer) > 1 {
        producer.poll(REPORT_INTERVAL);
    }
}

impl TaskPublisher for KafkaPublisher {
    fn publish(&self, record: Publication) -> Answer<()> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move { inner.publish(record).await })
    }
}

impl Inner {
    async fn publish(&self, mut record: Publication) -> Result<(), Failure> {
        let mut sent = self.send(&record).await;
        if record.queue == Queue::DeadLetter {
            let original_bytes = record.value.as_ref().map_or(0, Vec::len);
            for limit in TRUNCATED_BYTES.into_iter().filter(|limit| *limit < original_bytes) {
                if !sent.as_ref().is_err_and(is_too_large) {
                    break;
                }
                tracing::warn!(original_bytes, limit, "dead letter too large for the broker, its value is cut");
                truncate(&mut record, limit, original_bytes);
                sent = self.send(&record).await;
            }
        }
        sent.map_err(|error| self.failure(&record, &error))
    }

    async fn send(&self, record: &Publication) -> Report {
        let deadline = Instant::now() + ROOM_TIMEOUT;
        loop {
            let producer = self.producer();
            let mut room = pin!(producer.context().room.notified());
            // From here on no report is missed.
            room.as_mut().enable();
            let (sender, report) = oneshot::channel();
            match self.enqueue(&producer, record, sender) {
                // A producer that is dropped reports all its records, so the sender is never lost.
                Ok(()) => return report.await.unwrap_or(Err(KafkaError::Canceled)),
                Err(error) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    timeout_at(deadline, room).await.map_err(|_| error)?;
                }
                Err(error) if is_fatal(&error) && self.replace(&producer) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn enqueue(&self, producer: &Producer, record: &Publication, sender: oneshot::Sender<Report>) -> Report {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
            headers.insert(Header { key: name, value: Some(value) })
        });
        let mut message: BaseRecord<'_, [u8], [u8], _> =
            BaseRecord::with_opaque_to(self.topics.name(record.queue), Box::new(sender)).key(&record.key);
        message = message.headers(headers);
        if let Some(value) = &record.value {
            message = message.payload(value);
        }
        producer.send(message).map_err(|(error, _)| error)
    }

    fn producer(&self) -> Arc<Producer> {
        Arc::clone(&self.producer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An idempotent producer that met a fatal error sends nothing any more: makes a new one in its place.
    fn replace(&self, broken: &Arc<Producer>) -> bool {
        let fresh = match make(&self.settings) {
            Ok(fresh) => fresh,
            Err(failure) => {
                tracing::error!(%failure, "kafka producer cannot be made again");
                return false;
            }
        };
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, broken) {
            tracing::warn!(reason = ?broken.client().fatal_error(), "kafka producer made anew after a fatal error");
            *current = fresh;
        }
        true
    }

    fn failure(&self, record: &Publication, error: &KafkaError) -> Failure {
        let topic = self.topics.name(record.queue);
        let bytes = record.value.as_ref().map_or(0, Vec::len);
        if is_too_large(error) {
            return Failure::permanent(format!(
                "a record of {bytes} bytes is too large for the topic `{topic}`: raise its max.message.bytes"
            ));
        }
        Failure::retryable(format!("a record for the topic `{topic}` could not be sent: {error}"))
    }
}

fn truncate(record: &mut Publication, limit: usize, original_bytes: usize) {
    record.value.iter_mut().for_each(|value| value.truncate(limit));
    record.headers.retain(|(name, _)| name != TRUNCATED);
    record.headers.push((TRUNCATED.into(), original_bytes.to_string().into_bytes()));
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
    )
}

fn is_fatal(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal)
}

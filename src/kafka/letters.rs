//! [`DeadLetters`] on Kafka: reads the dead-letter topic up to the end that it has when it is asked. Never joins the group
//! and never commits. A topic that does not exist holds no letters. What is read is kept without its value, which may
//! have 10 MB.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use actors::domain::dead_letter::{DeadLetter, LetterId, LetterRecord};
use actors::domain::failure::Failure;
use actors::domain::record::Queue;
use actors::ports::{Answer, DeadLetters, Letters};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::observer::Quiet;
use super::settings::{KafkaSettings, client_failure};

/// For one question to the cluster.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two letters, and between the last one and the end of its partition.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// For all letters together.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone)]
pub struct LetterBox {
    settings: KafkaSettings,
}

/// The offsets of each partition that are to be read.
type Ranges = BTreeMap<i32, Range<i64>>;

impl LetterBox {
    /// The letters of a cluster, which is reached when something is asked.
    ///
    /// # Errors
    /// Settings that are not possible.
    pub fn new(settings: &KafkaSettings) -> Result<Self, Failure> {
        settings.check()?;
        Ok(Self { settings: settings.clone() })
    }

    /// Does `work` with a reader on a thread that may block; the end of a client does.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Reader) -> Result<T, Failure> + Send + 'static,
    ) -> Answer<T> {
        let settings = self.settings.clone();
        Box::pin(async move {
            let task = tokio::task::spawn_blocking(move || work(&Reader::open(settings)?));
            task.await.map_err(|error| Failure::retryable(format!("reading dead letters ended early: {error}")))?
        })
    }
}

impl DeadLetters for LetterBox {
    fn newest(&self, limit: usize) -> Answer<Letters> {
        self.blocking(move |reader| reader.newest(limit))
    }

    fn letter(&self, id: LetterId) -> Answer<Option<DeadLetter>> {
        self.blocking(move |reader| reader.letter(id))
    }
}

struct Reader {
    settings: KafkaSettings,
    topic: String,
    consumer: BaseConsumer<Quiet>,
}

impl Reader {
    fn open(settings: KafkaSettings) -> Result<Self, Failure> {
        let topic = settings.topics().name(Queue::DeadLetter).to_owned();
        let consumer = settings.letters_config().create_with_context(Quiet).map_err(|error| client_failure(&error))?;
        Ok(Self { settings, topic, consumer })
    }

    fn newest(&self, limit: usize) -> Result<Letters, Failure> {
        let mut ranges = self.ranges()?;
        let total: u64 = ranges.values().map(|range| range.end.abs_diff(range.start)).sum();
        for range in ranges.values_mut() {
            // The newest of all are among the newest of each partition.
            range.start = range.start.max(range.end.saturating_sub(i64::try_from(limit).unwrap_or(i64::MAX)));
        }
        let mut letters = self.read(ranges)?;
        letters.sort_by_key(|letter| (letter.at, letter.id));
        letters.drain(..letters.len().saturating_sub(limit));
        Ok(Letters { left_out: total.saturating_sub(letters.len() as u64), letters })
    }

    fn letter(&self, id: LetterId) -> Result<Option<DeadLetter>, Failure> {
        let range = self.ranges()?.remove(&id.partition).filter(|range| range.contains(&id.offset));
        let Some(_) = range else { return Ok(None) };
        let letters = self.read([(id.partition, id.offset..id.offset + 1)].into())?;
        Ok(letters.into_iter().find(|letter| letter.id == id))
    }

    /// What there is now; nothing where there is no topic.
    fn ranges(&self) -> Result<Ranges, Failure> {
        let end = Instant::now() + ANSWER_TIMEOUT;
        loop {
            match self.ask_ranges() {
                Ok(ranges) => return Ok(ranges),
                Err(error) if is_passing(&error) && Instant::now() < end => std::thread::sleep(POLL_INTERVAL),
                Err(error) => return Err(self.unreadable(&error)),
            }
        }
    }

    fn ask_ranges(&self) -> Result<Ranges, KafkaError> {
        let ends = (0..self.num_partitions()?).map(|partition| {
            let (low, high) = self.consumer.fetch_watermarks(&self.topic, partition, ANSWER_TIMEOUT)?;
            Ok((partition, low..high))
        });
        ends.collect()
    }

    fn num_partitions(&self) -> Result<i32, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), self.settings.connect_timeout)?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == self.topic) else { return Ok(0) };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX)),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(0),
            Some(error) => Err(KafkaError::MetadataFetch(error)),
        }
    }

    /// Reads each range to its end. Offsets that are not there any more are passed over.
    fn read(&self, ranges: Ranges) -> Result<Vec<DeadLetter>, Failure> {
        let mut open: Ranges = ranges.into_iter().filter(|(_, range)| !range.is_empty()).collect();
        self.assign(&open)?;
        let mut letters = Vec::new();
        let mut silence = Silence::begin();
        while !open.is_empty() {
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(record)) => {
                    silence.heard();
                    let (partition, offset) = (record.partition(), record.offset());
                    let Some(range) = open.get(&partition) else { continue };
                    if range.contains(&offset) {
                        letters.push(DeadLetter::read(&letter(&record)));
                    }
                    if offset + 1 >= range.end {
                        open.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
                Some(Err(error)) => silence.why(error),
                None => {}
            }
            if let Some(error) = silence.over() {
                return Err(self.unreadable(&error));
            }
        }
        Ok(letters)
    }

    fn assign(&self, ranges: &Ranges) -> Result<(), Failure> {
        let mut list = TopicPartitionList::new();
        for (partition, range) in ranges {
            let added = list.add_partition_offset(&self.topic, *partition, Offset::Offset(range.start));
            added.map_err(|error| self.unreadable(&error))?;
        }
        self.consumer.assign(&list).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &KafkaError) -> Failure {
        Failure::retryable(format!(
            "the Kafka topic `{}` at `{}` cannot be read: {error}; check the address, the network and what this user may read",
            self.topic, self.settings.brokers
        ))
    }
}

fn letter(record: &BorrowedMessage<'_>) -> LetterRecord {
    let header =
        |one: rdkafka::message::Header<'_, &[u8]>| (one.key.to_owned(), one.value.unwrap_or_default().to_vec());
    LetterRecord {
        id: LetterId { partition: record.partition(), offset: record.offset() },
        at: record.timestamp().to_millis().and_then(chrono::DateTime::from_timestamp_millis),
        key: record.key().unwrap_or_default().to_vec(),
        value: record.payload().map(<[u8]>::to_vec),
        headers: record.headers().map(|headers| headers.iter().map(header).collect()).unwrap_or_default(),
    }
}

/// Whether it is so for a moment while a topic is made or moves to another broker.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition, UnknownPartition, UnknownTopicOrPartition};
    let passing = [LeaderNotAvailable, NotLeaderForPartition, UnknownPartition, UnknownTopicOrPartition];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}

/// How long nothing came, and the last reason that was heard. librdkafka tries again by itself after every error.
struct Silence {
    end: Instant,
    heard_until: Instant,
    error: KafkaError,
}

impl Silence {
    fn begin() -> Self {
        let now = Instant::now();
        let error = KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut);
        Self { end: now + READ_TIMEOUT, heard_until: now + SILENCE_TIMEOUT, error }
    }

    fn heard(&mut self) {
        self.heard_until = Instant::now() + SILENCE_TIMEOUT;
    }

    fn why(&mut self, error: KafkaError) {
        self.error = error;
    }

    fn over(&self) -> Option<KafkaError> {
        (Instant::now() >= self.end.min(self.heard_until)).then(|| self.error.clone())
    }
}

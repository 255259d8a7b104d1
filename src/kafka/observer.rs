//! Looks at the cluster beside the poll thread, so that no question ever delays a poll: reads the control topic
//! from its end, finds where the group stands in new partitions, and measures the lag. Never joins the group and
//! never commits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::domain::record::Queue;
use actors::ports::SourceEvent;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::inbox::Inbox;
use super::intake::{Place, Start};
use super::log::{self, Brake};
use super::settings::{KafkaSettings, client_failure};
use super::shared::Shared;

/// Between two measurements of the lag.
const LAG_INTERVAL: Duration = Duration::from_secs(2);
/// For one question to the cluster.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A wake-up by librdkafka that was missed costs no more than this.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What the poll thread asks for.
pub(super) enum Request {
    /// Where does the group stand in these partitions?
    Locate(Vec<(Place, u64)>),
    /// End.
    Stop,
}

/// A client that only logs.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log::line(level, facility, text);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl ConsumerContext for Quiet {}

/// See the module.
pub(super) struct Observer {
    consumer: BaseConsumer<Quiet>,
    /// Clients for the topics that have a group of their own.
    others: BTreeMap<Queue, BaseConsumer<Quiet>>,
    shared: Arc<Shared>,
    inbox: Arc<Inbox<Request>>,
    brake: Brake,
    /// Whether the last question was answered.
    answered: bool,
}

impl Observer {
    pub(super) fn new(settings: &KafkaSettings, shared: Arc<Shared>) -> Result<Self, Failure> {
        let client = |queue| -> Result<BaseConsumer<Quiet>, Failure> {
            let config = settings.observer_config(queue);
            config.create_with_context(Quiet).map_err(|error| client_failure(&error))
        };
        let mut consumer = client(Queue::Control)?;
        // Tasks for GPUs may be read later.
        let apart = [Queue::Jobs, Queue::Cpu, Queue::Gpu]
            .into_iter()
            .filter(|queue| settings.group_of(*queue) != settings.group_id);
        let others = apart.map(|queue| Ok((queue, client(queue)?))).collect::<Result<_, Failure>>()?;
        let inbox = Arc::new(Inbox::new());
        let waker = Arc::clone(&inbox);
        consumer.set_nonempty_callback(move || waker.wake());
        Ok(Self { consumer, others, shared, inbox, brake: Brake::new(), answered: true })
    }

    /// Where to ask.
    pub(super) fn inbox(&self) -> Arc<Inbox<Request>> {
        Arc::clone(&self.inbox)
    }

    /// One try to find all topics of `queues` and the end of the control topic, at most for `timeout` a question.
    ///
    /// # Errors
    /// One sentence about what is not there yet.
    pub(super) fn locate_topics(&self, queues: &[Queue], timeout: Duration) -> Result<(), String> {
        // Logs of a client are served by polls only.
        for client in self.others.values().chain([&self.consumer]) {
            let _ = client.poll(Duration::ZERO);
        }
        for queue in queues {
            self.partitions_of(*queue, timeout)?;
        }
        let control = self.partitions_of(Queue::Control, timeout)?;
        let ends = self.shared.list(control.map(|partition| ((Queue::Control, partition), Offset::End)));
        let ends = self.consumer.offsets_for_times(ends, timeout).map_err(|error| error.to_string())?;
        self.consumer.assign(&ends).map_err(|error| error.to_string())
    }

    fn partitions_of(&self, queue: Queue, timeout: Duration) -> Result<std::ops::Range<i32>, String> {
        let name = self.shared.topics.name(queue);
        let metadata = self.consumer.fetch_metadata(Some(name), timeout).map_err(|error| error.to_string())?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == name);
        let topic = topic.ok_or_else(|| format!("the topic `{name}` does not exist"))?;
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(0..topic.partitions().len() as i32),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Err(format!("the topic `{name}` does not exist"))
            }
            Some(error) => Err(format!("the topic `{name}` cannot be used: {error}")),
        }
    }

    /// Serves until it is told to stop, or nobody listens.
    pub(super) fn run(mut self) {
        let mut unlocated: Vec<(Place, u64)> = Vec::new();
        let mut lag_at = Instant::now() + LAG_INTERVAL;
        while !self.shared.events.is_closed() {
            for request in self.inbox.wait(POLL_INTERVAL.min(lag_at.saturating_duration_since(Instant::now()))) {
                match request {
                    Request::Locate(places) => unlocated.extend(places),
                    Request::Stop => return,
                }
            }
            self.read_control();
            if !unlocated.is_empty() {
                unlocated = self.locate(unlocated);
            }
            if Instant::now() >= lag_at {
                self.measure_lag();
                lag_at = Instant::now() + LAG_INTERVAL;
            }
        }
    }

    fn read_control(&mut self) {
        while let Some(polled) = self.consumer.poll(Duration::ZERO) {
            match polled {
                Ok(record) => match cancelled_job(record.payload().unwrap_or_default()) {
                    Ok(job_id) => {
                        tracing::info!(%job_id, "cancel received");
                        self.shared.events.send(SourceEvent::Cancelled(job_id));
                    }
                    Err(error) => tracing::warn!(offset = record.offset(), error, "control message ignored"),
                },
                Err(error) => self.warn(&error, "reading the kafka control topic failed, going on"),
            }
        }
    }

    /// Gives back what could not be found out.
    fn locate(&mut self, places: Vec<(Place, u64)>) -> Vec<(Place, u64)> {
        match self.starts(&places) {
            Ok(starts) => {
                let mut group = self.shared.group();
                starts.into_iter().for_each(|start| group.intake.start(start));
                Vec::new()
            }
            Err(error) => {
                self.warn(&error, "positions of the kafka group could not be read, asking again");
                let group = self.shared.group();
                places.into_iter().filter(|(place, epoch)| group.intake.owns(*place, *epoch)).collect()
            }
        }
    }

    fn starts(&self, places: &[(Place, u64)]) -> Result<Vec<Start>, KafkaError> {
        let committed = self.ask_committed(places)?;
        let without: Vec<Place> =
            places.iter().map(|(place, _)| *place).filter(|place| !committed.contains_key(place)).collect();
        let lows = self.ask_offsets(&without, Offset::Beginning)?;
        let start = |(place, epoch): &(Place, u64)| Start {
            place: *place,
            epoch: *epoch,
            committed: committed.get(place).copied(),
            low: self.offset_in(&lows, *place),
        };
        Ok(places.iter().map(start).collect())
    }

    fn measure_lag(&mut self) {
        let places = self.shared.group().intake.places();
        let asked = self.ask_offsets(&places, Offset::End);
        if asked.is_ok() != self.answered {
            self.answered = asked.is_ok();
            self.shared.events.send(SourceEvent::Answers(self.answered));
        }
        let highs = match asked {
            Ok(highs) => highs,
            Err(error) => return self.warn(&error, "kafka lag could not be measured"),
        };
        for place in places {
            let position = self.shared.group().intake.position(place);
            if let (Some(high), Some(position)) = (self.offset_in(&highs, place), position) {
                let records = u64::try_from(high - position).unwrap_or(0);
                self.shared.events.send(SourceEvent::Lag { queue: place.0, partition: place.1, records });
            }
        }
    }

    /// First or last offsets of partitions: one request to each broker.
    fn ask_offsets(&self, places: &[Place], which: Offset) -> Result<TopicPartitionList, KafkaError> {
        let list = self.shared.list(places.iter().map(|place| (*place, which)));
        if places.is_empty() { Ok(list) } else { self.consumer.offsets_for_times(list, ANSWER_TIMEOUT) }
    }

    /// What the group has committed: one request for each topic.
    fn ask_committed(&self, places: &[(Place, u64)]) -> Result<BTreeMap<Place, i64>, KafkaError> {
        let mut committed = BTreeMap::new();
        let queues: BTreeSet<Queue> = places.iter().map(|((queue, _), _)| *queue).collect();
        for queue in queues {
            let client = self.others.get(&queue).unwrap_or(&self.consumer);
            let asked = || places.iter().map(|(place, _)| *place).filter(|(of, _)| *of == queue);
            let list = self.shared.list(asked().map(|place| (place, Offset::Invalid)));
            let answer = client.committed_offsets(list, ANSWER_TIMEOUT)?;
            committed.extend(asked().filter_map(|place| Some((place, self.offset_in(&answer, place)?))));
        }
        Ok(committed)
    }

    fn offset_in(&self, list: &TopicPartitionList, (queue, partition): Place) -> Option<i64> {
        let element = list.find_partition(self.shared.topics.name(queue), partition)?;
        match (element.error(), element.offset()) {
            (Ok(()), Offset::Offset(offset)) => Some(offset),
            _ => None,
        }
    }

    fn warn(&mut self, error: &KafkaError, text: &str) {
        if let Some(muted) = self.brake.admit(Instant::now()) {
            tracing::warn!(%error, muted, "{text}");
        }
    }
}

#[derive(serde::Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ControlMessage {
    Cancel { job_id: JobId },
}

/// The job that a control message cancels.
fn cancelled_job(value: &[u8]) -> Result<JobId, String> {
    match serde_json::from_slice(value) {
        Ok(ControlMessage::Cancel { job_id }) => Ok(job_id),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancel_names_its_job_and_may_say_more() {
        let json = br#"{"type":"cancel","job_id":"movie-42","reason":"wrong film"}"#;
        assert_eq!(cancelled_job(json).map(|job_id| job_id.to_string()), Ok("movie-42".into()));
    }

    #[test]
    fn anything_else_on_the_control_topic_is_refused_with_a_reason() {
        for garbage in ["", "null", "{}", r#"{"type":"cancel"}"#, r#"{"type":"stop","job_id":"a"}"#, "\u{0}\u{1}"] {
            assert!(cancelled_job(garbage.as_bytes()).is_err(), "{garbage:?}");
        }
        assert!(cancelled_job(br#"{"type":"cancel","job_id":"../../etc"}"#).is_err());
    }
}

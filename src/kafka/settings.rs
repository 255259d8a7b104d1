//! Which cluster, which topics, and how the librdkafka clients are set up. All names of topics and all properties
//! of clients come from here. Must never print the values of pass-through properties: they hold passwords.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::domain::failure::Failure;
use actors::domain::record::{Queue, TopicNames};
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::reserved::reserved;

/// The largest record that is sent: a dead letter carries the original value of up to 10 MB, and its headers.
pub const MAX_RECORD_BYTES: usize = 11 * 1024 * 1024;
/// Partitions of the topics of jobs and of tasks: the most workers that can share them, four for each slot.
pub const DEFAULT_PARTITIONS: i32 = 64;
/// How far above the commit watermark a partition is worked on: a long task then holds back at most this many.
pub const DEFAULT_WINDOW: i64 = 8;

/// The same for the only partition of the embedded broker: more than any machine has slots.
const EMBEDDED_WINDOW: i64 = 1_000;

/// More would make the lag of a partition with a long task meaningless.
const MAX_WINDOW: i64 = 1_000;

/// Names of the topics, all made from the one that is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics(TopicNames);

impl Topics {
    /// The topics of the jobs topic `topic`.
    pub fn of(topic: &str) -> Self {
        Self(TopicNames::after(topic))
    }

    /// The name of a topic.
    pub fn name(&self, queue: Queue) -> &str {
        self.0.of(queue)
    }

    /// What a topic holds; `None` for a foreign one.
    pub fn queue(&self, name: &str) -> Option<Queue> {
        Self::ALL.into_iter().find(|queue| self.name(*queue) == name)
    }

    /// Every topic.
    pub const ALL: [Queue; 5] = [Queue::Jobs, Queue::Cpu, Queue::Gpu, Queue::DeadLetter, Queue::Control];
}

/// What the Kafka adapter has to know.
#[derive(Clone)]
pub struct KafkaSettings {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// The topic of jobs; the other names are made from it, see [`Topics`].
    pub topic: String,
    /// The consumer group, with one member for each topic.
    pub group_id: String,
    /// Whether the topics of tasks have groups of their own, see [`Self::group_of`]. Only for the embedded broker,
    /// which lets the second member of a group wait for seconds.
    pub group_for_each_topic: bool,
    /// The name of this worker, as the brokers log it.
    pub client_id: String,
    /// Whether tasks for GPUs are read from the start; later it is as the receiver says.
    pub gpu: bool,
    /// Offsets of a partition above its commit watermark that may be worked on, 1 to 1000.
    pub window: i64,
    /// How long the first contact with the cluster may take.
    pub connect_timeout: Duration,
    /// Further librdkafka properties (security, SASL, timeouts); they win over the worker's own choices.
    pub extra: BTreeMap<String, String>,
}

impl std::fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("topic", &self.topic)
            .field("group_id", &self.group_id)
            .field("group_for_each_topic", &self.group_for_each_topic)
            .field("client_id", &self.client_id)
            .field("gpu", &self.gpu)
            .field("window", &self.window)
            .field("connect_timeout", &self.connect_timeout)
            .field("extra", &self.extra.keys())
            .finish()
    }
}

impl KafkaSettings {
    /// The defaults for a real cluster.
    pub fn new(brokers: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic: "transcoding".into(),
            group_id: "gstreamer-worker".into(),
            group_for_each_topic: false,
            client_id: client_id.into(),
            gpu: false,
            window: DEFAULT_WINDOW,
            connect_timeout: Duration::from_secs(30),
            extra: BTreeMap::new(),
        }
    }

    /// For the broker in this process. It answers a fetch only when its wait is over, so the wait is short, but not so
    /// short that the fetches cost a percent of the CPU; and it waits for a session timeout, less a second, at each
    /// rebalance but the first (2 to 4 s instead of 0.1 s), so each topic has its own group. A partition may be worked
    /// on by all slots of the machine.
    pub fn embedded(brokers: impl Into<String>, client_id: impl Into<String>) -> Self {
        let mut settings =
            Self { group_for_each_topic: true, window: EMBEDDED_WINDOW, ..Self::new(brokers, client_id) };
        for (key, value) in
            [("fetch.wait.max.ms", "30"), ("session.timeout.ms", "3000"), ("heartbeat.interval.ms", "500")]
        {
            settings.extra.insert(key.into(), value.into());
        }
        settings
    }

    /// The names of the topics.
    pub fn topics(&self) -> Topics {
        Topics::of(&self.topic)
    }

    /// The topics that this worker takes work from.
    pub fn work_queues(&self) -> Vec<Queue> {
        [Queue::Jobs, Queue::Cpu].into_iter().chain(self.gpu.then_some(Queue::Gpu)).collect()
    }

    /// The group that reads a topic.
    pub fn group_of(&self, queue: Queue) -> String {
        match queue {
            Queue::Cpu | Queue::Gpu if self.group_for_each_topic => {
                format!("{}.{}", self.group_id, self.topics().name(queue))
            }
            _ => self.group_id.clone(),
        }
    }

    /// Checks the settings without the network.
    ///
    /// # Errors
    /// `permanent`, naming the property that is not possible.
    pub fn check(&self) -> Result<(), Failure> {
        if !(1..=MAX_WINDOW).contains(&self.window) {
            let message =
                format!("a window of {} offsets per partition is not possible, 1 to {MAX_WINDOW} are", self.window);
            return Err(Failure::permanent(message));
        }
        for property in self.extra.keys() {
            if let Some(reason) = reserved(property) {
                return Err(Failure::permanent(format!("the Kafka property `{property}` cannot be set: {reason}")));
            }
        }
        for config in [self.consumer_config(), self.producer_config()] {
            config.create_native_config().map_err(|error| client_failure(&error))?;
        }
        Ok(())
    }

    fn config(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("bootstrap.servers", &self.brokers).set("client.id", &self.client_id);
        // After an outage the worker is back within seconds.
        config.set("reconnect.backoff.max.ms", "2000").set("socket.keepalive.enable", "true");
        for (key, value) in own {
            config.set(*key, *value);
        }
        for (key, value) in &self.extra {
            config.set(key, value);
        }
        config
    }

    /// The member of the group for one topic.
    pub(super) fn member_config(&self, queue: Queue) -> ClientConfig {
        let mut config = self.consumer_config();
        config.set("group.id", self.group_of(queue));
        config
    }

    fn consumer_config(&self) -> ClientConfig {
        let mut config = self.config(&[
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("allow.auto.create.topics", "false"),
            ("session.timeout.ms", "45000"),
            ("heartbeat.interval.ms", "3000"),
            ("max.poll.interval.ms", "300000"),
            // Records are small and are kept in a buffer of our own: fetch little, but often. A resumed partition
            // waits for the fetch that is under way, hence the short wait.
            ("queued.min.messages", "100"),
            ("queued.max.messages.kbytes", "16384"),
            ("fetch.message.max.bytes", "262144"),
            ("fetch.wait.max.ms", "250"),
            ("fetch.queue.backoff.ms", "20"),
            // Added partitions are found within a minute.
            ("topic.metadata.refresh.interval.ms", "60000"),
        ]);
        config.set("group.id", &self.group_id);
        config
    }

    /// Looks at the cluster and at the group of a topic, reads the control topic; never joins the group.
    pub(super) fn observer_config(&self, queue: Queue) -> ClientConfig {
        let mut config = self.member_config(queue);
        config.set("auto.offset.reset", "latest");
        config
    }

    /// Reads the dead letters; never joins the group. Letters that are gone are passed over.
    pub(super) fn letters_config(&self) -> ClientConfig {
        let mut config = self.member_config(Queue::DeadLetter);
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "true");
        config
    }

    pub(super) fn producer_config(&self) -> ClientConfig {
        self.config(&[
            ("acks", "all"),
            ("enable.idempotence", "true"),
            ("message.timeout.ms", "30000"),
            ("linger.ms", "1"),
            // The placement of the Java clients, so that a job's records meet whoever sends them.
            ("partitioner", "murmur2_random"),
            ("message.max.bytes", &MAX_RECORD_BYTES.to_string()),
        ])
    }

    pub(super) fn admin_config(&self) -> ClientConfig {
        self.config(&[])
    }
}

/// A client that could not be made: the settings are at fault.
pub(super) fn client_failure(error: &KafkaError) -> Failure {
    match error {
        KafkaError::ClientConfig(_, reason, key, _) => {
            Failure::permanent(format!("the Kafka setting `{key}` is not possible: {reason}"))
        }
        other => Failure::permanent(format!("the Kafka client cannot be made from its settings: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_with(key: &str, value: &str) -> KafkaSettings {
        let mut settings = KafkaSettings::new("127.0.0.1:9092", "worker");
        settings.extra.insert(key.into(), value.into());
        settings
    }

    #[test]
    fn every_topic_is_named_after_the_jobs_topic_and_found_again() {
        let topics = Topics::of("film");
        assert_eq!(topics.name(Queue::Jobs), "film");
        assert_eq!(topics.name(Queue::Gpu), "film.tasks.gpu");
        for queue in Topics::ALL {
            assert_eq!(topics.queue(topics.name(queue)), Some(queue));
        }
        assert_eq!(topics.queue("film.other"), None);
    }

    #[test]
    fn the_defaults_are_accepted_by_librdkafka() {
        assert_eq!(KafkaSettings::new("127.0.0.1:9092", "worker").check(), Ok(()));
        assert_eq!(KafkaSettings::embedded("127.0.0.1:9092", "worker").check(), Ok(()));
    }

    #[test]
    fn a_cluster_sees_one_group_and_the_embedded_broker_one_for_each_topic() {
        let groups = |settings: KafkaSettings| [Queue::Jobs, Queue::Cpu].map(|queue| settings.group_of(queue));
        assert_eq!(groups(KafkaSettings::new("", "")), ["gstreamer-worker"; 2]);
        let embedded = groups(KafkaSettings::embedded("", ""));
        assert_eq!(embedded, ["gstreamer-worker", "gstreamer-worker.transcoding.tasks.cpu"]);
    }

    #[test]
    fn a_property_that_librdkafka_does_not_know_is_named() {
        let failure = settings_with("sasl.mecanism", "PLAIN").check().expect_err("unknown");
        assert!(failure.message.contains("`sasl.mecanism`"), "{failure}");
        let failure = settings_with("session.timeout.ms", "soon").check().expect_err("not a number");
        assert!(failure.message.contains("`session.timeout.ms`"), "{failure}");
    }

    #[test]
    fn a_property_that_would_break_a_promise_is_refused() {
        let failure = settings_with("enable.auto.commit", "true").check().expect_err("reserved");
        assert!(failure.message.contains("`enable.auto.commit`"), "{failure}");
    }

    #[test]
    fn a_window_that_makes_no_sense_is_refused() {
        for window in [i64::MIN, 0, MAX_WINDOW + 1] {
            let settings = KafkaSettings { window, ..KafkaSettings::new("127.0.0.1:9092", "worker") };
            assert!(settings.check().is_err(), "{window}");
        }
    }

    #[test]
    fn passwords_do_not_reach_the_log() {
        let settings = settings_with("sasl.password", "hunter2");
        let text = format!("{settings:?}");
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }
}

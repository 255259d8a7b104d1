//! A broker in this process, for a single machine: librdkafka's mock cluster on a random port of loopback. It forgets
//! everything when it is dropped, and it keeps at most 5 MiB or 100 000 records of a partition, without a word about
//! those it drops; so it is for one job at a time, never for a service.

use std::ffi::{CStr, CString};

use actors::domain::failure::Failure;
use rdkafka::ClientConfig;
use rdkafka::bindings as native;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::observer::Quiet;
use super::settings::{KafkaSettings, Topics};

/// Partitions of each topic: one, so that tasks are started in the order in which they were sent.
pub const EMBEDDED_PARTITIONS: i32 = 1;

/// See the module. The broker lives as long as this value.
pub struct EmbeddedBroker {
    /// The client that the cluster hangs on; it is never used as one.
    host: BaseConsumer<Quiet>,
    brokers: String,
}

impl EmbeddedBroker {
    /// Starts a broker that has the topics of the default jobs topic.
    ///
    /// # Errors
    /// `retryable` where it cannot listen on loopback.
    pub fn start() -> Result<Self, Failure> {
        Self::start_with(&KafkaSettings::new("", "").topics(), EMBEDDED_PARTITIONS)
    }

    /// Starts a broker that has `topics`, each with `partitions` partitions, 1 or more.
    ///
    /// # Errors
    /// `retryable` where it cannot listen on loopback.
    pub fn start_with(topics: &Topics, partitions: i32) -> Result<Self, Failure> {
        let host: BaseConsumer<Quiet> = ClientConfig::new()
            .set("test.mock.num.brokers", "1")
            // Nobody polls this client, so nothing must wait in its log queue.
            .set_log_level(RDKafkaLogLevel::Emerg)
            .create_with_context(Quiet)
            .map_err(|error| Failure::retryable(format!("the embedded broker cannot be started: {error}")))?;
        let cluster = cluster_of(&host);
        if cluster.is_null() {
            return Err(Failure::retryable("the embedded broker cannot be started: librdkafka made no cluster"));
        }
        // SAFETY: the cluster is not null and lives as long as `host`; the text belongs to it and is copied here.
        let brokers = unsafe { CStr::from_ptr(native::rd_kafka_mock_cluster_bootstraps(cluster)) };
        let brokers = brokers.to_string_lossy().into_owned();
        // The first member of a group would wait three seconds for others.
        // SAFETY: the cluster is not null and lives as long as `host`; the call is handed to the cluster's own thread.
        unsafe { native::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0) };
        let broker = Self { host, brokers };
        for queue in Topics::ALL {
            broker.create_topic(topics.name(queue), partitions)?;
        }
        Ok(broker)
    }

    /// `host:port` of the broker.
    pub fn brokers(&self) -> String {
        self.brokers.clone()
    }

    fn create_topic(&self, name: &str, partitions: i32) -> Result<(), Failure> {
        let refused = |reason: String| {
            Failure::permanent(format!("the embedded broker cannot make the topic `{name}`: {reason}"))
        };
        let text = CString::new(name).map_err(|error| refused(error.to_string()))?;
        // SAFETY: the cluster lives as long as `self.host`, the name as long as the call.
        let code = unsafe { native::rd_kafka_mock_topic_create(cluster_of(&self.host), text.as_ptr(), partitions, 1) };
        match code {
            native::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(()),
            code => Err(refused(format!("{code:?}"))),
        }
    }
}

fn cluster_of(host: &BaseConsumer<Quiet>) -> *mut native::rd_kafka_mock_cluster_t {
    // SAFETY: the handle of a living client; the answer is null where it has no cluster.
    unsafe { native::rd_kafka_handle_mock_cluster(host.client().native_ptr()) }
}

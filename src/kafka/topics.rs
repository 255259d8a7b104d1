//! Makes the topics that are missing, where the cluster allows it. Topics that exist are left as they are.

use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use actors::domain::record::Queue;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::observer::Quiet;
use super::settings::{KafkaSettings, MAX_RECORD_BYTES, Topics, client_failure};

/// For the cluster to make the topics.
const CREATE_TIMEOUT: Duration = Duration::from_secs(15);
/// Cancels are few and every worker reads all of them; dead letters are few.
const FEW_PARTITIONS: i32 = 1;

/// Sees to it that all topics exist, and gives the names of those that were made. `partitions` is for the topics of jobs
/// and of tasks, 1 or more; see [`super::DEFAULT_PARTITIONS`]. Needs tokio.
///
/// # Errors
/// `retryable` where the cluster does not answer within [`KafkaSettings::connect_timeout`]; `permanent`, naming the
/// topic, where it refuses.
pub async fn ensure_topics(settings: &KafkaSettings, partitions: i32) -> Result<Vec<String>, Failure> {
    settings.check()?;
    let missing = missing_topics(settings.clone()).await?;
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let admin: AdminClient<Quiet> =
        settings.admin_config().create_with_context(Quiet).map_err(|error| client_failure(&error))?;
    let topics = settings.topics();
    let max_bytes = MAX_RECORD_BYTES.to_string();
    let wanted: Vec<NewTopic<'_>> =
        missing.iter().map(|queue| new_topic(&topics, *queue, partitions, &max_bytes)).collect();
    let options = AdminOptions::new().request_timeout(Some(CREATE_TIMEOUT)).operation_timeout(Some(CREATE_TIMEOUT));
    let answers = admin.create_topics(&wanted, &options).await;
    // Ending the client joins its thread.
    let _ = tokio::task::spawn_blocking(move || drop(admin)).await;
    let answers = answers.map_err(|error| {
        let names: Vec<_> = missing.iter().map(|queue| topics.name(*queue)).collect();
        Failure::retryable(format!("the Kafka topics {names:?} do not exist and could not be made: {error}"))
    })?;
    let mut made = Vec::new();
    for answer in answers {
        match answer {
            Ok(name) => made.push(name),
            // Another worker was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => {
                return Err(Failure::permanent(format!(
                    "the Kafka topic `{name}` does not exist and the cluster refused to make it: {error}; \
                     make it, or allow this user to"
                )));
            }
        }
    }
    Ok(made)
}

fn new_topic<'a>(topics: &'a Topics, queue: Queue, partitions: i32, max_bytes: &'a str) -> NewTopic<'a> {
    let partitions = match queue {
        Queue::Jobs | Queue::Cpu | Queue::Gpu => partitions,
        Queue::DeadLetter | Queue::Control => FEW_PARTITIONS,
    };
    // -1: as many replicas as the cluster is set up for.
    let topic = NewTopic::new(topics.name(queue), partitions, TopicReplication::Fixed(-1));
    match queue {
        // The original value of up to 10 MB fits whole.
        Queue::DeadLetter => topic.set("max.message.bytes", max_bytes),
        _ => topic,
    }
}

async fn missing_topics(settings: KafkaSettings) -> Result<Vec<Queue>, Failure> {
    let search = tokio::task::spawn_blocking(move || find_missing(&settings)).await;
    search.map_err(|error| Failure::retryable(format!("the search for Kafka topics ended early: {error}")))?
}

fn find_missing(settings: &KafkaSettings) -> Result<Vec<Queue>, Failure> {
    let client: BaseConsumer<Quiet> =
        settings.observer_config(Queue::Jobs).create_with_context(Quiet).map_err(|error| client_failure(&error))?;
    let deadline = Instant::now() + settings.connect_timeout;
    let topics = settings.topics();
    let mut missing = Vec::new();
    for queue in Topics::ALL {
        let name = topics.name(queue);
        let left = deadline.saturating_duration_since(Instant::now());
        let metadata = client.fetch_metadata(Some(name), left).map_err(|error| {
            Failure::retryable(format!(
                "no Kafka broker at `{}` answered within {:?}: {error}; check the address and the network",
                settings.brokers, settings.connect_timeout
            ))
        })?;
        let error = metadata.topics().iter().find_map(|topic| topic.error());
        match error.map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => missing.push(queue),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                let message = format!("the Kafka topic `{name}` may not be seen: allow this user to describe it");
                return Err(Failure::permanent(message));
            }
            _ => {}
        }
    }
    Ok(missing)
}

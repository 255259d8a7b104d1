//! Whether the cluster answers, and which of the topics are there.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::Finding;
use crate::config::{Brokers, Kafka};

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// Appended to the topic of the jobs.
const SUFFIXES: [&str; 5] = ["", ".tasks.cpu", ".tasks.gpu", ".dead-letter", ".control"];

/// Blocks until the cluster answered or the time is over.
pub(super) fn check(kafka: &Kafka) -> Vec<Finding> {
    let Brokers::Cluster(brokers) = &kafka.brokers else {
        return vec![Finding::ok("kafka", "inside the process (KAFKA_BROKERS=embedded)")];
    };
    match topics(brokers, kafka) {
        Ok(found) => judge(brokers, &kafka.topic, &found),
        Err((detail, advice)) => vec![Finding::fail("kafka", detail, advice)],
    }
}

fn topics(brokers: &str, kafka: &Kafka) -> Result<Vec<String>, (String, &'static str)> {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers);
    for (property, value) in &kafka.properties {
        settings.set(property, value.expose());
    }
    let client: BaseConsumer = settings.create().map_err(|error| {
        (format!("librdkafka refuses the configuration: {error}"), "correct the KAFKA_CONFIG_* variables")
    })?;
    let metadata = client.fetch_metadata(None, METADATA_TIMEOUT).map_err(|error| {
        let advice = "check that the brokers run, their names, and the security settings in KAFKA_CONFIG_*";
        (format!("{brokers} does not answer: {error}"), advice)
    })?;
    Ok(metadata.topics().iter().map(|topic| topic.name().to_owned()).collect())
}

fn judge(brokers: &str, topic: &str, found: &[String]) -> Vec<Finding> {
    let reached = Finding::ok("kafka", format!("{brokers} answers"));
    let missing: Vec<_> =
        SUFFIXES.iter().map(|suffix| format!("{topic}{suffix}")).filter(|name| !found.contains(name)).collect();
    let topics = match missing.is_empty() {
        true => Finding::ok("kafka topics", format!("{topic} and the four beside it are there")),
        false => Finding::warn(
            "kafka topics",
            format!("{} missing", missing.join(", ")),
            "the first worker makes them at its start; where it may not, make them yourself (tasks: 64 partitions)",
        ),
    };
    vec![reached, topics]
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn missing_topics_are_named() {
        let findings = judge("kafka:9092", "jobs", &["jobs".into(), "jobs.control".into(), "other".into()]);
        assert_eq!(findings[1].verdict, Verdict::Warn);
        assert_eq!(findings[1].detail, "jobs.tasks.cpu, jobs.tasks.gpu, jobs.dead-letter missing");
    }
}

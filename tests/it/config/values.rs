//! What is accepted, and what it becomes.

use std::path::Path;
use std::time::Duration;

use gstreamer_worker::config::{Brokers, Config, Gpu, LogFormat, Store, VARIABLES, variable};

use super::{parse, pod};

#[test]
fn the_least_that_a_pod_needs_is_the_cluster_and_redis() {
    let config = pod(&[]).expect("a configuration");
    assert_eq!(config.kafka.brokers, Brokers::Cluster("kafka-1:9092,kafka-2:9092".into()));
    assert_eq!((config.kafka.topic.as_str(), config.kafka.group_id.as_str()), ("transcoding", "gstreamer-worker"));
    assert!(matches!(config.store, Store::Redis { ref host, port: 6379, password: None } if host == "redis"));
    assert!(config.service.is_none() && config.kafka.properties.is_empty());
    assert_eq!((config.gpu, config.log_format, config.metrics_port), (Gpu::Auto, LogFormat::Text, 9090));
    assert_eq!((config.chunk_seconds.get(), config.job_parallelism.get(), config.max_attempts.get()), (10, 32, 3));
    assert_eq!(config.pool_size, std::thread::available_parallelism().expect("cores"));
    assert_eq!(config.drain_timeout, Duration::from_secs(25));
    assert_eq!((config.gpu_sessions, config.gpu_wait_timeout), (None, Duration::from_secs(600)));
    assert_eq!(config.encoder_wait_timeout, Duration::from_secs(1800));
    assert_eq!(config.checkpoint_ttl, Duration::from_secs(7 * 24 * 3600));
}

#[test]
fn the_embedded_broker_needs_nothing_else() {
    let config = parse(&[("KAFKA_BROKERS", "embedded")]).expect("a configuration");
    assert_eq!(config.kafka.brokers, Brokers::Embedded);
    assert!(matches!(config.store, Store::Embedded));
    let config = parse(&[("KAFKA_BROKERS", "embedded"), ("REDIS_HOST", "::1")]).expect("a configuration");
    assert!(matches!(config.store, Store::Redis { .. }), "Redis where it is named");
}

#[test]
fn every_default_is_a_value_that_is_accepted() {
    for variable in VARIABLES {
        if let Some(default) = variable.default {
            pod(&[(variable.name, default)]).unwrap_or_else(|errors| panic!("{}: {errors}", variable.name));
        }
    }
}

#[test]
fn durations_are_written_as_people_write_them() {
    for (text, seconds) in [("30s", 30), ("5m", 300), ("2h", 7200), ("90", 90), ("1h 30m", 5400), (" 10s ", 10)] {
        assert_eq!(pod(&[("STALL_TIMEOUT", text)]).expect(text).stall_timeout, Duration::from_secs(seconds), "{text}");
    }
    for text in ["0", "-5s", "5 apples", "s", "1000h"] {
        assert!(pod(&[("STALL_TIMEOUT", text)]).is_err(), "{text}");
    }
    assert_eq!(pod(&[("DRAIN_TIMEOUT", "0")]).expect("no drain").drain_timeout, Duration::ZERO);
}

#[test]
fn an_empty_value_counts_as_not_set() {
    let config = pod(&[("METRICS_PORT", ""), ("TRANSCODING_SERVICE_URL", "  "), ("REDIS_PASSWORD", "")]).expect("fine");
    assert_eq!(config.metrics_port, 9090);
    assert!(config.service.is_none());
    assert!(pod(&[("REDIS_HOST", "")]).is_err(), "an empty host is no host");
}

#[test]
fn the_service_link_that_kubernetes_sets_for_redis_is_understood() {
    let config =
        pod(&[("REDIS_PORT", "tcp://10.43.7.1:6380"), ("REDIS_PORT_6380_TCP_ADDR", "10.43.7.1")]).expect("fine");
    assert!(matches!(config.store, Store::Redis { port: 6380, .. }));
}

#[test]
fn librdkafka_gets_its_properties_by_their_own_names() {
    let config = pod(&[
        ("KAFKA_CONFIG_SECURITY_PROTOCOL", "SASL_SSL"),
        ("KAFKA_CONFIG_SASL_PASSWORD", "hunter2"),
        ("KAFKA_CONFIG_SOCKET_KEEPALIVE_ENABLE", "true"),
    ])
    .expect("fine");
    let properties: Vec<_> =
        config.kafka.properties.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    assert_eq!(
        properties,
        [("sasl.password", "hunter2"), ("security.protocol", "SASL_SSL"), ("socket.keepalive.enable", "true")]
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn a_local_job_reads_what_tunes_the_work_and_nothing_of_a_pod() {
    let env = [
        ("STALL_TIMEOUT", "7s"),
        ("ENCODER_POOL_SIZE", "3"),
        ("KAFKA_BROKERS", "kafka:9092"),
        ("KAFKA_TOPC", "x"),
        ("REDIS_HOST", "redis"),
        ("METRICS_PORT", "nonsense"),
        ("TRANSCODING_SERVICE_URL", "http://service"),
        ("WORK_URL", "s3://bucket/x"),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let chunk_seconds = variable("CHUNK_SECONDS").expect("a variable");
    let config = Config::local(Path::new("/tmp/my work"), &[(chunk_seconds, "2".into())], env).expect("fine");
    assert_eq!(config.kafka.brokers, Brokers::Embedded);
    assert!(matches!(config.store, Store::Embedded) && config.service.is_none());
    assert_eq!(config.work_url.as_str(), "file:///tmp/my%20work/");
    assert_eq!((config.stall_timeout.as_secs(), config.pool_size.get(), config.chunk_seconds.get()), (7, 3, 2));
    assert_eq!(config.gpu_wait_timeout, Duration::ZERO, "nobody else can bring a GPU");
    assert_eq!(config.encoder_wait_timeout, Duration::ZERO, "nor another version of an encoder");
    assert_eq!(config.drain_timeout, Duration::from_secs(1), "who presses ctrl-c does not want to wait");
}

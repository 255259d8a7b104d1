//! Records out: sizes, headers, refusals.

use std::time::{Duration, Instant};

use actors::domain::failure::FailureClass;
use actors::domain::record::{Publication, Queue};
use actors::ports::{TaskPublisher as _, TaskSource as _};
use gstreamer_worker::kafka::{KafkaPublisher, KafkaSettings, ensure_topics};

use super::bench::{Bench, Kind, record};
use crate::support::kafka::{self, Kafka};

const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

super::on_both_brokers!(
    a_dead_letter_keeps_an_original_of_ten_megabytes_and_its_headers,
    a_record_larger_than_any_is_refused_for_good
);

async fn a_dead_letter_keeps_an_original_of_ten_megabytes_and_its_headers(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    bench.publisher.publish(dead_letter()).await.expect("published");
    let found = kafka::first_record(&bench.settings.brokers, bench.settings.topics().name(Queue::DeadLetter));
    assert_eq!(found.value.map(|value| value.len()), Some(TEN_MEGABYTES));
    assert_eq!(found.headers, [("class".to_owned(), b"permanent".to_vec())]);
}

async fn a_record_larger_than_any_is_refused_for_good(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let huge = Publication { queue: Queue::Cpu, key: Vec::new(), value: Some(vec![0; 12 << 20]), headers: Vec::new() };
    let failure = bench.publisher.publish(huge).await.expect_err("too large");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains(bench.settings.topics().name(Queue::Cpu)), "{failure}");
}

#[tokio::test]
async fn a_record_that_the_broker_finds_too_large_is_refused_for_good() {
    let bench = Bench::new(Kind::Apache, 1).await;
    let large = Publication { queue: Queue::Jobs, key: Vec::new(), value: Some(vec![0; 2 << 20]), headers: Vec::new() };
    let failure = bench.publisher.publish(large).await.expect_err("too large");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("max.message.bytes"), "{failure}");
}

#[tokio::test]
async fn a_dead_letter_that_the_broker_finds_too_large_is_cut_and_says_so() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    settings.topic = kafka::unique("jobs");
    let topics = settings.topics();
    kafka::create_topic(&settings.brokers, topics.name(Queue::DeadLetter), 1, &[]).await;
    ensure_topics(&settings, 1).await.expect("the other topics");
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    publisher.publish(dead_letter()).await.expect("published");
    let found = kafka::first_record(&settings.brokers, topics.name(Queue::DeadLetter));
    assert_eq!(found.value.map(|value| value.len()), Some(900_000));
    let cut = ("truncated-from-bytes".to_owned(), TEN_MEGABYTES.to_string().into_bytes());
    assert_eq!(found.headers, [("class".to_owned(), b"permanent".to_vec()), cut]);
}

fn dead_letter() -> Publication {
    Publication {
        queue: Queue::DeadLetter,
        key: b"movie-42".to_vec(),
        value: Some(vec![b'x'; TEN_MEGABYTES]),
        headers: vec![("class".to_owned(), b"permanent".to_vec())],
    }
}

#[tokio::test]
async fn a_message_of_ten_megabytes_is_delivered_and_the_next_one_too() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    (settings.topic, settings.group_id) = (kafka::unique("jobs"), kafka::unique("group"));
    kafka::create_topic(&settings.brokers, &settings.topic, 1, &[("max.message.bytes", "11534336")]).await;
    ensure_topics(&settings, 1).await.expect("the other topics");
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    let poison = Publication { queue: Queue::Jobs, ..dead_letter() };
    publisher.publish(poison.clone()).await.expect("published");
    publisher.publish(record(Queue::Jobs, "movie-43", "{}")).await.expect("published");
    let mut member = super::bench::Member::join(&settings);
    member.source.grant(2);
    assert_eq!(member.delivery().await.value, poison.value);
    assert_eq!(member.delivery().await.value, Some(b"{}".to_vec()));
    member.leave().await;
}

#[tokio::test]
async fn without_a_broker_a_record_fails_in_time_and_may_be_sent_again() {
    let mut settings = KafkaSettings::new("127.0.0.1:1", "tester");
    settings.extra.insert("message.timeout.ms".into(), "1000".into());
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    let began_at = Instant::now();
    let failure = publisher.publish(record(Queue::Cpu, "a", "b")).await.expect_err("no broker");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(began_at.elapsed() < Duration::from_secs(10), "{:?}", began_at.elapsed());
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let mut bench = Bench::new(Kind::Embedded, 4).await;
    bench.settings.extra.insert("queue.buffering.max.messages".into(), "10".into());
    bench.publisher = KafkaPublisher::new(&bench.settings).expect("a publisher");
    bench.publish_many(Queue::Cpu, 500).await;
}

//! Clusters that are away, incomplete or wrongly described.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use actors::domain::record::Queue;
use actors::ports::{SourceEvent, TaskPublisher as _, TaskSource as _};
use gstreamer_worker::kafka::{EmbeddedBroker, KafkaPublisher, KafkaSettings, KafkaSource, ensure_topics};
use tokio::sync::mpsc::unbounded_channel;

use super::bench::{Bench, Kind, Member, record};
use crate::support::kafka::{self, Kafka};

async fn broken(settings: &KafkaSettings) -> Failure {
    let mut member = Member::join(settings);
    let pick = |event: &SourceEvent| match event {
        SourceEvent::Broken(failure) => Some(failure.clone()),
        _ => None,
    };
    let failure = member.wait("a failure", pick).await;
    member.leave().await;
    failure
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_named_within_the_time_given() {
    let mut settings = KafkaSettings::new("127.0.0.1:1", "tester");
    settings.connect_timeout = Duration::from_secs(1);
    let began_at = Instant::now();
    let failure = broken(&settings).await;
    assert!(failure.message.contains("127.0.0.1:1"), "{failure}");
    assert!(began_at.elapsed() < Duration::from_secs(10), "{:?}", began_at.elapsed());
    let failure = ensure_topics(&settings, 1).await.expect_err("no broker");
    assert!(failure.message.contains("127.0.0.1:1"), "{failure}");
}

#[tokio::test]
async fn a_missing_topic_is_named() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    settings.topic = kafka::unique("absent");
    settings.connect_timeout = Duration::from_secs(10);
    let failure = broken(&settings).await;
    assert!(failure.message.contains(&settings.topic), "{failure}");
}

#[tokio::test]
async fn topics_are_made_once_and_then_left_alone() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    settings.topic = kafka::unique("jobs");
    kafka::create_topic(&settings.brokers, &settings.topic, 3, &[]).await;
    assert_eq!(ensure_topics(&settings, 64).await.expect("made").len(), 4);
    assert_eq!(ensure_topics(&settings, 64).await, Ok(Vec::new()));
    let partitions = |queue| kafka::num_partitions(&settings.brokers, settings.topics().name(queue));
    assert_eq!([Queue::Jobs, Queue::Cpu, Queue::Control].map(partitions), [3, 64, 1]);
}

#[tokio::test]
async fn a_setting_that_is_not_possible_is_refused_at_once() {
    let mut settings = KafkaSettings::new("127.0.0.1:1", "tester");
    settings.extra.insert("security.protocol".into(), "carrier_pigeon".into());
    let (sender, _events) = unbounded_channel();
    let failure = KafkaSource::connect(&settings, sender).err().expect("refused");
    assert!(failure.message.contains("`security.protocol`"), "{failure}");
    assert!(KafkaPublisher::new(&settings).is_err());
}

#[tokio::test]
async fn an_outage_of_the_broker_loses_nothing() {
    let kafka = Kafka::start();
    let mut settings = KafkaSettings::new(kafka.brokers(), "tester");
    settings.connect_timeout = Duration::from_secs(30);
    ensure_topics(&settings, 1).await.expect("topics");
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    let mut member = Member::join(&settings);
    member.source.grant(100);
    publisher.publish(record(Queue::Cpu, "a", "before")).await.expect("published");
    let before = member.delivery().await;
    kafka.kill();
    member.finish(before.tag);
    let during = tokio::spawn(publisher.publish(record(Queue::Cpu, "b", "during")));
    kafka.restart();
    during.await.expect("no panic").expect("published after the outage");
    let after = member.delivery().await;
    assert_eq!(after.value, Some(b"during".to_vec()));
    member.finish(after.tag);
    let topic = settings.topics().name(Queue::Cpu).to_owned();
    super::bench::until("no lag", || kafka::lag(&settings.brokers, &settings.group_id, &topic) == 0).await;
    assert!(member.source.last_poll().elapsed() < Duration::from_secs(5));
    member.leave().await;
}

#[tokio::test]
async fn leaving_ends_in_time_when_the_broker_is_gone() {
    let broker = EmbeddedBroker::start().expect("a broker");
    let settings = KafkaSettings::embedded(broker.brokers(), "tester");
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    let mut member = Member::join(&settings);
    member.source.grant(1);
    publisher.publish(record(Queue::Cpu, "a", "b")).await.expect("published");
    let delivery = member.delivery().await;
    drop(broker);
    member.finish(delivery.tag);
    let began_at = Instant::now();
    member.leave().await;
    assert!(began_at.elapsed() < Duration::from_secs(15), "{:?}", began_at.elapsed());
}

#[tokio::test]
async fn a_job_from_another_producer_is_delivered() {
    for kind in [Kind::Apache, Kind::Embedded] {
        let bench = Bench::new(kind, 2).await;
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", &bench.settings.brokers, "-t", &bench.settings.topic, "-k", "movie-42", "-H", "a=b"]);
        let mut kcat = kcat.stdin(Stdio::piped()).spawn().expect("kcat: apt-get install kcat");
        kcat.stdin.take().expect("piped").write_all(br#"{"job_id":"movie-42"}"#).expect("written");
        assert!(kcat.wait().expect("kcat ends").success());
        let mut member = bench.join();
        member.source.grant(1);
        let delivery = member.delivery().await;
        assert_eq!(delivery.tag.queue, Queue::Jobs);
        assert_eq!(delivery.key, Some(b"movie-42".to_vec()));
        assert_eq!(delivery.value, Some(br#"{"job_id":"movie-42"}"#.to_vec()));
        assert_eq!(delivery.headers, [("a".to_owned(), b"b".to_vec())]);
        member.leave().await;
    }
}

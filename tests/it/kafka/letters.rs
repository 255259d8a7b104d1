//! Reading the dead letters.

use std::time::Duration;

use actors::domain::dead_letter::{DeadLetter, LetterId};
use actors::domain::failure::FailureClass;
use actors::domain::record::{Publication, Queue};
use actors::ports::{DeadLetters as _, TaskPublisher as _};
use gstreamer_worker::kafka::{KafkaPublisher, KafkaSettings, LetterBox, ensure_topics};

use super::bench::{Bench, Kind};
use crate::support::kafka::{self, Kafka};

super::on_both_brokers!(
    the_newest_letters_come_in_their_order_with_the_number_of_the_others,
    a_letter_is_found_by_its_id_whatever_its_size,
    a_topic_without_letters_has_none
);

fn letters_of(bench: &Bench) -> LetterBox {
    LetterBox::new(&bench.settings).expect("settings")
}

async fn publish(bench: &Bench, key: &str, bytes: usize) {
    let headers = vec![("reason".to_owned(), key.as_bytes().to_vec()), ("attempts".to_owned(), b"2".to_vec())];
    let (queue, value) = (Queue::DeadLetter, Some(vec![b'x'; bytes]));
    bench.publisher.publish(Publication { queue, key: key.into(), value, headers }).await.expect("published");
}

fn reasons(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().filter_map(|letter| letter.reason.as_deref()).collect()
}

async fn the_newest_letters_come_in_their_order_with_the_number_of_the_others(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    for number in 0..7 {
        publish(&bench, &number.to_string(), 10).await;
    }
    let all = letters_of(&bench).newest(100).await.expect("letters");
    assert_eq!((reasons(&all.letters), all.left_out), (vec!["0", "1", "2", "3", "4", "5", "6"], 0));
    assert_eq!(all.letters[3].id, LetterId { partition: 0, offset: 3 });
    assert_eq!(all.letters[3].attempts, Some(2));
    assert!(all.letters[3].at.is_some_and(|at| (chrono::Utc::now() - at).num_seconds().abs() < 600));
    let newest = letters_of(&bench).newest(2).await.expect("letters");
    assert_eq!((reasons(&newest.letters), newest.left_out), (vec!["5", "6"], 5));
    let none = letters_of(&bench).newest(0).await.expect("letters");
    assert_eq!((none.letters.len(), none.left_out), (0, 7));
}

async fn a_letter_is_found_by_its_id_whatever_its_size(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    for (key, bytes) in [("small", 10), ("large", 3 << 20), ("last", 10)] {
        publish(&bench, key, bytes).await;
    }
    for (offset, key) in [(1, "large"), (0, "small"), (2, "last")] {
        let found = letters_of(&bench).letter(LetterId { partition: 0, offset }).await.expect("an answer");
        assert_eq!(found.map(|letter| letter.key).as_deref(), Some(key));
    }
    for (partition, offset) in [(0, 3), (0, i64::MAX), (9, 0)] {
        assert_eq!(letters_of(&bench).letter(LetterId { partition, offset }).await, Ok(None));
    }
    assert_eq!(letters_of(&bench).newest(9).await.expect("letters").letters.len(), 3);
}

async fn a_topic_without_letters_has_none(kind: Kind) {
    let bench = Bench::new(kind, 1).await;
    let found = letters_of(&bench).newest(100).await.expect("no letters");
    assert_eq!((found.letters.len(), found.left_out), (0, 0));
    assert_eq!(letters_of(&bench).letter(LetterId { partition: 0, offset: 0 }).await, Ok(None));
}

#[tokio::test]
async fn a_topic_that_does_not_exist_has_no_letters_and_is_not_made() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    settings.topic = kafka::unique("nowhere");
    let letters = LetterBox::new(&settings).expect("settings");
    for _ in 0..2 {
        let found = letters.newest(100).await.expect("no letters");
        assert_eq!((found.letters.len(), found.left_out), (0, 0));
    }
    assert_eq!(letters.letter(LetterId { partition: 0, offset: 0 }).await, Ok(None));
}

#[tokio::test]
async fn letters_of_several_partitions_are_put_in_the_order_of_their_time() {
    let mut settings = KafkaSettings::new(Kafka::shared().brokers(), "tester");
    settings.topic = kafka::unique("jobs");
    kafka::create_topic(&settings.brokers, settings.topics().name(Queue::DeadLetter), 3, &[]).await;
    ensure_topics(&settings, 1).await.expect("the other topics");
    let publisher = KafkaPublisher::new(&settings).expect("a publisher");
    let names: Vec<String> = (0..12).map(|number| format!("letter-{number:02}")).collect();
    for name in &names {
        let headers = vec![("reason".to_owned(), name.as_bytes().to_vec())];
        let letter = Publication { queue: Queue::DeadLetter, key: name.as_bytes().into(), value: None, headers };
        publisher.publish(letter).await.expect("published");
        // Time stamps of Kafka are milliseconds.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let letters = LetterBox::new(&settings).expect("settings");
    let newest = letters.newest(5).await.expect("letters");
    assert_eq!((reasons(&newest.letters), newest.left_out), (names[7..].iter().map(String::as_str).collect(), 7));
}

#[tokio::test]
async fn without_a_broker_the_letters_cannot_be_read_and_that_is_said_in_time() {
    let mut settings = KafkaSettings::new("127.0.0.1:1", "tester");
    settings.connect_timeout = Duration::from_secs(1);
    let failure = LetterBox::new(&settings).expect("settings").newest(1).await.expect_err("no broker");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("127.0.0.1:1"), "{failure}");
}

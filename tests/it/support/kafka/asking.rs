//! Questions to a broker, and orders, that do not go through the code under test.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

const ASK_TIMEOUT: Duration = Duration::from_secs(20);

/// What a group has committed in each partition of a topic, on any broker.
pub fn committed(brokers: &str, group: &str, topic: &str) -> BTreeMap<i32, i64> {
    let list = client(brokers, group).committed_offsets(all_partitions(brokers, topic), ASK_TIMEOUT).expect("commits");
    offsets(&list)
}

/// Records of a topic that a group has not committed, on any broker.
pub fn lag(brokers: &str, group: &str, topic: &str) -> i64 {
    let committed = committed(brokers, group, topic);
    let mut ends = all_partitions(brokers, topic);
    ends.set_all_offsets(Offset::End).expect("a list");
    let ends = client(brokers, group).offsets_for_times(ends, ASK_TIMEOUT).expect("ends");
    offsets(&ends).iter().map(|(partition, end)| end - committed.get(partition).unwrap_or(&0)).sum()
}

fn offsets(list: &TopicPartitionList) -> BTreeMap<i32, i64> {
    let known = list.elements().into_iter().filter_map(|one| match one.offset() {
        Offset::Offset(offset) => Some((one.partition(), offset)),
        _ => None,
    });
    known.collect()
}

fn all_partitions(brokers: &str, topic: &str) -> TopicPartitionList {
    let metadata = client(brokers, "asking").fetch_metadata(Some(topic), ASK_TIMEOUT).expect("metadata");
    let mut list = TopicPartitionList::new();
    list.add_partition_range(topic, 0, metadata.topics()[0].partitions().len() as i32 - 1);
    list
}

fn client(brokers: &str, group: &str) -> BaseConsumer {
    ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", group).create().expect("a client")
}

/// How many partitions a topic has.
pub fn num_partitions(brokers: &str, topic: &str) -> usize {
    all_partitions(brokers, topic).count()
}

/// A record as a foreign reader sees it.
pub struct Found {
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The first record of partition 0.
pub fn first_record(brokers: &str, topic: &str) -> Found {
    let consumer = client(brokers, "reading");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a list");
    consumer.assign(&list).expect("assigned");
    let deadline = Instant::now() + ASK_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            let headers = record.headers().map(|headers| {
                let pair = |one: rdkafka::message::Header<'_, &[u8]>| {
                    (one.key.to_owned(), one.value.unwrap_or_default().to_vec())
                };
                headers.iter().map(pair).collect()
            });
            return Found { value: record.payload().map(<[u8]>::to_vec), headers: headers.unwrap_or_default() };
        }
    }
    panic!("no record in {topic}");
}

/// Makes a topic as an operator would.
pub async fn create_topic(brokers: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("a client");
    let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    let topic = settings.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let options = AdminOptions::new().operation_timeout(Some(ASK_TIMEOUT));
    admin.create_topics(&[topic], &options).await.expect("an answer")[0].as_ref().expect("made");
}

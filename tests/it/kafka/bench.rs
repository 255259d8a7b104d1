//! A broker with topics of its own, and a member of a group that notes what it hears.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use actors::domain::record::{Delivery, DeliveryTag, Publication, Queue};
use actors::ports::{SourceEvent, TaskPublisher as _, TaskSource as _};
use gstreamer_worker::kafka::{
    DEFAULT_WINDOW, EmbeddedBroker, KafkaPublisher, KafkaSettings, KafkaSource, ensure_topics,
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::support::kafka::{self, Kafka};

/// No event takes longer than this, even on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Which broker.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Apache,
    Embedded,
}

pub struct Bench {
    pub settings: KafkaSettings,
    pub publisher: KafkaPublisher,
    _broker: Option<EmbeddedBroker>,
}

impl Bench {
    pub async fn new(kind: Kind, partitions: i32) -> Self {
        let (mut settings, broker) = match kind {
            Kind::Apache => (KafkaSettings::new(Kafka::shared().brokers(), "tester"), None),
            Kind::Embedded => {
                let topics = KafkaSettings::new("", "").topics();
                let broker = EmbeddedBroker::start_with(&topics, partitions).expect("an embedded broker");
                (KafkaSettings::embedded(broker.brokers(), "tester"), Some(broker))
            }
        };
        settings.gpu = true;
        // What the mechanism does is the same for any window, and shown with the one of a cluster.
        settings.window = DEFAULT_WINDOW;
        // The embedded broker waits so long, less a second, at each rebalance.
        settings.extra.insert("session.timeout.ms".into(), "2000".into());
        settings.extra.insert("heartbeat.interval.ms".into(), "200".into());
        if broker.is_none() {
            settings.topic = kafka::unique("jobs");
            settings.group_id = kafka::unique("group");
            ensure_topics(&settings, partitions).await.expect("topics");
        }
        let publisher = KafkaPublisher::new(&settings).expect("a publisher");
        Self { settings, publisher, _broker: broker }
    }

    pub async fn publish(&self, queue: Queue, key: &str, value: &str) {
        let record = record(queue, key, value);
        self.publisher.publish(record).await.expect("published");
    }

    /// Publishes `count` tasks at once, with the numbers from 0 as values and keys.
    pub async fn publish_many(&self, queue: Queue, count: usize) {
        let sent = (0..count).map(|number| record(queue, &number.to_string(), &number.to_string()));
        let answers: Vec<_> = sent.map(|record| self.publisher.publish(record)).collect();
        for answer in futures_util::future::join_all(answers).await {
            answer.expect("published");
        }
    }

    pub fn join(&self) -> Member {
        Member::join(&self.settings)
    }

    /// The sum of what the group has committed, once it is `expected`.
    pub async fn committed(&self, queue: Queue, expected: i64) {
        let (brokers, group) = (self.settings.brokers.clone(), self.settings.group_of(queue));
        let topic = self.settings.topics().name(queue).to_owned();
        until(&format!("{expected} committed in {topic}"), || {
            kafka::committed(&brokers, &group, &topic).values().sum::<i64>() == expected
        })
        .await;
    }

    pub fn committed_now(&self, queue: Queue, partition: i32) -> Option<i64> {
        let topics = self.settings.topics();
        kafka::committed(&self.settings.brokers, &self.settings.group_of(queue), topics.name(queue))
            .get(&partition)
            .copied()
    }
}

pub fn record(queue: Queue, key: &str, value: &str) -> Publication {
    Publication { queue, key: key.into(), value: Some(value.into()), headers: Vec::new() }
}

/// Asks again until the answer is yes; the cluster has no event for it.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A member of the group.
pub struct Member {
    pub source: KafkaSource,
    events: UnboundedReceiver<SourceEvent>,
    /// Heard while waiting for something else.
    kept: VecDeque<SourceEvent>,
    /// Partitions whose lag was told and that did not go away since.
    owned: BTreeSet<(Queue, i32)>,
}

impl Member {
    pub fn join(settings: &KafkaSettings) -> Self {
        let (sender, events) = unbounded_channel();
        let source = KafkaSource::connect(settings, sender).expect("settings");
        Self { source, events, kept: VecDeque::new(), owned: BTreeSet::new() }
    }

    /// The first event that `pick` takes; the others stay for later.
    pub async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&SourceEvent) -> Option<T>) -> T {
        if let Some((at, picked)) = self.kept.iter().enumerate().find_map(|(at, event)| Some((at, pick(event)?))) {
            self.kept.remove(at);
            return picked;
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("never: {what}; heard: {:?}", self.heard()));
            let event = event.unwrap_or_else(|| panic!("ended before: {what}; heard: {:?}", self.heard()));
            self.note(&event);
            match pick(&event) {
                Some(picked) => return picked,
                None => self.kept.push_back(event),
            }
        }
    }

    /// What was kept, without the lag that is measured again and again.
    fn heard(&self) -> Vec<&SourceEvent> {
        self.kept.iter().filter(|event| !matches!(event, SourceEvent::Lag { .. })).collect()
    }

    /// Waits until the member has exactly so many partitions.
    pub async fn assigned(&mut self, expected: usize) {
        let pick = |event: &SourceEvent| match event {
            SourceEvent::Assigned { partitions } if *partitions == expected => Some(()),
            _ => None,
        };
        self.wait(&format!("{expected} partitions assigned"), pick).await;
    }

    /// Waits until the member has so many partitions of the jobs and of both kinds of tasks.
    pub async fn owns_of_each_topic(&mut self, expected: usize) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let of = |owned: &BTreeSet<(Queue, i32)>, queue| owned.iter().filter(|(one, _)| *one == queue).count();
        while [Queue::Jobs, Queue::Cpu, Queue::Gpu].iter().any(|queue| of(&self.owned, *queue) != expected) {
            let event = tokio::time::timeout_at(deadline, self.events.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("never {expected} of each topic; has {:?}", self.owned));
            let event = event.expect("the member lives");
            self.note(&event);
            self.kept.push_back(event);
        }
    }

    fn note(&mut self, event: &SourceEvent) {
        match event {
            SourceEvent::Lag { queue, partition, .. } => {
                self.owned.insert((*queue, *partition));
            }
            SourceEvent::Revoked(places) => self.owned.retain(|place| !places.contains(place)),
            _ => {}
        }
    }

    pub async fn delivery(&mut self) -> Delivery {
        self.wait("a delivery", delivered).await
    }

    pub async fn deliveries(&mut self, count: usize) -> Vec<Delivery> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(self.delivery().await);
        }
        all
    }

    /// The deliveries that came without being waited for, by the time that a cancel published now is heard. (The control
    /// topic is read by another thread, so one that should not come may be overlooked; none is made up.)
    pub async fn surplus(&mut self, bench: &Bench) -> usize {
        let job_id = kafka::unique("barrier");
        bench.publish(Queue::Control, "", &format!(r#"{{"type":"cancel","job_id":"{job_id}"}}"#)).await;
        let pick = |event: &SourceEvent| match event {
            SourceEvent::Cancelled(id) if id.to_string() == job_id => Some(()),
            _ => None,
        };
        self.wait("the barrier", pick).await;
        self.kept.iter().filter(|event| delivered(event).is_some()).count()
    }

    pub fn finish(&self, tag: DeliveryTag) {
        self.source.finished(tag);
    }

    /// Leaves, and checks that nothing follows.
    pub async fn leave(mut self) {
        self.source.leave();
        self.wait("the end", |event| matches!(event, SourceEvent::Left).then_some(())).await;
        let rest = timeout(PATIENCE, self.events.recv()).await.expect("closed");
        assert_eq!(rest, None);
    }
}

fn delivered(event: &SourceEvent) -> Option<Delivery> {
    match event {
        SourceEvent::Delivered(delivery) => Some(delivery.clone()),
        _ => None,
    }
}

pub fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.value.clone().expect("a value")).expect("text")
}

//! What every [`TaskSource`] and [`TaskPublisher`] promise each other, as one suite for the fake and the real thing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::domain::record::{Delivery, DeliveryTag, Publication, Queue};
use crate::ports::{ConnectSource, SourceEvent, TaskPublisher, TaskSource};

const PATIENCE: Duration = Duration::from_secs(30);

/// A source and a publisher on the same, empty topics, for a group that has committed nothing.
pub struct Rig {
    /// Joins the group.
    pub connect: ConnectSource,
    /// Sends to the topics.
    pub publisher: Arc<dyn TaskPublisher>,
}

/// Runs the suite. Panics at the first promise that is broken, and names it.
pub async fn check(rig: &Rig) {
    let sent = [record(Queue::Jobs, "job"), record(Queue::Cpu, "one"), record(Queue::Cpu, "two")];
    for record in &sent {
        rig.publisher.publish(record.clone()).await.expect("a record is accepted");
    }
    let finished = deliver_two(rig, &sent).await;
    deliver_the_rest(rig, &finished).await;
    redeliver_nothing(rig).await;
    read_gpu_when_told(rig).await;
}

/// Two credits: two deliveries, whole; both are finished before leaving.
async fn deliver_two(rig: &Rig, sent: &[Publication]) -> Vec<Delivery> {
    let mut session = Session::join(rig);
    session.assigned().await;
    session.source.grant(2);
    let deliveries = [session.delivery().await, session.delivery().await];
    for delivery in &deliveries {
        let original =
            sent.iter().find(|record| Some(&record.key) == delivery.key.as_ref()).expect("a key that was sent");
        assert_eq!(
            (delivery.tag.queue, &delivery.value),
            (original.queue, &original.value),
            "a record comes as it was"
        );
        assert_eq!(delivery.headers, original.headers, "headers come as they were");
    }
    deliveries.iter().for_each(|delivery| session.source.finished(delivery.tag));
    assert_eq!(session.leave().await, 0, "no delivery without a credit");
    deliveries.into()
}

/// What was not finished comes in the next session, and again as long as it is not finished; an answer for an older
/// session changes nothing.
async fn deliver_the_rest(rig: &Rig, finished: &[Delivery]) {
    let mut session = Session::join(rig);
    session.source.grant(10);
    let rest = session.delivery().await;
    assert!(finished.iter().all(|one| one.key != rest.key), "finished work does not come again");
    assert_eq!(session.leave().await, 0, "finished work does not come again");

    let mut session = Session::join(rig);
    session.source.grant(10);
    let again = session.delivery().await;
    assert_eq!(again.key, rest.key, "work that was not finished comes again");
    assert!(again.tag.epoch > rest.tag.epoch, "epochs grow");
    session.source.finished(rest.tag);
    session.leave().await;

    let mut session = Session::join(rig);
    session.source.grant(10);
    let again = session.delivery().await;
    assert_eq!(again.key, rest.key, "an answer for an older assignment changes nothing");
    session.source.finished(again.tag);
    // Twice is as good as once, and an offset that was never delivered is nobody's.
    session.source.finished(again.tag);
    session.source.finished(DeliveryTag { offset: again.tag.offset + 7, ..again.tag });
    session.leave().await;
}

async fn redeliver_nothing(rig: &Rig) {
    let mut session = Session::join(rig);
    session.source.grant(10);
    session.assigned().await;
    rig.publisher.publish(record(Queue::Cpu, "last")).await.expect("a record is accepted");
    let last = session.delivery().await;
    assert_eq!(last.key, Some(b"last".to_vec()), "finished work does not come again");
    session.source.finished(last.tag);
    session.leave().await;
}

/// Tasks for GPUs come as long as the source is told to read them; what was not finished comes again afterwards.
async fn read_gpu_when_told(rig: &Rig) {
    rig.publisher.publish(record(Queue::Gpu, "for a GPU")).await.expect("a record is accepted");
    let mut session = Session::join(rig);
    session.source.grant(10);
    session.assigned().await;
    rig.publisher.publish(record(Queue::Cpu, "for a CPU")).await.expect("a record is accepted");
    let delivery = session.delivery().await;
    assert_eq!(delivery.tag.queue, Queue::Cpu, "no task for a GPU comes before it is asked for");
    session.source.finished(delivery.tag);
    for _ in 0..2 {
        session.source.read_gpu(true);
        assert_eq!(session.delivery().await.key, Some(b"for a GPU".to_vec()), "it comes when it is asked for");
        session.source.read_gpu(false);
        session.revoked(Queue::Gpu).await;
    }
    session.source.read_gpu(true);
    let delivery = session.delivery().await;
    session.source.finished(delivery.tag);
    session.leave().await;
}

fn record(queue: Queue, key: &str) -> Publication {
    let headers = vec![("attempt".to_owned(), b"1".to_vec()), ("empty".to_owned(), Vec::new())];
    Publication { queue, key: key.into(), value: Some(format!("value of {key}").into_bytes()), headers }
}

struct Session {
    source: Arc<dyn TaskSource>,
    events: UnboundedReceiver<SourceEvent>,
}

impl Session {
    fn join(rig: &Rig) -> Self {
        let (sender, events) = unbounded_channel();
        let source = (rig.connect)(sender).expect("the source connects");
        Self { source, events }
    }

    async fn event(&mut self) -> Option<SourceEvent> {
        timeout(PATIENCE, self.events.recv()).await.expect("the source says something in time")
    }

    async fn assigned(&mut self) {
        loop {
            match self.event().await.expect("the source lives") {
                SourceEvent::Assigned { partitions } if partitions > 0 => return,
                SourceEvent::Delivered(delivery) => panic!("a delivery without a credit: {delivery:?}"),
                _ => {}
            }
        }
    }

    async fn revoked(&mut self, queue: Queue) {
        loop {
            match self.event().await.expect("the source lives") {
                SourceEvent::Revoked(partitions) if partitions.iter().any(|(of, _)| *of == queue) => return,
                SourceEvent::Broken(failure) => panic!("the source broke: {failure}"),
                _ => {}
            }
        }
    }

    async fn delivery(&mut self) -> Delivery {
        loop {
            match self.event().await.expect("the source lives") {
                SourceEvent::Delivered(delivery) => return delivery,
                SourceEvent::Broken(failure) => panic!("the source broke: {failure}"),
                _ => {}
            }
        }
    }

    /// Leaves, and counts the deliveries that came on top.
    async fn leave(mut self) -> usize {
        self.source.leave();
        let mut surplus = 0;
        loop {
            match self.event().await.expect("`Left` before the end") {
                SourceEvent::Left => break,
                SourceEvent::Delivered(_) => surplus += 1,
                _ => {}
            }
        }
        assert_eq!(self.event().await, None, "nothing follows `Left`");
        surplus
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::log::FakeLog;

    #[actix::test]
    async fn the_fake_broker_conforms() {
        let log = FakeLog::default();
        check(&Rig { connect: log.connect("a"), publisher: Arc::new(log) }).await;
    }
}

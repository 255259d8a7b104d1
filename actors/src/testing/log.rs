//! A broker in memory: partitions, one consumer group, credits, commits, rebalances. What workers publish comes back to
//! them. What it does is written into the [`Chronicle`], for the checks in [`super::invariants`].

mod group;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::chronicle::{Chronicle, Event};
use crate::domain::failure::Failure;
use crate::domain::job::{JobId, JobSpec};
use crate::domain::record::{DeliveryTag, Publication, Queue};
use crate::ports::{Answer, ConnectSource, SourceEvent, TaskPublisher, TaskSource};
use group::Group;

/// Partitions of each topic.
pub const PARTITIONS: i32 = 4;

/// The broker. Clones share it.
#[derive(Clone, Default)]
pub struct FakeLog {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    records: BTreeMap<(Queue, i32), Vec<Publication>>,
    group: Group,
    chronicle: Chronicle,
    away: bool,
    refuse: Vec<Failure>,
    latency: Duration,
}

impl FakeLog {
    /// A broker that writes down what happens.
    pub fn writing(chronicle: &Chronicle) -> Self {
        let log = Self::default();
        log.lock().chronicle = chronicle.clone();
        log
    }

    /// Publishes a job, as the Transcoding Service does.
    pub fn submit(&self, job: &JobSpec) {
        let value = serde_json::to_vec(job).unwrap_or_default();
        self.put(Publication {
            queue: Queue::Jobs,
            key: job.job_id.as_str().into(),
            value: Some(value),
            headers: Vec::new(),
        });
    }

    /// Publishes a record, whatever it is.
    pub fn put(&self, record: Publication) {
        self.lock().append(record);
    }

    /// Asks all workers to cancel a job.
    pub fn cancel(&self, job_id: &JobId) {
        self.lock().group.tell_all(&SourceEvent::Cancelled(job_id.clone()));
    }

    /// While the broker is away, publishing fails as `retryable`.
    pub fn set_away(&self, away: bool) {
        self.lock().away = away;
    }

    /// From now on an acknowledgement takes `latency`.
    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    /// The next record is refused with `failure`.
    pub fn refuse_next(&self, failure: Failure) {
        self.lock().refuse.push(failure);
    }

    /// The source of `worker` says something.
    pub fn tell(&self, worker: &str, event: SourceEvent) {
        self.lock().group.tell(worker, event);
    }

    /// `worker` crashed: nothing that it says counts any more, and its partitions go to others.
    pub fn cut(&self, worker: &str) {
        let mut state = self.lock();
        state.group.remove(worker);
        state.deliver();
    }

    /// Moves every partition to another member, as an unlucky rebalance does.
    pub fn shuffle(&self) {
        let mut state = self.lock();
        state.group.shuffle();
        state.deliver();
    }

    /// Delivers everything again from the beginning, as a reset of the offsets does.
    pub fn rewind(&self) {
        let mut state = self.lock();
        state.group.rewind();
        state.chronicle.note(Event::Rewound);
        state.deliver();
    }

    /// A record of jobs or tasks comes again, as if its producer had sent it twice; which one, `pick` says.
    pub fn repeat(&self, pick: usize) {
        let mut state = self.lock();
        let work: Vec<_> = group::HOLDS_WORK.iter().flat_map(|queue| state.of_queue(*queue)).collect();
        if let Some(record) = work.get(pick % work.len().max(1)).cloned().cloned() {
            state.append(record);
        }
    }

    /// From now on nothing of these partitions is delivered.
    pub fn hold_back(&self, partitions: &[(Queue, i32)]) {
        let mut state = self.lock();
        state.group.hold_back(partitions);
        state.deliver();
    }

    /// How a worker joins.
    pub fn connect(&self, worker: &str) -> ConnectSource {
        let (log, worker) = (self.clone(), worker.to_owned());
        Arc::new(move |events| {
            let member = log.lock().group.join(&worker, events);
            let source = FakeSource { log: log.clone(), worker: worker.clone(), member };
            Ok(Arc::new(source) as Arc<dyn TaskSource>)
        })
    }

    /// The records of a topic, by partition and offset.
    pub fn records(&self, queue: Queue) -> Vec<Publication> {
        self.lock().of_queue(queue).cloned().collect()
    }

    /// The record of a delivery.
    pub fn record(&self, tag: DeliveryTag) -> Option<Publication> {
        self.lock().records.get(&(tag.queue, tag.partition))?.get(usize::try_from(tag.offset).ok()?).cloned()
    }

    /// Records of jobs and tasks that are not committed.
    pub fn lag(&self) -> usize {
        let state = self.lock();
        let work = state.records.iter().filter(|((queue, _), _)| group::HOLDS_WORK.contains(queue));
        work.map(|(partition, records)| records.len() - state.group.committed(*partition)).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn of_queue(&self, queue: Queue) -> impl Iterator<Item = &Publication> {
        self.records.iter().filter(move |((of, _), _)| *of == queue).flat_map(|(_, records)| records)
    }

    fn append(&mut self, record: Publication) {
        let sum: u32 = record.key.iter().map(|byte| u32::from(*byte)).sum();
        let partition = i32::try_from(sum).unwrap_or(0) % PARTITIONS;
        self.chronicle.note(Event::Published(record.clone()));
        self.records.entry((record.queue, partition)).or_default().push(record);
        self.deliver();
    }

    fn deliver(&mut self) {
        for (worker, tag) in self.group.deliver(&self.records) {
            self.chronicle.note(Event::Delivered { worker, tag });
        }
    }
}

struct FakeSource {
    log: FakeLog,
    worker: String,
    member: u64,
}

impl TaskSource for FakeSource {
    fn grant(&self, count: usize) {
        let mut state = self.log.lock();
        state.group.grant(self.member, count);
        state.deliver();
    }

    fn finished(&self, tag: DeliveryTag) {
        let mut state = self.log.lock();
        if state.group.is_member(self.member) {
            state.chronicle.note(Event::Finished { worker: self.worker.clone(), tag });
            if let Some(watermark) = state.group.finished(self.member, tag) {
                let DeliveryTag { queue, partition, epoch, .. } = tag;
                state.chronicle.note(Event::Committed { queue, partition, epoch, watermark });
            }
        }
    }

    fn read_gpu(&self, read: bool) {
        let mut state = self.log.lock();
        state.group.read_gpu(self.member, read);
        state.deliver();
    }

    fn leave(&self) {
        let mut state = self.log.lock();
        if state.group.leave(self.member) {
            state.chronicle.note(Event::Left(self.worker.clone()));
            state.deliver();
        }
    }
}

impl TaskPublisher for FakeLog {
    fn publish(&self, record: Publication) -> Answer<()> {
        let log = self.clone();
        Box::pin(async move {
            let (latency, away, refused) = {
                let mut state = log.lock();
                (state.latency, state.away, state.refuse.pop())
            };
            tokio::time::sleep(latency).await;
            if away {
                return Err(Failure::retryable("the fake broker is away"));
            }
            if let Some(failure) = refused {
                return Err(failure);
            }
            log.put(record);
            Ok(())
        })
    }
}

//! The ports of a worker that can die: each call is an effect of its [`Life`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::life::{Life, Way};
use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::{JobId, MediaUri};
use crate::domain::plan::{Families, PinnedPlan, SourceIdentity};
use crate::domain::progress::Report;
use crate::domain::record::{DeliveryTag, Publication};
use crate::domain::unit::UnitId;
use crate::ports::{
    Answer, ConnectSource, JobStore, LeaseStore, OnProgress, Outbox, PartStore, Recorded, Reopened, RunStage,
    StageRequest, StageRunner, StatusSink, Store, TaskPublisher, TaskSource, WorkStorage, WorkerInfo,
};
use crate::supervisor::Adapters;

/// The names of the effects, for [`super::life::Death`].
pub const EFFECTS: [&str; 31] = [
    "connect",
    "grant",
    "read_gpu",
    "finished",
    "leave",
    "publish",
    "open",
    "read",
    "advance",
    "finish",
    "record",
    "part",
    "parts",
    "forget",
    "count_attempt",
    "return_attempt",
    "hold",
    "release",
    "announce",
    "workers",
    "pending",
    "delivered",
    "identify",
    "pin",
    "plan",
    "recorded_parts",
    "discard",
    "remove",
    "run",
    "deliver",
    "progress",
];

/// A port whose calls end with a life.
struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    life: Life,
}

impl<T: ?Sized + Send + Sync + 'static> Faulty<T> {
    fn around(inner: Arc<T>, life: &Life) -> Arc<Self> {
        Arc::new(Self { inner, life: life.clone() })
    }

    fn call<A: Send + 'static>(
        &self,
        name: &'static str,
        way: Way,
        call: impl FnOnce(&T) -> Answer<A> + Send + 'static,
    ) -> Answer<A> {
        let inner = self.inner.clone();
        self.life.effect(name, way, move || call(&inner))
    }
}

/// `adapters`, which are those of a worker that has `life`.
pub fn faulty(adapters: Adapters, life: &Life) -> Adapters {
    Adapters {
        connect: connecting(adapters.connect, life),
        publisher: Faulty::around(adapters.publisher, life),
        store: Faulty::around(adapters.store, life),
        work: Faulty::around(adapters.work, life),
        stages: Faulty::around(adapters.stages, life),
        sink: Faulty::around(adapters.sink, life),
        probe: adapters.probe,
        monitor: adapters.monitor,
        clock: adapters.clock,
    }
}

fn connecting(connect: ConnectSource, life: &Life) -> ConnectSource {
    let life = life.clone();
    Arc::new(move |events| {
        let mut source = Err(Failure::retryable("a dead worker does not connect"));
        life.act("connect", || source = connect(events));
        source.map(|source| Faulty::around(source, &life) as Arc<dyn TaskSource>)
    })
}

impl TaskSource for Faulty<dyn TaskSource> {
    fn grant(&self, count: usize) {
        self.life.act("grant", || self.inner.grant(count));
    }
    fn finished(&self, tag: DeliveryTag) {
        self.life.act("finished", || self.inner.finished(tag));
    }
    fn read_gpu(&self, read: bool) {
        self.life.act("read_gpu", || self.inner.read_gpu(read));
    }
    fn leave(&self) {
        self.life.act("leave", || self.inner.leave());
    }
}

impl TaskPublisher for Faulty<dyn TaskPublisher> {
    fn publish(&self, record: Publication) -> Answer<()> {
        self.call("publish", Way::Network, |log| log.publish(record))
    }
}

impl JobStore for Faulty<dyn Store> {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        self.call("open", Way::Network, move |store| store.open(job_id, content, now))
    }
    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.call("read", Way::Network, |store| store.read(job_id))
    }
    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        self.call("advance", Way::Network, move |store| store.advance(job_id, step, now))
    }
    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool> {
        self.call("finish", Way::Network, move |store| store.finish(job_id, outcome, report, now))
    }
    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        self.call("reopen", Way::Network, move |store| store.reopen(job_id, content, now))
    }
}

impl PartStore for Faulty<dyn Store> {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        self.call("record", Way::Network, move |store| store.record(job_id, fingerprint, part, now))
    }
    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        self.call("part", Way::Network, move |store| store.part(job_id, fingerprint, unit))
    }
    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        self.call("parts", Way::Network, |store| store.parts(job_id, fingerprint))
    }
    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.call("forget", Way::Network, move |store| store.forget(job_id, fingerprint, unit))
    }
    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        self.call("count_attempt", Way::Network, |store| store.count_attempt(job_id, task))
    }
    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.call("return_attempt", Way::Network, |store| store.return_attempt(job_id, task))
    }
}

impl LeaseStore for Faulty<dyn Store> {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.call("hold", Way::Network, move |store| store.hold(task, owner, ttl))
    }
    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.call("release", Way::Network, |store| store.release(task, owner))
    }
    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        self.call("announce", Way::Network, move |store| store.announce(worker, info, ttl))
    }
    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        self.call("workers", Way::Network, |store| store.workers())
    }
}

impl Outbox for Faulty<dyn Store> {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        self.call("pending", Way::Network, move |store| store.pending(limit))
    }
    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        self.call("delivered", Way::Network, move |store| store.delivered(job_id, sequence))
    }
}

impl WorkStorage for Faulty<dyn WorkStorage> {
    fn identify(&self, uri: MediaUri) -> Answer<SourceIdentity> {
        self.call("identify", Way::Machine, |work| work.identify(uri))
    }
    fn pin(&self, job_id: JobId, families: Families) -> Answer<Families> {
        self.call("pin", Way::Machine, move |work| work.pin(job_id, families))
    }
    fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Option<Arc<PinnedPlan>>> {
        self.call("plan", Way::Machine, |work| work.plan(job_id, fingerprint))
    }
    fn recorded_parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Vec<PartRecord>> {
        self.call("recorded_parts", Way::Machine, |work| work.recorded_parts(job_id, fingerprint))
    }
    fn discard(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.call("discard", Way::Machine, move |work| work.discard(job_id, fingerprint, unit))
    }
    fn remove(&self, job_id: JobId) -> Answer<()> {
        self.call("remove", Way::Machine, |work| work.remove(job_id))
    }
}

impl<R: StageRequest> RunStage<R> for Faulty<dyn StageRunner>
where
    dyn StageRunner: RunStage<R>,
{
    fn run(&self, request: R, progress: OnProgress, stop: CancellationToken) -> Answer<R::Output> {
        self.call("run", Way::Machine, move |stages| stages.run(request, progress, stop))
    }
}

impl StatusSink for Faulty<dyn StatusSink> {
    fn deliver(&self, report: Report) -> Answer<()> {
        let name = if report.status.is_terminal() { "deliver" } else { "progress" };
        self.call(name, Way::Network, |sink| sink.deliver(report))
    }
}

//! Ports that panic the first times.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::domain::record::Publication;
use crate::domain::unit::UnitId;
use crate::ports::{
    Answer, Capabilities, CapabilityProbe, JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, TaskPublisher,
    WorkerInfo,
};
use crate::testing::store::FakeStore;

/// A port that panics.
pub(super) struct Faulty<T> {
    inner: T,
    calls_before: AtomicUsize,
    panics: AtomicUsize,
}

fn take(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl<T> Faulty<T> {
    /// Panics `panics` times.
    pub fn new(inner: T, panics: usize) -> Arc<Self> {
        Self::after(0, inner, panics)
    }

    /// Panics `panics` times after `calls` calls.
    pub fn after(calls: usize, inner: T, panics: usize) -> Arc<Self> {
        Arc::new(Self { inner, calls_before: AtomicUsize::new(calls), panics: AtomicUsize::new(panics) })
    }

    fn sound(&self) -> &T {
        assert!(take(&self.calls_before) || !take(&self.panics), "told to panic");
        &self.inner
    }
}

impl<T: TaskPublisher> TaskPublisher for Faulty<T> {
    fn publish(&self, record: Publication) -> Answer<()> {
        self.sound().publish(record)
    }
}

impl<T: CapabilityProbe> CapabilityProbe for Faulty<T> {
    fn probe(&self) -> Answer<Capabilities> {
        self.sound().probe()
    }
}

impl JobStore for Faulty<FakeStore> {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        self.sound().open(job_id, content, now)
    }
    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.sound().read(job_id)
    }
    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        self.sound().advance(job_id, step, now)
    }
    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool> {
        self.sound().finish(job_id, outcome, report, now)
    }
    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        self.sound().reopen(job_id, content, now)
    }
}

impl PartStore for Faulty<FakeStore> {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        self.sound().record(job_id, fingerprint, part, now)
    }
    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        self.sound().part(job_id, fingerprint, unit)
    }
    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        self.sound().parts(job_id, fingerprint)
    }
    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.sound().forget(job_id, fingerprint, unit)
    }
    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        self.sound().count_attempt(job_id, task)
    }
    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.sound().return_attempt(job_id, task)
    }
}

impl LeaseStore for Faulty<FakeStore> {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.sound().hold(task, owner, ttl)
    }
    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.sound().release(task, owner)
    }
    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        self.sound().announce(worker, info, ttl)
    }
    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        self.sound().workers()
    }
}

impl Outbox for Faulty<FakeStore> {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        self.sound().pending(limit)
    }
    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        self.sound().delivered(job_id, sequence)
    }
}

//! The store as the other actors see it: each call is carried out by the checkpointer of the hour.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::call::{CallStore, is_passing};
use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::domain::unit::UnitId;
use crate::link::Link;
use crate::ports::{Answer, JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, Store, WorkerInfo};

/// A store that waits while the real one is away. Dropping an answer gives the call up.
#[derive(Clone)]
pub struct PatientStore {
    link: Link<CallStore>,
}

impl PatientStore {
    /// The store behind the checkpointer at the other end of `link`.
    pub fn new(link: Link<CallStore>) -> Self {
        Self { link }
    }

    fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl Fn(&dyn Store) -> Answer<T> + Send + Sync + 'static,
    ) -> Answer<T> {
        let link = self.link.clone();
        let kept = Arc::<Mutex<Option<Result<T, Failure>>>>::default();
        let for_try = kept.clone();
        let attempt = move |store: Arc<dyn Store>| {
            let (answer, kept) = (call(&*store), for_try.clone());
            let keep_it: futures_util::future::BoxFuture<'static, Result<(), Failure>> = Box::pin(async move {
                match answer.await {
                    Err(failure) if is_passing(&failure) => return Err(failure),
                    settled => *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(settled),
                }
                Ok(())
            });
            keep_it
        };
        Box::pin(async move {
            let abandoned = CancellationToken::new();
            let _abandon = abandoned.clone().drop_guard();
            let asked = link.ask(CallStore { what, attempt: Arc::new(attempt), abandoned }).await;
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
            asked.ok().and(kept).unwrap_or_else(|| Err(Failure::interrupted(format!("{what}: the worker has ended"))))
        })
    }
}

impl JobStore for PatientStore {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        self.ask("open", move |store| store.open(job_id.clone(), content.clone(), now))
    }

    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.ask("read", move |store| store.read(job_id.clone()))
    }

    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        self.ask("advance", move |store| store.advance(job_id.clone(), step.clone(), now))
    }

    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool> {
        self.ask("finish", move |store| store.finish(job_id.clone(), outcome.clone(), report.clone(), now))
    }

    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        self.ask("reopen", move |store| store.reopen(job_id.clone(), content.clone(), now))
    }
}

impl PartStore for PatientStore {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        self.ask("record", move |store| store.record(job_id.clone(), fingerprint.clone(), part.clone(), now))
    }

    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        self.ask("part", move |store| store.part(job_id.clone(), fingerprint.clone(), unit))
    }

    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        self.ask("parts", move |store| store.parts(job_id.clone(), fingerprint.clone()))
    }

    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.ask("forget", move |store| store.forget(job_id.clone(), fingerprint.clone(), unit))
    }

    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        self.ask("count_attempt", move |store| store.count_attempt(job_id.clone(), task.clone()))
    }

    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.ask("return_attempt", move |store| store.return_attempt(job_id.clone(), task.clone()))
    }
}

impl LeaseStore for PatientStore {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.ask("hold", move |store| store.hold(task.clone(), owner.clone(), ttl))
    }

    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.ask("release", move |store| store.release(task.clone(), owner.clone()))
    }

    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        self.ask("announce", move |store| store.announce(worker.clone(), info.clone(), ttl))
    }

    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        self.ask("workers", |store| store.workers())
    }
}

impl Outbox for PatientStore {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        self.ask("pending", move |store| store.pending(limit))
    }

    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        self.ask("delivered", move |store| store.delivered(job_id.clone(), sequence))
    }
}

//! The checkpoint store without Redis: a redb file, for one process at a time, which a restart goes on from.
//!
//! What a restart needs is on the disk when a call returns; mere progress is handed to the system without waiting for the
//! disk, so that it outlives the process and costs little. Leases stay in memory: they end with their process.

mod change;
mod file;
mod memory;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actors::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::JobId;
use actors::domain::progress::Report;
use actors::domain::unit::UnitId;
use actors::ports::{Answer, JobStore, LeaseStore, Outbox, PartStore, Recorded, Reopened, WorkerInfo};
use redb::{Database, Durability, ReadTransaction, ReadableTable, ReadableTableMetadata as _};

use self::change::Change;
pub(super) use self::file::NAME as FILE;
use self::memory::Memory;
use self::tables::{JOBS, OUTBOX, PARTS, Problem};

/// A thousand years: a longer time to live would leave the calendar.
const LONGEST_TTL: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// The store. Clones share the file; it is given up when the last of them is dropped.
#[derive(Clone)]
pub struct EmbeddedStore {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    memory: Mutex<Memory>,
    checkpoint_ttl: Duration,
    place: String,
}

impl EmbeddedStore {
    /// Opens the store in `dir`, which is made if it is not there, and forgets finished jobs after `checkpoint_ttl`.
    /// Fails where another process has it open. Blocks: it reads and writes files.
    pub fn open(dir: &Path, checkpoint_ttl: Duration) -> Result<Self, Failure> {
        Self::open_free(dir, checkpoint_ttl)?.ok_or_else(|| file::in_use(dir))
    }

    /// [`Self::open`], but `None` where another process has it open.
    pub(super) fn open_free(dir: &Path, checkpoint_ttl: Duration) -> Result<Option<Self>, Failure> {
        let place = format!("the checkpoint store in {}", dir.display());
        let checkpoint_ttl = checkpoint_ttl.min(LONGEST_TTL);
        let Some(database) = file::open(dir)? else { return Ok(None) };
        let inner = Inner { database, memory: Mutex::default(), checkpoint_ttl, place };
        inner.write(Durability::Immediate, |change| change.prepare()).map_err(|error| inner.failed(&error))?;
        Ok(Some(Self { inner: Arc::new(inner) }))
    }

    /// Moves what `other` knows of a job to this store, unless it is known here. It is here before it is gone there, so
    /// that a process that is killed in between loses nothing. Blocks.
    pub(super) fn take_over(&self, job_id: &JobId, other: &Self) -> Result<(), Failure> {
        let known =
            other.inner.read(|from| self.inner.write(Durability::Immediate, |change| change.take_over(job_id, from)));
        if known.map_err(|error| self.inner.failed(&error))? {
            let left = other.inner.write(Durability::Immediate, |change| change.leave(job_id));
            left.map_err(|error| other.inner.failed(&error))?;
        }
        Ok(())
    }

    /// What is known of a job. Blocks.
    pub(super) fn checkpoint(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        self.inner.checkpoint(job_id).map_err(|error| self.inner.failed(&error))
    }

    /// Keeps a job that ended elsewhere. Blocks.
    pub(super) fn keep_ended(&self, ended: Checkpoint) -> Result<(), Failure> {
        let kept = self.inner.write(Durability::Immediate, |change| change.keep_ended(ended));
        kept.map_err(|error| self.inner.failed(&error))
    }

    /// Whether there is no job in it. Blocks.
    pub(super) fn is_empty(&self) -> Result<bool, Failure> {
        let empty = self.inner.read(|transaction| Ok(transaction.open_table(JOBS)?.is_empty()?));
        empty.map_err(|error| self.inner.failed(&error))
    }

    /// Does `work` on a thread that may block.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Problem> + Send + 'static,
    ) -> Answer<T> {
        let inner = self.inner.clone();
        Box::pin(async move {
            let task = {
                let inner = inner.clone();
                tokio::task::spawn_blocking(move || work(&inner))
            };
            match task.await {
                Ok(answer) => answer.map_err(|error| inner.failed(&error)),
                Err(_) => Err(Failure::retryable(format!("{} failed in the middle of a call", inner.place))),
            }
        })
    }

    /// Does `work` in a transaction that is on the disk when it is answered.
    fn durably<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Change<'_>) -> Result<T, Problem> + Send + 'static,
    ) -> Answer<T> {
        self.blocking(|inner| inner.write(Durability::Immediate, work))
    }

    /// Answers from the memory, at once.
    fn in_memory<T: Send + 'static>(&self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Answer<T> {
        let inner = self.inner.clone();
        Box::pin(async move { Ok(work(&mut inner.memory())) })
    }
}

impl Inner {
    fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Change<'_>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability);
        let change = Change { transaction: &transaction, time: chrono::Utc::now(), ttl: self.checkpoint_ttl };
        let answer = work(&change)?;
        transaction.commit()?;
        Ok(answer)
    }

    fn read<T>(&self, work: impl FnOnce(&ReadTransaction) -> Result<T, Problem>) -> Result<T, Problem> {
        work(&self.database.begin_read()?)
    }

    fn checkpoint(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Problem> {
        self.read(|transaction| {
            let row = tables::row_of(&transaction.open_table(JOBS)?, job_id, chrono::Utc::now())?;
            Ok(row.and_then(|row| row.checkpoint))
        })
    }

    /// What is kept in memory is consistent after each of its methods, so that a panic elsewhere does not spoil it.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &Problem) -> Failure {
        Failure::retryable(format!("{} cannot be used: {error}", self.place))
    }
}

/// Whether a step has to outlive a failure of the power and not only the end of the process.
fn is_essential(step: &Advance) -> bool {
    step.status.is_some() || step.plan.is_some() || step.cancel
}

impl JobStore for EmbeddedStore {
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint> {
        self.durably(move |change| change.open(job_id, content, now))
    }

    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>> {
        self.blocking(move |inner| inner.checkpoint(&job_id))
    }

    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>> {
        let durability = if is_essential(&step) { Durability::Immediate } else { Durability::Eventual };
        self.blocking(move |inner| {
            let due = || inner.memory().take_report(&job_id);
            let advanced = inner.write(durability, |change| change.advance(&job_id, &step, now, due))?;
            Ok(advanced.map(|(checkpoint, sequence)| Advanced { checkpoint, sequence }))
        })
    }

    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool> {
        self.durably(move |change| change.finish(&job_id, &outcome, report, now))
    }

    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened> {
        self.durably(move |change| change.reopen(job_id, content, now))
    }
}

impl PartStore for EmbeddedStore {
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded> {
        self.durably(move |change| change.record(&job_id, &fingerprint, part, now))
    }

    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>> {
        self.blocking(move |inner| {
            inner.read(|transaction| {
                if tables::row_of(&transaction.open_table(JOBS)?, &job_id, chrono::Utc::now())?.is_none() {
                    return Ok(None);
                }
                tables::part_of(&transaction.open_table(PARTS)?, &job_id, &fingerprint, unit)
            })
        })
    }

    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>> {
        self.blocking(move |inner| {
            inner.read(|transaction| {
                if tables::row_of(&transaction.open_table(JOBS)?, &job_id, chrono::Utc::now())?.is_none() {
                    return Ok(BTreeMap::new());
                }
                tables::parts_of(&transaction.open_table(PARTS)?, &job_id, &fingerprint)
            })
        })
    }

    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()> {
        self.durably(move |change| change.forget(&job_id, &fingerprint, unit))
    }

    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32> {
        self.durably(move |change| change.count_attempt(&job_id, &task))
    }

    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()> {
        self.durably(move |change| change.return_attempt(&job_id, &task))
    }
}

impl LeaseStore for EmbeddedStore {
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool> {
        self.in_memory(move |memory| memory.hold(task, owner, ttl))
    }

    fn release(&self, task: String, owner: String) -> Answer<()> {
        self.in_memory(move |memory| memory.release(&task, &owner))
    }

    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()> {
        self.in_memory(move |memory| memory.announce(worker, info, ttl))
    }

    fn workers(&self) -> Answer<Vec<WorkerInfo>> {
        self.in_memory(Memory::workers)
    }
}

impl Outbox for EmbeddedStore {
    fn pending(&self, limit: usize) -> Answer<Vec<Report>> {
        self.blocking(move |inner| {
            inner.read(|transaction| {
                let outbox = transaction.open_table(OUTBOX)?;
                let mut reports = Vec::new();
                for entry in outbox.iter()?.take(limit) {
                    reports.extend(readable(entry?.1.value()));
                }
                Ok(reports)
            })
        })
    }

    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()> {
        self.durably(move |change| change.delivered(&job_id, sequence))
    }
}

/// A report that makes no sense must not hold back the reports of other jobs: it is left where it is, and said.
fn readable(json: &str) -> Option<Report> {
    tables::read_json("a last report", json)
        .inspect_err(|error| tracing::error!(%error, "a report cannot be delivered"))
        .ok()
}

//! The checkpoint store: jobs, their parts, leases and the outbox of last reports.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::capability::Capabilities;
use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::domain::unit::UnitId;

/// The checkpoints of jobs.
pub trait JobStore: Send + Sync {
    /// Creates the checkpoint of a job that is not known, and returns the one in force.
    fn open(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Checkpoint>;
    /// Reads a checkpoint.
    fn read(&self, job_id: JobId) -> Answer<Option<Checkpoint>>;
    /// Moves a job forward by the rules of [`Checkpoint::advance`]; `None` where the job is not known.
    fn advance(&self, job_id: JobId, step: Advance, now: Timestamp) -> Answer<Option<Advanced>>;
    /// Ends a job and puts its last report into the outbox, in one step. `report` is given the checkpoint's
    /// sequence number by the store. The first end wins: the answer is whether it was this one. A report of an earlier
    /// generation that still waits there is replaced: what it says is not true any more.
    fn finish(&self, job_id: JobId, outcome: Outcome, report: Report, now: Timestamp) -> Answer<bool>;
    /// Lets a job begin anew that [has failed](Checkpoint::may_reopen) or is not known: its checkpoint becomes
    /// [`Checkpoint::reopened`], its attempts and parts are forgotten, in one step. Until it is opened it is kept only as
    /// long as an ended job. Its last report stays in the outbox. Any other job stays as it is.
    fn reopen(&self, job_id: JobId, content: String, now: Timestamp) -> Answer<Reopened>;
}

/// Answer to [`JobStore::reopen`].
#[derive(Clone, Debug, PartialEq)]
pub enum Reopened {
    /// It begins anew; what was known of it before.
    Anew(Option<Checkpoint>),
    /// Nothing was changed; what is in force.
    Kept(Checkpoint),
}

/// The results of the units of a job.
pub trait PartStore: Send + Sync {
    /// Records a part if none is recorded for its unit, and returns the one in force and how many units have one. The job
    /// of a new one waits for nothing any more.
    fn record(&self, job_id: JobId, fingerprint: Fingerprint, part: PartRecord, now: Timestamp) -> Answer<Recorded>;
    /// The recorded part of a unit. Takes the same time for any number of parts.
    fn part(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<Option<PartRecord>>;
    /// All recorded parts of a plan.
    fn parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<BTreeMap<UnitId, PartRecord>>;
    /// Forgets the part of a unit, because its file is missing or damaged.
    fn forget(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()>;
    /// Counts an attempt of a task when it starts, and returns how many there were with this one.
    /// `task` is [`crate::domain::task::Task::key`], or `{job_id}/split`.
    fn count_attempt(&self, job_id: JobId, task: String) -> Answer<u32>;
    /// Takes back the count of an attempt that was interrupted: it does not count, or long jobs would fail on a fleet
    /// that scales in often. Never below zero; a task that was not counted stays so. How long counts are kept stays.
    fn return_attempt(&self, job_id: JobId, task: String) -> Answer<()>;
}

/// Answer to [`PartStore::record`].
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// The part in force: the first one.
    pub part: PartRecord,
    /// Whether it is the one that was given.
    pub first: bool,
    /// Units of the plan that have a part.
    pub units_done: u32,
}

/// Who works on what. Leases only avoid doing work twice; nothing is wrong when one is lost.
pub trait LeaseStore: Send + Sync {
    /// Takes or renews the lease of `task` for `owner`; `false` where another owner has it.
    fn hold(&self, task: String, owner: String, ttl: Duration) -> Answer<bool>;
    /// Gives a lease back, if `owner` still has it.
    fn release(&self, task: String, owner: String) -> Answer<()>;
    /// Tells the fleet of this worker: `info` at `transcode:worker:{worker}` for `ttl`.
    fn announce(&self, worker: String, info: WorkerInfo, ttl: Duration) -> Answer<()>;
    /// The workers that announced themselves.
    fn workers(&self) -> Answer<Vec<WorkerInfo>>;
}

/// What a worker says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Its name.
    pub worker: String,
    /// Encoders of its pool.
    pub slots: usize,
    /// What it can encode.
    pub capabilities: Capabilities,
    /// When it said so.
    pub updated_at: Timestamp,
}

/// Last reports of jobs that the Transcoding Service has not confirmed.
pub trait Outbox: Send + Sync {
    /// The oldest ones.
    fn pending(&self, limit: usize) -> Answer<Vec<Report>>;
    /// The service confirmed the last report of a job that has this sequence number. Another one stays: the job may
    /// have been opened again and have ended again while this one was on its way.
    fn delivered(&self, job_id: JobId, sequence: u64) -> Answer<()>;
}

/// Everything that a checkpoint store has to do.
pub trait Store: JobStore + PartStore + LeaseStore + Outbox {}
impl<T: JobStore + PartStore + LeaseStore + Outbox> Store for T {}

//! What the worker needs from the outside, as small traits. Adapters live in the root package, fakes in `testing`.
//! Every error is a [`Failure`] with its class; every call has an end (adapters set their own timeouts).

mod capability;
mod stages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, Outcome, PartRecord, Timestamp};
use crate::domain::dead_letter::{DeadLetter, LetterId};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::{JobId, MediaUri};
use crate::domain::plan::{Families, PinnedPlan, SourceIdentity};
use crate::domain::progress::Report;
use crate::domain::record::{Delivery, DeliveryTag, Publication, Queue};
use crate::domain::unit::UnitId;

pub use capability::{
    Capabilities, CapabilityFinding, CapabilityProbe, Device, Direction, GpuMonitor, GpuReading, PathCapability, Proof,
};
pub use stages::{
    AssembleOutcome, AssembleRequest, OnProgress, RunStage, SplitRequest, StageRequest, StageRunner, UnitOutcome,
    UnitRequest,
};

/// Answer of a port.
pub type Answer<T> = BoxFuture<'static, Result<T, Failure>>;

/// The clock for time stamps that people and other programs see. (Delays use tokio's clock.)
pub trait Clock: Send + Sync {
    /// The current instant.
    fn now(&self) -> Timestamp;
}

/// The clock of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        chrono::Utc::now()
    }
}

// ---------------------------------------------------------------------------------------------- Kafka

/// What a [`TaskSource`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceEvent {
    /// A record to work on; one credit is used.
    Delivered(Delivery),
    /// Somebody asked to cancel a job (from the control topic; needs no answer).
    Cancelled(JobId),
    /// The group gave partitions to this worker; it may now take work.
    Assigned {
        /// How many partitions it has now, over all topics.
        partitions: usize,
    },
    /// Partitions went to another worker: deliveries of them that were not started are to be dropped,
    /// running ones go on, their answers change nothing.
    Revoked(Vec<(Queue, i32)>),
    /// Records of a partition that are not committed yet.
    Lag {
        /// The topic.
        queue: Queue,
        /// The partition.
        partition: i32,
        /// High watermark less committed offset.
        records: u64,
    },
    /// Whether the broker answers questions; said at each change, and for the first time when it did not.
    Answers(bool),
    /// The consumer left the group after [`TaskSource::leave`]; nothing follows.
    Left,
    /// The consumer cannot go on; the worker has to be restarted.
    Broken(Failure),
}

/// Records in, offsets out. All calls return at once: the work is done by a thread of its own, which polls at all times.
pub trait TaskSource: Send + Sync {
    /// Allows `count` more deliveries.
    fn grant(&self, count: usize);
    /// The work of a delivery is finished: its offset counts towards the commit watermark.
    fn finished(&self, tag: DeliveryTag);
    /// Takes tasks for GPUs too, or leaves them to others: their partitions are then given back, like revoked ones. A
    /// source begins without them.
    fn read_gpu(&self, read: bool);
    /// Commits what is finished, leaves the group, then says [`SourceEvent::Left`].
    fn leave(&self);
}

/// Joins the consumer group and starts its thread; what the source says comes through the sender. The channel is not
/// bounded, the credits are.
pub type ConnectSource =
    Arc<dyn Fn(tokio::sync::mpsc::UnboundedSender<SourceEvent>) -> Result<Arc<dyn TaskSource>, Failure> + Send + Sync>;

/// Records out.
pub trait TaskPublisher: Send + Sync {
    /// Sends a record; the answer comes when all in-sync replicas have it.
    fn publish(&self, record: Publication) -> Answer<()>;
}

/// The dead letters, as they lie in their topic. Reading them changes nothing.
pub trait DeadLetters: Send + Sync {
    /// The newest ones, at most `limit`, as the topic is when it is asked.
    fn newest(&self, limit: usize) -> Answer<Letters>;
    /// One of them, unless it never was or is gone.
    fn letter(&self, id: LetterId) -> Answer<Option<DeadLetter>>;
}

/// Answer to [`DeadLetters::newest`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letters {
    /// The newest one comes last.
    pub letters: Vec<DeadLetter>,
    /// How many older ones there are.
    pub left_out: u64,
}

// ---------------------------------------------------------------------------------------------- store

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
    /// life that still waits there is replaced: what it says is not true any more.
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

// ---------------------------------------------------------------------------------------------- storage

/// The work storage of jobs, and the identity of inputs.
pub trait WorkStorage: Send + Sync {
    /// What tells this input from another one of the same name. `permanent` where it cannot be read.
    fn identify(&self, uri: MediaUri) -> Answer<SourceIdentity>;
    /// Keeps the devices that the plans of a job may use, if none are kept, and returns those in force: the first. So
    /// its input gives the same plan however often it is cut, and whoever has a device then.
    fn settle(&self, job_id: JobId, families: Families) -> Answer<Families>;
    /// The plan of a job, if it is there.
    fn plan(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Option<Arc<PinnedPlan>>>;
    /// The parts that lie in the work storage, by their records: what is needed where the store was emptied.
    fn recorded_parts(&self, job_id: JobId, fingerprint: Fingerprint) -> Answer<Vec<PartRecord>>;
    /// Forgets the part of a unit that is there and cannot be used: it is not among the [recorded
    /// ones](Self::recorded_parts) any more, until the unit is encoded again.
    fn discard(&self, job_id: JobId, fingerprint: Fingerprint, unit: UnitId) -> Answer<()>;
    /// Removes everything of a job from the work storage. Outputs stay.
    fn remove(&self, job_id: JobId) -> Answer<()>;
}

// ---------------------------------------------------------------------------------------------- the rest

/// The Transcoding Service.
pub trait StatusSink: Send + Sync {
    /// Delivers one report. `permanent` where the service refused this report for good (4xx), `retryable` otherwise.
    fn deliver(&self, report: Report) -> Answer<()>;
}

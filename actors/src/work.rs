//! What a delivery asks for, read once, and how the work on it can end. Travels between consumer, pool and encoder.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::domain::job::{JobId, JobSpec, hex};
use crate::domain::record::{Delivery, Queue};
use crate::domain::task::{Stage, Task};
use crate::running::Claim;

/// The largest task message that is looked at, in bytes. A real one has about 150.
pub const MAX_TASK_BYTES: usize = 4096;

/// What a delivery asks for.
#[derive(Clone, Debug)]
pub enum Work {
    /// A job: cut its input.
    Job(Arc<JobSpec>),
    /// A task of a job that was split.
    Task(Task),
    /// Neither: to be put away.
    Refused(Refusal),
}

/// Why a record is not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence.
    pub reason: String,
    /// The job that it meant to be, where that could be read.
    pub job_id: Option<JobId>,
    /// Takes the place of the job's content digest, so that a job of the same id stays apart.
    pub content: String,
}

/// The kinds of slots of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// For stages that use a CPU or a GPU all the time.
    Cpu,
    /// For stages that wait for disks: they never wait behind encodes.
    Io,
}

/// How many encoders there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolSize {
    /// For stages that need a CPU, at least 1.
    pub cpu: usize,
    /// For stages that wait for disks, at least 1.
    pub io: usize,
}

impl PoolSize {
    /// A pool with `encoders` (`ENCODER_POOL_SIZE`) and a reserve for disks: 1 beside a single encoder, otherwise 2.
    pub fn with_encoders(encoders: usize) -> Self {
        Self { cpu: encoders.max(1), io: if encoders > 1 { 2 } else { 1 } }
    }
}

/// Work on one delivery, for the pool. May be asked twice: handlers are idempotent.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Disposition")]
pub struct Execute {
    /// The record as it came.
    pub delivery: Arc<Delivery>,
    /// What it asks for.
    pub work: Work,
    /// How often this delivery was deferred so far, other than [`Deferral::Briefly`].
    pub deferrals: u32,
    /// Cancelled when the worker stops or the job is cancelled.
    pub stop: CancellationToken,
    /// Its key, which is free again when this is gone.
    pub claim: Arc<Claim>,
}

/// How work on a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Everything that follows is durable: the offset counts as finished.
    Finished,
    /// It could not begin or go on: no attempt, and it comes back.
    Deferred(Deferral),
    /// An attempt failed: the next one after a backoff.
    Retry {
        /// Attempts so far.
        attempts: u32,
    },
    /// The worker stopped it: somebody else takes it up.
    Interrupted,
}

/// For how long a delivery is deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferral {
    /// Another worker has the lease, or all sessions of a device are in use.
    Briefly,
    /// A storage is full or a GPU is missing: longer each time.
    Increasing,
    /// This long.
    For(Duration),
}

impl Work {
    /// Reads a delivery.
    pub fn read(delivery: &Delivery) -> Self {
        let value = delivery.value.as_deref();
        match (delivery.tag.queue, value) {
            (_, None) => Self::refused(delivery, "the record has no value; a job or a task is expected", None),
            (Queue::Jobs, Some(value)) => match JobSpec::parse(value) {
                Ok(job) => Self::Job(Arc::new(job)),
                Err(error) => Self::refused(delivery, &error.to_string(), error.job_id.clone()),
            },
            (Queue::Cpu | Queue::Gpu, Some(value)) => Self::read_task(delivery, value),
            (Queue::DeadLetter | Queue::Control, Some(_)) => {
                Self::refused(delivery, "the record came from a topic that holds no work", None)
            }
        }
    }

    fn read_task(delivery: &Delivery, value: &[u8]) -> Self {
        if value.len() > MAX_TASK_BYTES {
            let reason = format!("{} bytes are too many, a task has at most {MAX_TASK_BYTES}", value.len());
            return Self::refused(delivery, &reason, None);
        }
        match serde_json::from_slice(value) {
            Ok(task) => Self::Task(task),
            Err(error) => Self::refused(delivery, &format!("not a task that this worker knows: {error}"), None),
        }
    }

    fn refused(delivery: &Delivery, reason: &str, job_id: Option<JobId>) -> Self {
        let digest = hex(&Sha256::digest(delivery.value.as_deref().unwrap_or_default()));
        Self::Refused(Refusal { reason: reason.into(), job_id, content: format!("invalid:{digest}") })
    }

    /// The job that the work belongs to.
    pub fn job_id(&self) -> Option<&JobId> {
        match self {
            Self::Job(job) => Some(&job.job_id),
            Self::Task(task) => Some(task.job_id()),
            Self::Refused(refusal) => refusal.job_id.as_ref(),
        }
    }

    /// Names the work for [`RunningKeys`](crate::running::RunningKeys). `None` where it may run twice.
    pub fn key(&self) -> Option<String> {
        match self {
            Self::Job(job) => Some(format!("{}/split", job.job_id)),
            Self::Task(task) => Some(task.key()),
            Self::Refused(_) => None,
        }
    }

    /// The stage that is run.
    pub const fn stage(&self) -> Option<Stage> {
        match self {
            Self::Job(_) => Some(Stage::Split),
            Self::Task(task) => Some(task.stage()),
            Self::Refused(_) => None,
        }
    }

    /// The slots that the work may take.
    pub fn class(&self) -> Class {
        match self.stage() {
            Some(stage) if !stage.is_io_bound() => Class::Cpu,
            Some(_) | None => Class::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::testing::job;
    use crate::domain::record::DeliveryTag;

    fn delivery(queue: Queue, value: Option<&[u8]>) -> Delivery {
        let tag = DeliveryTag { queue, partition: 0, offset: 0, epoch: 0 };
        Delivery { tag, key: None, value: value.map(<[u8]>::to_vec), headers: Vec::new() }
    }

    fn refusal(queue: Queue, value: Option<&[u8]>) -> Refusal {
        match Work::read(&delivery(queue, value)) {
            Work::Refused(refusal) => refusal,
            work => panic!("not refused: {work:?}"),
        }
    }

    #[test]
    fn jobs_and_tasks_are_told_apart_by_their_topic() {
        let json = serde_json::to_vec(&job("movie")).expect("json");
        assert!(matches!(Work::read(&delivery(Queue::Jobs, Some(&json))), Work::Job(_)));
        assert!(matches!(Work::read(&delivery(Queue::Cpu, Some(&json))), Work::Refused(_)));
        let task = br#"{"task":"encode","job_id":"movie","fingerprint":"ab","chunk":3}"#;
        let work = Work::read(&delivery(Queue::Gpu, Some(task)));
        assert_eq!((work.key().as_deref(), work.class()), (Some("movie/v00003"), Class::Cpu));
        let assemble = br#"{"task":"assemble","job_id":"movie","fingerprint":"ab"}"#;
        assert_eq!(Work::read(&delivery(Queue::Cpu, Some(assemble))).class(), Class::Io);
    }

    #[test]
    fn what_is_not_work_is_refused_with_a_reason_and_its_job_where_that_can_be_read() {
        assert!(refusal(Queue::Jobs, None).reason.contains("no value"));
        assert!(refusal(Queue::Cpu, Some(b"\xff\xfe")).reason.contains("not a task"));
        assert!(refusal(Queue::Cpu, Some(&[b' '; MAX_TASK_BYTES + 1])).reason.contains("too many"));
        let known = refusal(Queue::Jobs, Some(br#"{"job_id": "movie", "inptu": 1}"#));
        assert_eq!(known.job_id.as_ref().map(JobId::as_str), Some("movie"));
        assert!(known.content.starts_with("invalid:") && known.content.len() == 8 + 64);
        assert_eq!(refusal(Queue::Jobs, Some(br#"{"job_id": "../etc"}"#)).job_id, None);
    }
}

//! What happened to a fleet, in one order over all fakes: the broker, the store, the stages and the service write it
//! down at the moment at which it becomes true outside of the worker. [`super::invariants`] reads it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::domain::checkpoint::{JobStatus, PartRecord};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::domain::progress::Report;
use crate::domain::record::{DeliveryTag, Publication, Queue};
use crate::domain::unit::UnitId;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A record is in the log.
    Published(Publication),
    /// A record went to a worker.
    Delivered {
        /// The worker.
        worker: String,
        /// The record.
        tag: DeliveryTag,
    },
    /// A worker said that a delivery is finished.
    Finished {
        /// The worker.
        worker: String,
        /// The record.
        tag: DeliveryTag,
    },
    /// The group's position in a partition moved.
    Committed {
        /// The topic.
        queue: Queue,
        /// The partition.
        partition: i32,
        /// The assignment in which that was.
        epoch: u64,
        /// Everything below counts as done.
        watermark: i64,
    },
    /// The group's positions were set back to the beginning.
    Rewound,
    /// A worker left the group.
    Left(String),
    /// A worker crashed.
    Died(String),
    /// A job follows this plan.
    InForce(JobId, Fingerprint),
    /// A part was offered to the store.
    Recorded {
        /// Its job.
        job_id: JobId,
        /// Its plan.
        fingerprint: Fingerprint,
        /// What was offered.
        offered: PartRecord,
        /// What is recorded.
        in_force: PartRecord,
    },
    /// The store forgot a part.
    Forgotten(JobId, Fingerprint, UnitId),
    /// An attempt of a task was counted.
    Counted {
        /// Its job.
        job_id: JobId,
        /// The task.
        task: String,
        /// With this one.
        attempts: u32,
    },
    /// A report of a job got its number.
    Numbered(JobId, u64),
    /// A job ended, and its last report got this number.
    Ended(JobId, JobStatus, u64),
    /// The store came back empty.
    Emptied,
    /// A split is durable.
    Split(Arc<PinnedPlan>),
    /// A part is durable.
    Made {
        /// Its job.
        job_id: JobId,
        /// Its plan.
        fingerprint: Fingerprint,
        /// What it is the part of.
        unit: UnitId,
    },
    /// An assembly found these parts lost.
    Lost(JobId, Fingerprint, Vec<UnitId>),
    /// A part that is there is not to be used.
    Discarded(JobId, Fingerprint, UnitId),
    /// An assembly of parts of two encoder families into a container that has room for one.
    Mixed(JobId, Fingerprint),
    /// An assembly without a part for each unit of its plan.
    Incomplete(JobId, Fingerprint),
    /// An output was read back and is as it should be.
    Verified(JobId, Fingerprint),
    /// An output has its final name.
    Output(JobId, Fingerprint),
    /// The service took a report.
    Reported {
        /// The worker that brought it: that of the report, or one that found it in the outbox.
        by: String,
        /// The report.
        report: Report,
    },
}

/// All that happened so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Chronicle {
    written: Arc<Mutex<Written>>,
}

#[derive(Debug, Default)]
struct Written {
    events: Vec<Event>,
    /// When each of them happened.
    at: Vec<Instant>,
}

impl Chronicle {
    /// Writes something down.
    pub fn note(&self, event: Event) {
        let mut written = self.lock();
        written.events.push(event);
        written.at.push(Instant::now());
    }

    /// Looks at everything so far.
    pub fn read<T>(&self, look: impl FnOnce(&[Event]) -> T) -> T {
        look(&self.lock().events)
    }

    /// Whether something of the kind has happened.
    pub fn any(&self, of_kind: impl Fn(&Event) -> bool) -> bool {
        self.lock().events.iter().any(of_kind)
    }

    /// One line for each event, with its time, for a person who looks for a mistake.
    pub fn tell(&self) -> String {
        let written = self.lock();
        let Some(began) = written.at.first() else { return String::new() };
        let lines = written.at.iter().zip(&written.events);
        lines.map(|(at, event)| format!("{:>9.3} {}\n", at.duration_since(*began).as_secs_f64(), line(event))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(event: &Event) -> String {
    match event {
        Event::Published(record) => {
            let value = String::from_utf8_lossy(record.value.as_deref().unwrap_or_default());
            format!("Published({:?} {} {value})", record.queue, String::from_utf8_lossy(&record.key))
        }
        Event::Split(plan) => format!("Split({} {})", plan.job.job_id, plan.fingerprint()),
        Event::Recorded { job_id, offered, in_force, .. } => {
            let encoders: Vec<_> = in_force.encoders().collect();
            format!(
                "Recorded({job_id} {} of {}, in force that of {} {encoders:?})",
                offered.unit, offered.worker, in_force.worker
            )
        }
        Event::Reported { by, report } => format!(
            "Reported by {by}: {} {} {:?} {:.2} of {}",
            report.job_id, report.sequence, report.status, report.progress, report.worker
        ),
        other => format!("{other:?}"),
    }
}

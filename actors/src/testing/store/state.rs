//! What the fake store remembers.

use std::collections::{BTreeMap, HashMap};

use tokio::time::Instant;

use crate::domain::checkpoint::{Advance, Advanced, Checkpoint, PartRecord, REPORT_INTERVAL, Timestamp};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::domain::unit::UnitId;
use crate::ports::{Clock as _, WorkerInfo};
use crate::testing::chronicle::{Chronicle, Event};
use crate::testing::service::VirtualClock;

#[derive(Default)]
pub(super) struct State {
    pub jobs: HashMap<JobId, Job>,
    pub leases: BTreeMap<String, (String, Instant)>,
    pub workers: BTreeMap<String, (WorkerInfo, Instant)>,
    pub outbox: Vec<Report>,
    pub chronicle: Chronicle,
    pub clock: Option<VirtualClock>,
}

/// Everything of one job. Parts and attempts may be there before the checkpoint is, where the store was emptied.
#[derive(Default)]
pub(super) struct Job {
    pub checkpoint: Option<Checkpoint>,
    pub reported_at: Option<Instant>,
    pub parts: HashMap<Fingerprint, BTreeMap<UnitId, PartRecord>>,
    pub attempts: HashMap<String, u32>,
    pub expires_at: Option<Instant>,
}

impl State {
    pub fn expire(&mut self, now: Instant) {
        self.jobs.retain(|_, job| job.expires_at.is_none_or(|at| at > now));
        self.leases.retain(|_, (_, at)| *at > now);
        self.workers.retain(|_, (_, at)| *at > now);
    }

    /// The time by the clock of the store; without one, what the caller says.
    pub fn time(&self, told: Timestamp) -> Timestamp {
        self.clock.map_or(told, |clock| clock.now())
    }

    pub fn note_advance(&self, step: &Advance, advanced: &Advanced) {
        let job_id = &advanced.checkpoint.job_id;
        if let (Some(_), Some(in_force)) = (&step.plan, &advanced.checkpoint.fingerprint) {
            self.chronicle.note(Event::InForce(job_id.clone(), in_force.clone()));
        }
        if let Some(sequence) = advanced.sequence {
            self.chronicle.note(Event::Numbered(job_id.clone(), sequence));
        }
    }

    /// The entry of a job for a write to its parts or attempts.
    pub fn side(&mut self, job_id: JobId, until: Instant) -> &mut Job {
        let job = self.jobs.entry(job_id).or_default();
        if job.checkpoint.is_none() {
            job.expires_at = Some(until);
        }
        job
    }
}

impl Job {
    pub fn chunks(&self, fingerprint: &Fingerprint) -> u32 {
        let parts = self.parts.get(fingerprint).into_iter().flatten();
        parts.filter(|(unit, _)| unit.is_chunk()).count() as u32
    }

    /// The checkpoint, if the job has not ended and follows the plan `fingerprint`.
    pub fn live(&mut self, fingerprint: &Fingerprint) -> Option<&mut Checkpoint> {
        let followed = |checkpoint: &&mut Checkpoint| checkpoint.fingerprint.as_ref() == Some(fingerprint);
        self.checkpoint.as_mut().filter(|checkpoint| !checkpoint.status.is_terminal()).filter(followed)
    }

    /// `now` is when the caller called, `time` what the clock of the store shows.
    pub fn advance(&mut self, step: &Advance, now: Timestamp, time: Timestamp, instant: Instant) -> Option<Advanced> {
        let mut checkpoint = self.checkpoint.take()?;
        let before = checkpoint.fingerprint.clone();
        let taken = checkpoint.takes(step);
        checkpoint.advance(step, now);
        if let Some(fingerprint) = checkpoint.fingerprint.clone().filter(|new| Some(new) != before.as_ref()) {
            checkpoint.chunks_done = self.chunks(&fingerprint);
        }
        let due = self.reported_at.is_none_or(|last| instant.duration_since(last) >= REPORT_INTERVAL);
        let sequence = (taken && step.report && due && !checkpoint.status.is_terminal()).then(|| {
            self.reported_at = Some(instant);
            checkpoint.next_sequence(time)
        });
        self.checkpoint = Some(checkpoint.clone());
        Some(Advanced { checkpoint, sequence })
    }
}

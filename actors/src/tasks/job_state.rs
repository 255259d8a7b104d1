//! The states of jobs: their checkpoints, as the store has them. Must never decide what follows from one.

use std::sync::Arc;

use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::progress::Report;
use crate::in_flight::{AFTER_ENCODE, encode_progress};
use crate::ports::{Clock, JobStore};

/// The checkpoints of jobs, and the time of their steps.
#[derive(Clone)]
pub(super) struct JobStates {
    store: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
}

impl JobStates {
    pub fn new(store: Arc<dyn JobStore>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The checkpoint of a job; a new one where none is known.
    pub async fn open(&self, job_id: &JobId, content: String) -> Result<Checkpoint, Failure> {
        self.store.open(job_id.clone(), content, self.now()).await
    }

    pub async fn read(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        self.store.read(job_id.clone()).await
    }

    /// Moves a job forward; `None` where its checkpoint is gone.
    pub async fn advance(&self, job_id: &JobId, step: Advance) -> Result<Option<Checkpoint>, Failure> {
        let advanced = self.store.advance(job_id.clone(), step, self.now()).await?;
        Ok(advanced.map(|advanced| advanced.checkpoint))
    }

    pub async fn enter_split(&self, job_id: &JobId) -> Result<(), Failure> {
        let status = Some(JobStatus::Splitting);
        self.advance(job_id, Advance { status, ..Advance::default() }).await?;
        Ok(())
    }

    /// Makes `plan`, of which `units_done` units have a part, the one that the job follows.
    pub async fn put_in_force(&self, plan: &PinnedPlan, units_done: u32) -> Result<Option<Checkpoint>, Failure> {
        let plan_in_force = Some((plan.fingerprint().clone(), plan.num_chunks()));
        self.advance(&plan.job.job_id, Advance { plan: plan_in_force, ..encoding(plan, units_done) }).await
    }

    /// Moves the progress of a job in this generation to what `units_done` says. `None` where the checkpoint is gone.
    pub async fn advance_encoding(
        &self,
        plan: &Plan,
        units_done: u32,
        generation: u64,
    ) -> Result<Option<Checkpoint>, Failure> {
        self.advance(&plan.job.job_id, Advance { generation: Some(generation), ..encoding(plan, units_done) }).await
    }

    pub async fn enter_assembly(&self, seen: &Checkpoint) -> Result<(), Failure> {
        let (status, progress) = (Some(JobStatus::Assembling), Some(AFTER_ENCODE));
        let step = Advance { status, progress, generation: Some(seen.generation), ..Advance::default() };
        self.advance(&seen.job_id, step).await?;
        Ok(())
    }

    /// Ends a job and puts its last report into the outbox; whether this end was the first.
    pub async fn finish(
        &self,
        job_id: &JobId,
        outcome: Outcome,
        report: Report,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        self.store.finish(job_id.clone(), outcome, report, now).await
    }
}

/// The step of a job that is being encoded and of which `units_done` units have a part.
fn encoding(plan: &Plan, units_done: u32) -> Advance {
    // Whether the audio is among them is not known here; to count it is what never says too much.
    let chunks = units_done.saturating_sub(u32::from(plan.num_audio()));
    let progress = Some(encode_progress(f64::from(chunks), plan.num_chunks()));
    Advance { status: Some(JobStatus::Encoding), progress, ..Advance::default() }
}

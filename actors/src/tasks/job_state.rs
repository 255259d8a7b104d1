//! What a task finds when it arrives: whether its job still wants it, the checkpoint and the plan.
//! Where the store was emptied, the checkpoint is built again from the plan and the parts in the work storage.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::family::is_for_cpu;
use super::{Step, Workbench};
use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, PartRecord};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::in_flight::encode_progress;

/// What a task finds.
enum JobState {
    /// Its job has ended: the rest of its work can go.
    Ended,
    /// Its job follows another plan, or has another generation, or nobody knows of it any more.
    Stale,
    /// Somebody asked to stop its job.
    Cancelled(Checkpoint),
    /// There is work.
    Live(Checkpoint, Arc<PinnedPlan>),
}

/// What becomes of a task that arrives.
pub(super) enum Entered {
    /// There is work.
    Live(Box<Checkpoint>, Arc<PinnedPlan>),
    /// There is none, or what there was is done.
    Over(Step),
}

impl Workbench {
    /// Looks what `task` finds, and does what is left where its job wants no work any more.
    pub(super) async fn enter(&self, task: &Task) -> Result<Entered, Failure> {
        match self.job_state(task).await? {
            JobState::Ended => {
                // Whoever ended the job may have died before it removed the work, or a part became durable after that.
                self.clear(task.job_id()).await;
                Ok(Entered::Over(Step::Nothing))
            }
            JobState::Stale => Ok(Entered::Over(Step::Nothing)),
            JobState::Cancelled(checkpoint) => {
                self.end_job(&checkpoint, Outcome::Cancelled, None).await?;
                Ok(Entered::Over(Step::Done))
            }
            JobState::Live(checkpoint, plan) => Ok(Entered::Live(Box::new(checkpoint), plan)),
        }
    }

    /// What `task` finds.
    async fn job_state(&self, task: &Task) -> Result<JobState, Failure> {
        let (job_id, fingerprint) = (task.job_id(), task.fingerprint());
        let known = self.store.read(job_id.clone()).await?;
        if known.as_ref().is_some_and(Checkpoint::awaits_split) {
            return Ok(JobState::Stale);
        }
        // Without a plan: the store was emptied, and whoever built the checkpoint again died halfway.
        let checkpoint = match known.filter(|known| known.status.is_terminal() || known.fingerprint.is_some()) {
            Some(checkpoint) => checkpoint,
            None => match self.rebuild(job_id, fingerprint).await? {
                Some(checkpoint) => checkpoint,
                None => return Ok(JobState::Stale),
            },
        };
        if checkpoint.status.is_terminal() {
            return Ok(JobState::Ended);
        }
        if checkpoint.fingerprint.as_ref() != Some(fingerprint) {
            return Ok(JobState::Stale);
        }
        if checkpoint.cancel_requested {
            return Ok(JobState::Cancelled(checkpoint));
        }
        let plan = self.plan(job_id, fingerprint).await?.ok_or_else(|| {
            Failure::retryable(format!(
                "the work storage has no plan {fingerprint} of job {job_id}; see that all workers share one work storage"
            ))
        })?;
        Ok(JobState::Live(checkpoint, plan))
    }

    /// The plan of a job, kept for the next task.
    pub(super) async fn plan(
        &self,
        job_id: &JobId,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Arc<PinnedPlan>>, Failure> {
        if let Some(plan) = self.plans.get(job_id, fingerprint) {
            return Ok(Some(plan));
        }
        let plan = self.work.plan(job_id.clone(), fingerprint.clone()).await?;
        if let Some(plan) = &plan {
            self.plans.keep(plan);
        }
        Ok(plan)
    }

    /// Builds the checkpoint of a job again from its work storage; `None` where there is no plan. The plans kept in
    /// memory do not count: the job may have ended and its work may be gone.
    pub(super) async fn rebuild(
        &self,
        job_id: &JobId,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Checkpoint>, Failure> {
        let Some(plan) = self.work.plan(job_id.clone(), fingerprint.clone()).await? else {
            tracing::info!(%job_id, %fingerprint, "task of a job that nobody knows any more");
            return Ok(None);
        };
        tracing::warn!(%job_id, %fingerprint, "checkpoint is missing, building it again from the work storage");
        // The plan comes last: a checkpoint without one is built again by whoever meets it, so dying in between is safe,
        // and nobody counts parts that are not all there.
        let units_done = self.restore_parts(&plan).await?;
        self.store.open(job_id.clone(), plan.job.content_digest(), self.now()).await?;
        self.resume_chains(&plan).await?;
        let checkpoint = self.put_in_force(&plan, units_done).await?;
        checkpoint.map(Some).ok_or_else(|| {
            Failure::retryable(format!(
                "the checkpoint of job {job_id} went away while it was built again; see that the store keeps its data"
            ))
        })
    }

    /// Starts each chain again where its first part is missing. A part that the store knew and the work storage lost has
    /// no task any more, and nobody remembers that it had one; where there is a task, two are as good.
    async fn resume_chains(&self, plan: &PinnedPlan) -> Result<(), Failure> {
        let known = self.known_parts(plan).await?;
        let on_cpu = is_for_cpu(plan, known.values());
        self.publish_units(plan, plan.frontier(|unit| known.contains_key(&unit)), on_cpu).await
    }

    /// Makes `plan`, of which `units_done` units have a part, the one that the job follows.
    pub(super) async fn put_in_force(&self, plan: &PinnedPlan, units_done: u32) -> Result<Option<Checkpoint>, Failure> {
        let plan_in_force = Some((plan.fingerprint().clone(), plan.num_chunks()));
        let step = Advance { plan: plan_in_force, ..encoding(plan, units_done) };
        let advanced = self.store.advance(plan.job.job_id.clone(), step, self.now()).await?;
        Ok(advanced.map(|advanced| advanced.checkpoint))
    }

    /// Records the parts of the work storage that the store does not know; returns how many units have a part then.
    pub(super) async fn restore_parts(&self, plan: &PinnedPlan) -> Result<u32, Failure> {
        let (job_id, fingerprint) = (&plan.job.job_id, plan.fingerprint());
        let known = self.store.parts(job_id.clone(), fingerprint.clone()).await?;
        let stored = self.work.recorded_parts(job_id.clone(), fingerprint.clone()).await?;
        let mut units_done = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let missing = |part: &PartRecord| !known.contains_key(&part.unit);
        for part in stored.into_iter().filter(missing) {
            let unit = part.unit;
            units_done = self.store.record(job_id.clone(), fingerprint.clone(), part, self.now()).await?.units_done;
            tracing::info!(%job_id, %unit, "part of the work storage was recorded again");
        }
        Ok(units_done)
    }

    /// Moves the progress of a job in this generation to what `units_done` says. `None` where the checkpoint is gone.
    pub(super) async fn advance_encoding(
        &self,
        plan: &Plan,
        units_done: u32,
        generation: u64,
    ) -> Result<Option<Checkpoint>, Failure> {
        let step = Advance { generation: Some(generation), ..encoding(plan, units_done) };
        let advanced = self.store.advance(plan.job.job_id.clone(), step, self.now()).await?;
        Ok(advanced.map(|advanced| advanced.checkpoint))
    }

    /// The recorded parts of a plan.
    pub(super) async fn known_parts(&self, plan: &PinnedPlan) -> Result<BTreeMap<UnitId, PartRecord>, Failure> {
        self.store.parts(plan.job.job_id.clone(), plan.fingerprint().clone()).await
    }
}

/// The step of a job that is being encoded and of which `units_done` units have a part.
fn encoding(plan: &Plan, units_done: u32) -> Advance {
    // Whether the audio is among them is not known here; to count it is what never says too much.
    let chunks = units_done.saturating_sub(u32::from(plan.num_audio()));
    let progress = Some(encode_progress(f64::from(chunks), plan.num_chunks()));
    Advance { status: Some(JobStatus::Encoding), progress, ..Advance::default() }
}

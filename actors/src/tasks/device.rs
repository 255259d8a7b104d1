//! Where a chunk is encoded: by the device that its plan names, or by the CPU.
//!
//! | what happens | `gpu: auto` | `gpu: require` |
//! |---|---|---|
//! | this worker cannot (no such device, breaker open, device lost) | the CPU, at once | waits here for `GPU_WAIT_TIMEOUT`, then the job fails |
//! | its device has another version than the plan | a worker that has it, or the CPU, at once | a worker that has it, see `versions` |
//! | all sessions are in use | looked at again in a moment | the same |
//! | the device fails | the CPU, at once and in the same attempt | an attempt; tried again |
//! | it says that the input is at fault | the CPU, at once; if that says so too the job fails | the job fails |
//! | something else fails in the last attempt | the CPU, at once | the job fails |
//!
//! "The CPU" is that of this worker where its encoder has the version of the plan, otherwise that of one which has it.
//! A GPU must never fail a job that the CPU can do. The last attempt goes by the CPU whatever failed before, because a
//! driver that crashes often takes its process along without a word.

use std::sync::Arc;
use std::time::Duration;

use super::attempt::Attempt;
use super::lease::Lease;
use super::pin::{Maker, pin};
use super::{Step, Workbench, tally};
use crate::domain::checkpoint::Checkpoint;
use crate::domain::failure::{DeviceFault, Failure, FailureClass};
use crate::domain::job::{GpuMode, JobId, JobSpec, VideoCodec};
use crate::domain::plan::{EncoderVersions, Families, PinnedPlan, Plan};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::gpu::{Session, Taken, count_fallback};
use crate::in_flight::Entry;
use crate::ports::{UnitOutcome, UnitRequest};
use crate::work::{Deferral, Execute};

/// Where a unit is made.
pub(super) enum Place {
    /// As planned, and no device is needed for it.
    Planned,
    /// As planned, by a device.
    Device(Session),
    /// By the CPU, whatever the plan says.
    Cpu,
    /// By a worker that has these versions.
    Elsewhere {
        /// By its CPU, whatever the plan says.
        on_cpu: bool,
        /// What it has.
        needed: EncoderVersions,
    },
    /// Nowhere yet.
    Later(Step),
}

impl Workbench {
    /// Where `unit` of `task` is worked on here and now.
    pub(super) async fn place(
        &self,
        seen: &Checkpoint,
        plan: &Plan,
        task: &Task,
        unit: UnitId,
    ) -> Result<Place, Failure> {
        let (own, needed) = (self.versions.get(), plan.needs(unit, false));
        let by_device = unit != UnitId::Audio && plan.uses_device();
        if !by_device {
            return Ok(if own.cover(&needed) { Place::Planned } else { Place::Elsewhere { on_cpu: false, needed } });
        }
        let (job_id, required) = (&plan.job.job_id, plan.job.gpu == GpuMode::Require);
        if task.is_on_cpu() && !required {
            return Ok(self.by_cpu(plan, unit));
        }
        let has_devices = needed.devices().all(|family| own.get(family.as_str()).is_some());
        if !own.cover(&needed) && has_devices {
            let elsewhere = required || self.others().await?.iter().any(|other| other.capabilities.makes(&needed));
            return Ok(if elsewhere { Place::Elsewhere { on_cpu: false, needed } } else { self.by_cpu(plan, unit) });
        }
        match self.gpu.take(plan) {
            Taken::Session(session) => {
                self.gpu.waits_no_more(job_id);
                Ok(Place::Device(session))
            }
            Taken::Full => Ok(Place::Later(Step::Deferred(Deferral::Briefly))),
            Taken::Cannot(why) if required => {
                let waited = self.gpu.waited(job_id);
                let step = self.wait(job_id, waited, &why)?;
                self.tell_wait(seen, "a worker with a GPU that can make it".into()).await?;
                Ok(Place::Later(step))
            }
            Taken::Cannot(why) => {
                tracing::info!(%job_id, task = task.key(), why, "chunk was planned for a device, the CPU makes it");
                Ok(self.by_cpu(plan, unit))
            }
        }
    }

    /// By the CPU of this worker, or of one that has the versions of the plan.
    fn by_cpu(&self, plan: &Plan, unit: UnitId) -> Place {
        let needed = plan.needs(unit, true);
        if self.versions.get().cover(&needed) { Place::Cpu } else { Place::Elsewhere { on_cpu: true, needed } }
    }

    /// Runs a unit at `place`, and once more by the CPU where a device fails that is not required. `None` where that has to
    /// be the CPU of another worker.
    #[allow(clippy::too_many_arguments)] // What the attempt consists of.
    pub(super) async fn run_unit(
        &self,
        execute: &Execute,
        plan: &Arc<PinnedPlan>,
        unit: UnitId,
        place: Place,
        lease: &Lease,
        entry: &Entry,
        attempt: &Attempt,
    ) -> Result<Option<UnitOutcome>, Failure> {
        let job_id = &plan.job.job_id;
        let required = plan.job.gpu == GpuMode::Require;
        let request = |on_cpu| UnitRequest { plan: plan.clone(), unit, on_cpu };
        let session = match place {
            // Attempts before it took their worker with them, and the device may be why.
            Place::Device(_) if !required && self.is_last(attempt) && attempt.is_again() => None,
            Place::Device(session) => Some(session),
            Place::Planned => {
                let outcome = self.run_stage(job_id, lease, request(false), entry.on_progress(), &execute.stop).await;
                return outcome.map(Some);
            }
            Place::Cpu | Place::Later(_) | Place::Elsewhere { .. } => None,
        };
        if let Some(session) = session {
            let outcome = self.run_stage(job_id, lease, request(false), entry.on_progress(), &execute.stop).await;
            drop(session);
            if let Some(outcome) = self.after_device(plan, unit, entry, attempt, outcome) {
                return outcome.map(Some);
            }
        }
        if !self.versions.get().cover(&plan.needs(unit, true)) {
            return Ok(None);
        }
        self.run_stage(job_id, lease, request(true), entry.on_progress(), &execute.stop).await.map(Some)
    }

    /// What came of a device; `None` where the CPU has to do it.
    fn after_device(
        &self,
        plan: &Arc<PinnedPlan>,
        unit: UnitId,
        entry: &Entry,
        attempt: &Attempt,
        outcome: Result<UnitOutcome, Failure>,
    ) -> Option<Result<UnitOutcome, Failure>> {
        let failure = match outcome {
            Err(failure) => failure,
            Ok(outcome) => {
                if matches!(outcome, UnitOutcome::Made(_)) {
                    self.gpu.worked();
                }
                return Some(Ok(outcome));
            }
        };
        let falls = match failure.class {
            FailureClass::Device => {
                self.gpu.failed(&failure);
                true
            }
            // A driver can take its process with it without a word.
            FailureClass::Retryable => self.is_last(attempt),
            // Its decoder may be what does not understand the input.
            FailureClass::Permanent => true,
            FailureClass::Interrupted => false,
        };
        if !falls || plan.job.gpu == GpuMode::Require {
            return Some(Err(failure));
        }
        let fault = failure.fault().unwrap_or(DeviceFault::Other);
        tracing::warn!(job_id = %plan.job.job_id, %unit, fault = fault.as_str(), %failure, "device failed, the CPU makes the chunk");
        count_fallback(fault);
        tally::failure(&failure);
        tally::wasted(plan, unit, entry.done_ns());
        None
    }

    /// What the plan of `job` is made with; `None` while it waits for a device that it requires.
    pub(super) async fn families(&self, job: &JobSpec, seen: &Checkpoint) -> Result<Option<Families>, Failure> {
        // What this worker has it may not have announced yet.
        let own = Maker { versions: self.versions.get(), offers: self.gpu.offers() };
        let others: Vec<Maker> = self.others().await?.iter().map(Maker::from).collect();
        let families = pin(job, &own, &others);
        let is_missing = |codec: &VideoCodec| !families.offers.iter().any(|offer| offer.codec == *codec);
        let missing = job.outputs.iter().map(|output| output.video.codec).find(is_missing);
        if let (GpuMode::Require, Some(codec)) = (job.gpu, missing) {
            let (waited, codec) = ((self.now() - seen.created_at).to_std().unwrap_or_default(), codec.as_str());
            self.wait(&job.job_id, waited, &format!("no living worker has a GPU that encodes {codec}"))?;
            self.tell_wait(seen, format!("a worker with a GPU that encodes {codec}")).await?;
            return Ok(None);
        }
        Ok(Some(families))
    }

    /// Work of a job that requires a GPU waits, unless it has done so for too long.
    fn wait(&self, job_id: &JobId, waited: Duration, why: &str) -> Result<Step, Failure> {
        let most = self.gpu.wait_timeout();
        if waited < most {
            let left = (most - waited).as_secs();
            tracing::warn!(%job_id, why, waited = waited.as_secs(), left, "job requires a GPU and waits for one");
            return Ok(Step::Deferred(Deferral::Increasing));
        }
        self.gpu.waits_no_more(job_id);
        Err(Failure::permanent(format!(
            "gpu: the job requires a GPU, and {why}; it waited {} s for one (GPU_WAIT_TIMEOUT): see `doctor` on a worker \
             with a GPU, or ask for auto or off",
            waited.as_secs()
        )))
    }
}

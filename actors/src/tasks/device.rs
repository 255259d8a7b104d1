//! Where a chunk is encoded: by the device that its plan names, or by the CPU.
//!
//! | what happens | `gpu: auto` | `gpu: require` |
//! |---|---|---|
//! | this worker cannot (no such device, breaker open, device lost) | the CPU, at once | deferred here for `GPU_WAIT_TIMEOUT`, then the job fails |
//! | its device has another version than the plan | a worker that has it, or the CPU, at once | a worker that has it, see `versions` |
//! | all sessions are in use | deferred for a moment | the same |
//! | the device fails | the CPU, at once and in the same attempt | an attempt; tried again |
//! | it says that the input is at fault | the CPU, at once; if that says so too the job fails | the job fails |
//! | something else fails in the last attempt | the CPU, at once | the job fails |
//!
//! "The CPU" is that of this worker where its encoder has the version of the plan, otherwise that of one which has it.
//! A GPU must never fail a job that the CPU can do. The last attempt goes by the CPU whatever failed before, because a
//! driver that crashes often takes its process along without a word.

use std::sync::Arc;
use std::time::Duration;

use super::pin::{Maker, pin};
use super::waiting::Waiting;
use super::workers::Workers;
use crate::domain::checkpoint::Checkpoint;
use crate::domain::failure::Failure;
use crate::domain::job::{GpuMode, JobId, JobSpec, VideoCodec};
use crate::domain::plan::{EncoderVersions, Families, Plan};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::gpu::{Gpu, Session, Taken};
use crate::ports::Clock;
use crate::work::Deferral;

/// The devices of this worker, and those of the others where this one has none.
#[derive(Clone)]
pub(super) struct Devices {
    pub gpu: Gpu,
    pub workers: Workers,
    pub waiting: Waiting,
    pub clock: Arc<dyn Clock>,
}

/// Where a unit is made.
pub(super) enum Place {
    /// On this worker.
    Here(Means),
    /// By a worker that has these versions.
    Elsewhere {
        /// By its CPU, whatever the plan says.
        on_cpu: bool,
        /// What it has.
        needed: EncoderVersions,
    },
    /// Nowhere yet.
    Deferred(Deferral),
}

/// What makes a unit on this worker.
pub(super) enum Means {
    /// What the plan says, which is no device.
    Planned,
    /// The device that the plan says.
    Device(Session),
    /// The CPU, whatever the plan says.
    Cpu,
}

impl Devices {
    /// Where `unit` of `task` is worked on here and now.
    pub async fn place(&self, seen: &Checkpoint, plan: &Plan, task: &Task, unit: UnitId) -> Result<Place, Failure> {
        let (own, needed) = (self.workers.own(), plan.needs(unit, false));
        let by_device = unit.is_chunk() && plan.uses_device();
        if !by_device {
            let here = own.cover(&needed);
            return Ok(if here { Place::Here(Means::Planned) } else { Place::Elsewhere { on_cpu: false, needed } });
        }
        let (job_id, required) = (&plan.job.job_id, plan.job.gpu == GpuMode::Require);
        if task.is_on_cpu() && !required {
            return Ok(self.by_cpu(plan, unit));
        }
        let has_devices = needed.devices().all(|family| own.get(family.as_str()).is_some());
        if !own.cover(&needed) && has_devices {
            let elsewhere =
                required || self.workers.others().await?.iter().any(|other| other.capabilities.makes(&needed));
            return Ok(if elsewhere { Place::Elsewhere { on_cpu: false, needed } } else { self.by_cpu(plan, unit) });
        }
        match self.gpu.take(plan) {
            Taken::Session(session) => {
                self.gpu.waits_no_more(job_id);
                Ok(Place::Here(Means::Device(session)))
            }
            Taken::Full => Ok(Place::Deferred(Deferral::Briefly)),
            Taken::Cannot(why) if required => {
                let waited = self.gpu.waited(job_id);
                self.may_wait(job_id, waited, &why)?;
                self.waiting.show(seen, "a worker with a GPU that can make it".into()).await?;
                Ok(Place::Deferred(Deferral::Increasing))
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
        if self.workers.own().cover(&needed) {
            Place::Here(Means::Cpu)
        } else {
            Place::Elsewhere { on_cpu: true, needed }
        }
    }

    /// What the plan of `job` is made with; `None` while it waits for a device that it requires.
    pub async fn families(&self, job: &JobSpec, seen: &Checkpoint) -> Result<Option<Families>, Failure> {
        // What this worker has it may not have announced yet.
        let own = Maker { versions: self.workers.own(), offers: self.gpu.offers() };
        let others: Vec<Maker> = self.workers.others().await?.iter().map(Maker::from).collect();
        let families = pin(job, &own, &others);
        let is_missing = |codec: &VideoCodec| !families.offers.iter().any(|offer| offer.codec == *codec);
        let missing = job.outputs.iter().map(|output| output.video.codec).find(is_missing);
        if let (GpuMode::Require, Some(codec)) = (job.gpu, missing) {
            let waited = (self.clock.now() - seen.created_at).to_std().unwrap_or_default();
            let codec = codec.as_str();
            self.may_wait(&job.job_id, waited, &format!("no living worker has a GPU that encodes {codec}"))?;
            self.waiting.show(seen, format!("a worker with a GPU that encodes {codec}")).await?;
            return Ok(None);
        }
        Ok(Some(families))
    }

    /// Work of a job that requires a GPU may wait for one, but not for too long.
    fn may_wait(&self, job_id: &JobId, waited: Duration, why: &str) -> Result<(), Failure> {
        let most = self.gpu.wait_timeout();
        if waited < most {
            let left = (most - waited).as_secs();
            tracing::warn!(%job_id, why, waited = waited.as_secs(), left, "job requires a GPU and waits for one");
            return Ok(());
        }
        self.gpu.waits_no_more(job_id);
        Err(Failure::permanent(format!(
            "gpu: the job requires a GPU, and {why}; it waited {} s for one (GPU_WAIT_TIMEOUT): see `doctor` on a worker \
             with a GPU, or ask for auto or off",
            waited.as_secs()
        )))
    }
}

//! A chunk or the audio track: encode it unless that was done, record its part, publish what follows.

use std::sync::Arc;

use super::attempt::Attempt;
use super::device::Place;
use super::family::is_for_cpu;
use super::job_state::Entered;
use super::{Step, Workbench, tally};
use crate::domain::checkpoint::{Checkpoint, PartRecord};
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::ports::UnitOutcome;
use crate::work::{Deferral, Execute};

impl Workbench {
    pub(super) async fn unit(
        &self,
        execute: &Execute,
        task: &Task,
        unit: UnitId,
        attempt: &mut Attempt,
    ) -> Result<Step, Failure> {
        let (checkpoint, plan) = match self.enter(task).await? {
            Entered::Live(checkpoint, plan) => (checkpoint, plan),
            Entered::Over(step) => return Ok(step),
        };
        // The lease comes first: whoever has it sees what the one before has recorded.
        let Some(lease) = self.hold(task.key()).await? else { return Ok(Step::Deferred(Deferral::Briefly)) };
        if self.store.part(task.job_id().clone(), task.fingerprint().clone(), unit).await?.is_some() {
            lease.release().await;
            let parts = self.known_parts(&plan).await?;
            let on_cpu = is_for_cpu(&plan, parts.values());
            self.publish_successors(&plan, unit, u32::try_from(parts.len()).unwrap_or(u32::MAX), on_cpu).await?;
            return Ok(Step::Nothing);
        }
        let place = match self.place(&checkpoint, &plan, task, unit).await? {
            Place::Later(step) => {
                lease.release().await;
                return Ok(step);
            }
            Place::Elsewhere { on_cpu, needed } => {
                lease.release().await;
                let task = if on_cpu { task.clone().by_cpu(true) } else { task.clone() };
                return self.leave(execute.deferrals, &checkpoint, &plan, task, &needed).await;
            }
            place => place,
        };
        self.begin(task.job_id(), task.key(), attempt).await?;
        if attempt.is_again() {
            tally::wasted(&plan, unit, u64::MAX);
        }
        let entry = self.in_flight.unit(&plan, unit, &checkpoint);
        let outcome = self.run_unit(execute, &plan, unit, place, &lease, &entry, attempt).await;
        let Some(outcome) = outcome.transpose() else {
            lease.release().await;
            return self.leave_to_cpu(&checkpoint, &plan, task, unit, attempt).await;
        };
        if !matches!(outcome, Ok(UnitOutcome::Made(_))) {
            attempt.ended_after(&plan, unit, entry.done_ns());
        }
        let step = match outcome {
            Ok(UnitOutcome::Made(part)) => self.after_encode(task, &plan, part, checkpoint.life).await,
            Ok(UnitOutcome::SourceLost(how)) => {
                lease.release().await;
                return self.resplit(execute, task, &plan, &how, attempt).await;
            }
            Err(failure) => Err(failure),
        };
        lease.release().await;
        step
    }

    /// A device has failed here, and the CPU that takes over is that of another worker. That is no attempt.
    async fn leave_to_cpu(
        &self,
        seen: &Checkpoint,
        plan: &PinnedPlan,
        task: &Task,
        unit: UnitId,
        attempt: &Attempt,
    ) -> Result<Step, Failure> {
        self.give_attempt_back(&seen.job_id, attempt).await;
        // At once: here it would be tried by the device again.
        self.leave(1, seen, plan, task.clone().by_cpu(true), &plan.needs(unit, true)).await
    }

    /// Records a part and publishes what follows.
    async fn after_encode(
        &self,
        task: &Task,
        plan: &Arc<PinnedPlan>,
        part: PartRecord,
        life: u64,
    ) -> Result<Step, Failure> {
        let (job_id, fingerprint, unit) = (task.job_id(), task.fingerprint(), part.unit);
        let recorded = self.store.record(job_id.clone(), fingerprint.clone(), part.clone(), self.now()).await?;
        tally::part(plan, &part, recorded.first);
        let mut units_done = recorded.units_done;
        // Without a plan the checkpoint is one that somebody else begins to build again: who follows it must not be
        // taken from it, or the chain of this unit ends here.
        let advanced = self.advance_encoding(plan, units_done, life).await?;
        let whole =
            |known: &Checkpoint| known.status.is_terminal() || known.fingerprint.is_some() || known.awaits_split();
        let checkpoint = match advanced.filter(whole) {
            Some(checkpoint) => Some(checkpoint),
            None => {
                let rebuilt = self.rebuild(job_id, fingerprint).await?;
                let parts = self.store.parts(job_id.clone(), fingerprint.clone()).await?;
                units_done = u32::try_from(parts.len()).unwrap_or(u32::MAX);
                rebuilt
            }
        };
        if !wants_more(checkpoint.as_ref(), fingerprint) {
            // Only what has surely ended is removed: of a job that nobody knows, somebody may just be cutting the input.
            if checkpoint.is_some_and(|checkpoint| checkpoint.status.is_terminal()) {
                self.clear(job_id).await;
            }
            return Ok(Step::Done);
        }
        self.publish_successors(plan, unit, units_done, is_for_cpu(plan, [&recorded.part])).await?;
        Ok(Step::Done)
    }

    /// Publishes what follows a unit whose part is recorded, with `on_cpu` for the CPU.
    async fn publish_successors(
        &self,
        plan: &PinnedPlan,
        unit: UnitId,
        mut units_done: u32,
        on_cpu: bool,
    ) -> Result<(), Failure> {
        let next = plan.after_unit(unit);
        if next.is_none() && units_done < plan.num_units() {
            // The last unit of a job is the end of a chain. The ends look into the work storage, which knows the parts that
            // a store has lost meanwhile; otherwise nobody would ever see that all are there.
            units_done = self.restore_parts(plan).await?;
        }
        self.publish_units(plan, next, on_cpu).await?;
        if units_done >= plan.num_units() {
            let (job_id, fingerprint) = (plan.job.job_id.clone(), plan.fingerprint().clone());
            self.publish(plan, &Task::Assemble { job_id, fingerprint }).await?;
        }
        Ok(())
    }
}

/// Whether a job goes on with the plan `fingerprint`.
fn wants_more(checkpoint: Option<&Checkpoint>, fingerprint: &crate::domain::fingerprint::Fingerprint) -> bool {
    checkpoint.is_some_and(|now| !now.status.is_terminal() && now.fingerprint.as_ref() == Some(fingerprint))
}

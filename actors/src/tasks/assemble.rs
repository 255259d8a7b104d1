//! The assembly: join the parts, verify and publish the outputs, end the job. Parts that are missing are made again.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::attempt::Attempt;
use super::family::{is_for_cpu, to_make_again};
use super::job_state::Entered;
use super::{Step, Workbench};
use crate::domain::checkpoint::{Advance, Checkpoint, JobStatus, Outcome, PartRecord};
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::in_flight::AFTER_ENCODE;
use crate::ports::{AssembleOutcome, AssembleRequest};
use crate::work::{Deferral, Execute};

impl Workbench {
    pub(super) async fn assemble(
        &self,
        execute: &Execute,
        task: &Task,
        attempt: &mut Attempt,
    ) -> Result<Step, Failure> {
        let (checkpoint, plan) = match self.enter(task).await? {
            Entered::Live(checkpoint, plan) => (checkpoint, plan),
            Entered::Over(step) => return Ok(step),
        };
        let Some(lease) = self.hold(task.key()).await? else { return Ok(Step::Deferred(Deferral::Briefly)) };
        let Some(parts) = self.all_parts(&plan).await? else {
            lease.release().await;
            return Ok(Step::Nothing);
        };
        let again = to_make_again(&plan, &parts);
        if !again.is_empty() {
            let made = self.make_again_by_cpu(&plan, again).await;
            lease.release().await;
            return made.map(|()| Step::Done);
        }
        self.begin(task.job_id(), task.key(), attempt).await?;
        self.enter_assembly(&checkpoint).await?;
        let entry = self.in_flight.assembly(&plan, &checkpoint);
        let on_cpu = is_for_cpu(&plan, parts.values());
        let request = AssembleRequest { plan: plan.clone(), parts };
        let outcome = self.run_stage(task.job_id(), &lease, request, entry.on_progress(), &execute.stop).await;
        let step = match outcome {
            Ok(outcome) => self.after_assembly(&checkpoint, &plan, outcome, on_cpu).await,
            Err(failure) => Err(failure),
        };
        lease.release().await;
        step
    }

    /// The parts of all units; where some are missing, their tasks are published again.
    async fn all_parts(&self, plan: &Arc<PinnedPlan>) -> Result<Option<BTreeMap<UnitId, PartRecord>>, Failure> {
        let mut parts = self.known_parts(plan).await?;
        if plan.units().any(|unit| !parts.contains_key(&unit)) {
            self.restore_parts(plan).await?;
            // Read once more, and never again: what was looked at is what is joined, whatever is forgotten meanwhile.
            parts = self.known_parts(plan).await?;
        }
        let missing: Vec<UnitId> = plan.units().filter(|unit| !parts.contains_key(unit)).collect();
        if missing.is_empty() {
            return Ok(Some(parts));
        }
        tracing::warn!(job_id = %plan.job.job_id, missing = missing.len(), "parts are missing, making them again");
        self.publish_units(plan, missing, is_for_cpu(plan, parts.values())).await?;
        Ok(None)
    }

    async fn enter_assembly(&self, seen: &Checkpoint) -> Result<(), Failure> {
        let (status, progress) = (Some(JobStatus::Assembling), Some(AFTER_ENCODE));
        let step = Advance { status, progress, life: Some(seen.life), ..Advance::default() };
        self.store.advance(seen.job_id.clone(), step, self.now()).await?;
        Ok(())
    }

    async fn after_assembly(
        &self,
        checkpoint: &Checkpoint,
        plan: &Arc<PinnedPlan>,
        outcome: AssembleOutcome,
        on_cpu: bool,
    ) -> Result<Step, Failure> {
        match outcome {
            AssembleOutcome::Published(outputs) => {
                self.end_job(checkpoint, Outcome::Completed(outputs), Some(plan)).await?;
                Ok(Step::Done)
            }
            AssembleOutcome::PartsLost(units) => {
                self.replace_parts(plan, units, on_cpu).await?;
                Ok(Step::Done)
            }
        }
    }

    async fn replace_parts(&self, plan: &Arc<PinnedPlan>, units: Vec<UnitId>, on_cpu: bool) -> Result<(), Failure> {
        let (job_id, fingerprint) = (&plan.job.job_id, plan.fingerprint());
        tracing::warn!(%job_id, lost = units.len(), "parts are lost or damaged, making them again");
        for unit in &units {
            self.store.forget(job_id.clone(), fingerprint.clone(), *unit).await?;
        }
        self.publish_units(plan, units, on_cpu).await
    }
}

//! The assembly: join the parts, verify and publish the outputs, end the job. Parts that are missing are made again.

use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::enter::{Entered, enter};
use super::execution::Execution;
use super::family::{is_for_cpu, make_again_by_cpu, to_make_again};
use super::jobs::Jobs;
use super::resplit::{ResplitContext, decode_from_start};
use super::step::Step;
use crate::domain::checkpoint::{Outcome, PartRecord};
use crate::domain::failure::Failure;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::ports::{AssembleOutcome, AssembleRequest};
use crate::work::Deferral;

/// What an assembly needs.
pub(super) struct AssembleContext {
    pub jobs: Jobs,
    pub execution: Execution,
    pub resplit: ResplitContext,
}

pub(super) async fn assemble(
    context: &AssembleContext,
    task: &Task,
    attempt: &mut Attempt,
    stop: &CancellationToken,
) -> Result<Step, Failure> {
    let AssembleContext { jobs, execution, resplit } = context;
    let (checkpoint, plan) = match enter(jobs, task).await? {
        Entered::Live(checkpoint, plan) => (checkpoint, plan),
        Entered::Over(step) => return Ok(step),
    };
    let Some(lease) = execution.leases.hold(task.key()).await? else {
        return Ok(Step::Deferred(Deferral::Briefly));
    };
    let Some(parts) = all_parts(jobs, &plan).await? else {
        lease.release().await;
        return Ok(Step::Nothing);
    };
    let again = to_make_again(&plan, &parts);
    if !again.is_empty() {
        let made = make_again_by_cpu(&jobs.parts, &jobs.successors, &plan, again).await;
        lease.release().await;
        return made.map(|()| Step::Done);
    }
    execution.attempts.begin(task.job_id(), task.key(), attempt).await?;
    jobs.states.enter_assembly(&checkpoint).await?;
    let entry = execution.in_flight.assembly(&plan, &checkpoint);
    let on_cpu = is_for_cpu(&plan, parts.values());
    let request = AssembleRequest { plan: plan.clone(), parts };
    let outcome = execution.stages.run(task.job_id(), &lease, request, entry.on_progress(), stop).await;
    let step = match outcome {
        Ok(AssembleOutcome::Published(outputs)) => {
            let completed = Outcome::Completed(outputs);
            jobs.endings.end_job(&checkpoint, completed, Some(&plan)).await.map(|()| Step::Done)
        }
        Ok(AssembleOutcome::PartsLost(units)) => replace_parts(jobs, &plan, units, on_cpu).await.map(|()| Step::Done),
        Ok(AssembleOutcome::Differs(how)) => decode_from_start(resplit, task, &plan, &how, attempt, stop).await,
        Err(failure) => Err(failure),
    };
    lease.release().await;
    step
}

/// The parts of all units; where some are missing, their tasks are published again.
async fn all_parts(jobs: &Jobs, plan: &PinnedPlan) -> Result<Option<BTreeMap<UnitId, PartRecord>>, Failure> {
    let mut parts = jobs.parts.all(plan).await?;
    if plan.units().any(|unit| !parts.contains_key(&unit)) {
        jobs.parts.restore(plan).await?;
        // Read once more, and never again: what was looked at is what is joined, whatever is forgotten meanwhile.
        parts = jobs.parts.all(plan).await?;
    }
    let missing: Vec<UnitId> = plan.units().filter(|unit| !parts.contains_key(unit)).collect();
    if missing.is_empty() {
        return Ok(Some(parts));
    }
    tracing::warn!(job_id = %plan.job.job_id, missing = missing.len(), "parts are missing, making them again");
    jobs.successors.units(plan, missing, is_for_cpu(plan, parts.values())).await?;
    Ok(None)
}

async fn replace_parts(jobs: &Jobs, plan: &PinnedPlan, units: Vec<UnitId>, on_cpu: bool) -> Result<(), Failure> {
    tracing::warn!(job_id = %plan.job.job_id, lost = units.len(), "parts are lost or damaged, making them again");
    for unit in &units {
        jobs.parts.forget(plan, *unit).await?;
    }
    jobs.successors.units(plan, units, on_cpu).await
}

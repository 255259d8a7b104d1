//! A chunk or the audio track: encode it unless that was done, record its part, publish what follows.

use super::attempt::Attempt;
use super::device::{Devices, Place};
use super::enter::{Entered, enter};
use super::execution::Execution;
use super::family::is_for_cpu;
use super::jobs::Jobs;
use super::rebuild::rebuild;
use super::resplit::{ResplitContext, resplit};
use super::step::Step;
use super::successors::publish_after_unit;
use super::tally;
use super::unit_run::{UnitEnd, UnitRun, run_unit};
use super::versions::Handover;
use crate::domain::checkpoint::{Checkpoint, PartRecord};
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::plan::PinnedPlan;
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::ports::UnitOutcome;
use crate::work::{Deferral, Execute};

/// What the work on a unit needs.
pub(super) struct UnitContext {
    pub jobs: Jobs,
    pub execution: Execution,
    pub devices: Devices,
    pub handover: Handover,
    pub resplit: ResplitContext,
}

pub(super) async fn unit(
    context: &UnitContext,
    execute: &Execute,
    task: &Task,
    unit: UnitId,
    attempt: &mut Attempt,
) -> Result<Step, Failure> {
    let UnitContext { jobs, execution, devices, handover, .. } = context;
    let (checkpoint, plan) = match enter(jobs, task).await? {
        Entered::Live(checkpoint, plan) => (checkpoint, plan),
        Entered::Over(step) => return Ok(step),
    };
    // The lease comes first: whoever has it sees what the one before has recorded.
    let Some(lease) = execution.leases.hold(task.key()).await? else {
        return Ok(Step::Deferred(Deferral::Briefly));
    };
    if jobs.parts.is_recorded(task.job_id(), task.fingerprint(), unit).await? {
        lease.release().await;
        return pass_chain_on(jobs, &plan, unit).await;
    }
    let means = match devices.place(&checkpoint, &plan, task, unit).await? {
        Place::Here(means) => means,
        Place::Elsewhere { on_cpu, needed } => {
            lease.release().await;
            let task = if on_cpu { task.clone().by_cpu(true) } else { task.clone() };
            return handover.leave(execute.deferrals, &checkpoint, &plan, task, &needed).await;
        }
        Place::Deferred(deferral) => {
            lease.release().await;
            return Ok(Step::Deferred(deferral));
        }
    };
    execution.attempts.begin(task.job_id(), task.key(), attempt).await?;
    if attempt.is_again() {
        tally::wasted(&plan, unit, u64::MAX);
    }
    let entry = execution.in_flight.unit(&plan, unit, &checkpoint);
    let run = UnitRun { plan: &plan, unit, attempt, lease: &lease, entry: &entry, stop: &execute.stop };
    let end = run_unit(devices, execution, &run, means).await;
    if !matches!(end, Ok(UnitEnd::Ran(UnitOutcome::Made(_)) | UnitEnd::NeedsOtherCpu)) {
        attempt.ended_after(&plan, unit, entry.done_ns());
    }
    let step = match end {
        Ok(UnitEnd::Ran(UnitOutcome::Made(part))) => after_encode(jobs, task, &plan, part, checkpoint.generation).await,
        Ok(UnitEnd::Ran(UnitOutcome::SourceLost(how))) => {
            lease.release().await;
            return resplit(&context.resplit, task, &plan, &how, attempt, &execute.stop).await;
        }
        Ok(UnitEnd::NeedsOtherCpu) => {
            lease.release().await;
            return leave_to_cpu(context, &checkpoint, &plan, task, unit, attempt).await;
        }
        Err(failure) => Err(failure),
    };
    lease.release().await;
    step
}

/// The part of `unit` is recorded: nothing but what follows it is published, again perhaps.
async fn pass_chain_on(jobs: &Jobs, plan: &PinnedPlan, unit: UnitId) -> Result<Step, Failure> {
    let parts = jobs.parts.all(plan).await?;
    let on_cpu = is_for_cpu(plan, parts.values());
    let units_done = u32::try_from(parts.len()).unwrap_or(u32::MAX);
    publish_after_unit(&jobs.successors, &jobs.parts, plan, unit, units_done, on_cpu).await?;
    Ok(Step::Nothing)
}

/// A device has failed here, and the CPU that takes over is that of another worker. That is no attempt.
async fn leave_to_cpu(
    context: &UnitContext,
    seen: &Checkpoint,
    plan: &PinnedPlan,
    task: &Task,
    unit: UnitId,
    attempt: &Attempt,
) -> Result<Step, Failure> {
    context.execution.attempts.give_back(&seen.job_id, attempt).await;
    // At once: here it would be tried by the device again.
    context.handover.leave(1, seen, plan, task.clone().by_cpu(true), &plan.needs(unit, true)).await
}

/// Records a part and publishes what follows.
async fn after_encode(
    jobs: &Jobs,
    task: &Task,
    plan: &PinnedPlan,
    part: PartRecord,
    generation: u64,
) -> Result<Step, Failure> {
    let (job_id, fingerprint, unit) = (task.job_id(), task.fingerprint(), part.unit);
    let recorded = jobs.parts.record(job_id, fingerprint, part.clone()).await?;
    tally::part(plan, &part, recorded.first);
    let mut units_done = recorded.units_done;
    // Without a plan the checkpoint is one that somebody else begins to build again: who follows it must not be
    // taken from it, or the chain of this unit ends here.
    let advanced = jobs.states.advance_encoding(plan, units_done, generation).await?;
    let whole = |known: &Checkpoint| known.status.is_terminal() || known.fingerprint.is_some() || known.awaits_split();
    let checkpoint = match advanced.filter(whole) {
        Some(checkpoint) => Some(checkpoint),
        None => {
            let rebuilt = rebuild(jobs, job_id, fingerprint).await?;
            units_done = jobs.parts.count(job_id, fingerprint).await?;
            rebuilt
        }
    };
    if !wants_more(checkpoint.as_ref(), fingerprint) {
        // Only what has surely ended is removed: of a job that nobody knows, somebody may just be cutting the input.
        if checkpoint.is_some_and(|checkpoint| checkpoint.status.is_terminal()) {
            jobs.endings.clear(job_id).await;
        }
        return Ok(Step::Done);
    }
    let on_cpu = is_for_cpu(plan, [&recorded.part]);
    publish_after_unit(&jobs.successors, &jobs.parts, plan, unit, units_done, on_cpu).await?;
    Ok(Step::Done)
}

/// Whether a job goes on with the plan `fingerprint`.
fn wants_more(checkpoint: Option<&Checkpoint>, fingerprint: &Fingerprint) -> bool {
    checkpoint.is_some_and(|now| !now.status.is_terminal() && now.fingerprint.as_ref() == Some(fingerprint))
}

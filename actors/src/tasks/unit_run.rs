//! Runs a unit where it was placed, and once more by the CPU where a device fails that is not required: see `device`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::device::{Devices, Means};
use super::execution::Execution;
use super::lease::Lease;
use super::tally;
use crate::domain::failure::{DeviceFault, Failure, FailureClass};
use crate::domain::job::GpuMode;
use crate::domain::plan::PinnedPlan;
use crate::domain::unit::UnitId;
use crate::gpu::count_fallback;
use crate::in_flight::Entry;
use crate::ports::{UnitOutcome, UnitRequest};

/// What the run consists of.
pub(super) struct UnitRun<'a> {
    pub plan: &'a Arc<PinnedPlan>,
    pub unit: UnitId,
    pub attempt: &'a Attempt,
    pub lease: &'a Lease,
    pub entry: &'a Entry,
    pub stop: &'a CancellationToken,
}

/// How it ended.
pub(super) enum UnitEnd {
    /// A stage has run to its end.
    Ran(UnitOutcome),
    /// The device failed, and the CPU that takes over has to be that of another worker.
    NeedsOtherCpu,
}

/// What came of a device.
enum DeviceEnd {
    Ran(UnitOutcome),
    /// It failed, and the CPU takes over.
    NeedsCpu,
}

/// Runs a unit by `means`.
pub(super) async fn run_unit(
    devices: &Devices,
    execution: &Execution,
    run: &UnitRun<'_>,
    means: Means,
) -> Result<UnitEnd, Failure> {
    let required = run.plan.job.gpu == GpuMode::Require;
    let session = match means {
        // Attempts before it took their worker with them, and the device may be why.
        Means::Device(_) if !required && execution.attempts.is_last(run.attempt) && run.attempt.is_again() => None,
        Means::Device(session) => Some(session),
        Means::Planned => return run_stage(execution, run, false).await.map(UnitEnd::Ran),
        Means::Cpu => None,
    };
    if let Some(session) = session {
        let outcome = run_stage(execution, run, false).await;
        drop(session);
        if let DeviceEnd::Ran(outcome) = after_device(devices, execution, run, outcome)? {
            return Ok(UnitEnd::Ran(outcome));
        }
    }
    if !devices.workers.own().cover(&run.plan.needs(run.unit, true)) {
        return Ok(UnitEnd::NeedsOtherCpu);
    }
    run_stage(execution, run, true).await.map(UnitEnd::Ran)
}

async fn run_stage(execution: &Execution, run: &UnitRun<'_>, on_cpu: bool) -> Result<UnitOutcome, Failure> {
    let request = UnitRequest { plan: run.plan.clone(), unit: run.unit, on_cpu };
    execution.stages.run(&run.plan.job.job_id, run.lease, request, run.entry.on_progress(), run.stop).await
}

/// What follows from the outcome of a device.
fn after_device(
    devices: &Devices,
    execution: &Execution,
    run: &UnitRun<'_>,
    outcome: Result<UnitOutcome, Failure>,
) -> Result<DeviceEnd, Failure> {
    let failure = match outcome {
        Err(failure) => failure,
        Ok(outcome) => {
            if matches!(outcome, UnitOutcome::Made(_)) {
                devices.gpu.worked();
            }
            return Ok(DeviceEnd::Ran(outcome));
        }
    };
    let cpu_may_help = match failure.class {
        FailureClass::Device => {
            devices.gpu.failed(&failure);
            true
        }
        // A driver can take its process with it without a word.
        FailureClass::Retryable => execution.attempts.is_last(run.attempt),
        // Its decoder may be what does not understand the input.
        FailureClass::Permanent => true,
        FailureClass::Interrupted => false,
    };
    if !cpu_may_help || run.plan.job.gpu == GpuMode::Require {
        return Err(failure);
    }
    let fault = failure.fault().unwrap_or(DeviceFault::Other);
    tracing::warn!(job_id = %run.plan.job.job_id, unit = %run.unit, fault = fault.as_str(), %failure, "device failed, the CPU makes the chunk");
    count_fallback(fault);
    tally::failure(&failure);
    tally::wasted(run.plan, run.unit, run.entry.done_ns());
    Ok(DeviceEnd::NeedsCpu)
}

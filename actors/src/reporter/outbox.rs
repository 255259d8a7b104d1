//! Delivers last reports from the outbox. A lease keeps two workers from sending the same one; a lost lease sends it
//! twice, which the service expects.

use std::time::Duration;

use super::ports::ReporterPorts;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::job::JobId;
use crate::domain::progress::Report;

/// One delivery may take this long.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than a delivery and its confirmation.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Failures in a row after which the service counts as away and the rest waits.
const MAX_FAILURES: u32 = 3;

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// The service has it, or refused it for good.
    Confirmed,
    /// Another worker delivers it.
    Elsewhere,
    /// The service did not take it now.
    Failed,
    /// Not tried: the service is away.
    Untried,
}

/// Delivers `reports`, one after the other.
pub(super) async fn deliver(ports: ReporterPorts, reports: Vec<Report>) -> Vec<(JobId, Settled)> {
    let mut settled = Vec::with_capacity(reports.len());
    let mut failures = 0;
    for report in reports {
        let job_id = report.job_id.clone();
        let outcome = if failures < MAX_FAILURES { deliver_leased(&ports, report).await } else { Settled::Untried };
        failures = match outcome {
            Settled::Failed => failures + 1,
            Settled::Confirmed => 0,
            Settled::Elsewhere | Settled::Untried => failures,
        };
        settled.push((job_id, outcome));
    }
    settled
}

async fn deliver_leased(ports: &ReporterPorts, report: Report) -> Settled {
    let job_id = report.job_id.clone();
    let task = format!("outbox/{job_id}");
    let attempt = async {
        if !ports.store.hold(task.clone(), ports.worker.clone(), LEASE_TTL).await? {
            return Ok(Settled::Elsewhere);
        }
        let outcome = deliver_one(ports, report).await;
        ports.store.release(task.clone(), ports.worker.clone()).await?;
        outcome
    };
    match tokio::time::timeout(DELIVERY_TIMEOUT, attempt).await {
        Ok(Ok(settled)) => settled,
        Ok(Err(failure)) => {
            tracing::warn!(%job_id, %failure, "last report of the job was not delivered, trying again");
            Settled::Failed
        }
        Err(_) => {
            tracing::warn!(%job_id, "last report of the job was not delivered in time, trying again");
            Settled::Failed
        }
    }
}

/// The report with the progress that its job had when it ended: it was written a moment before, and what others
/// reported in between must not be taken back.
async fn as_it_ended(ports: &ReporterPorts, report: Report) -> Result<Report, Failure> {
    let checkpoint = ports.store.read(report.job_id.clone()).await?;
    let ended = checkpoint.filter(|checkpoint| checkpoint.status == report.status);
    let progress = ended.map_or(report.progress, |ended| ended.progress.max(report.progress));
    Ok(Report { progress, ..report })
}

async fn deliver_one(ports: &ReporterPorts, report: Report) -> Result<Settled, Failure> {
    let (job_id, sequence) = (report.job_id.clone(), report.sequence);
    let report = as_it_ended(ports, report).await?;
    if let Err(failure) = ports.sink.deliver(report).await {
        match failure.class {
            FailureClass::Permanent => {
                tracing::error!(%job_id, %failure, "service refused the last report of the job, it is dropped");
            }
            FailureClass::Retryable | FailureClass::Device | FailureClass::Interrupted => return Err(failure),
        }
    }
    ports.store.delivered(job_id, sequence).await?;
    Ok(Settled::Confirmed)
}

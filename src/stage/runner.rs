//! The port `StageRunner`: from a job or a plan to local files, through a stage process, and back to durable files.
//! Everything is idempotent: each step may have been done before, by this worker or by another one.

mod assemble;
mod split;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use actors::failure::Failure;
use actors::job::JobId;
use actors::ports::{Answer, OnProgress, StageOutcome, StageRequest, StageRunner};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::gauge::Gauge;
use super::process::{Launcher, StageProcess};
use super::protocol::{StageResult, StageSpec};
use super::proven::Proven;
use crate::storage::Storage;

/// What a runner is told by the configuration.
#[derive(Clone, Debug)]
pub struct RunnerSettings {
    /// `CHUNK_SECONDS`: about how much media a chunk holds.
    pub chunk_seconds: u32,
    /// `JOB_PARALLELISM`: chunk tasks of one job in the queue.
    pub parallelism: u32,
    /// `STALL_TIMEOUT`: how long the media time of a stage may stand still.
    pub stall_timeout: Duration,
    /// Name of this worker, for the records of its parts.
    pub worker: String,
    /// The program that is a stage process.
    pub launcher: Launcher,
    /// What the probe proved of the devices of this machine.
    pub proven: Proven,
}

/// Runs stages in child processes, with their files in a [`Storage`].
#[derive(Clone)]
pub struct ProcessRunner(Arc<Inner>);

struct Inner {
    storage: Storage,
    settings: RunnerSettings,
    process: StageProcess,
}

impl ProcessRunner {
    /// A runner on `storage`.
    pub fn new(storage: Storage, settings: RunnerSettings) -> Self {
        let process = StageProcess::new(settings.launcher.clone(), settings.stall_timeout);
        Self(Arc::new(Inner { storage, settings, process }))
    }
}

impl StageRunner for ProcessRunner {
    fn run(&self, request: StageRequest, progress: OnProgress, stop: CancellationToken) -> Answer<StageOutcome> {
        let inner = Arc::clone(&self.0);
        let span = tracing::info_span!("stage", job_id = %job_id(&request));
        let run = async move {
            match request {
                StageRequest::Split { job, source, families } => {
                    inner.split(&job, &source, &families, Gauge::new(progress), &stop).await.map(StageOutcome::Split)
                }
                StageRequest::Unit { plan, unit, on_cpu } => {
                    inner.unit(&plan, unit, on_cpu, Gauge::new(progress), &stop).await
                }
                StageRequest::Assemble { plan, parts } => inner.assemble(&plan, &parts, progress, &stop).await,
            }
        };
        Box::pin(run.instrument(span))
    }
}

fn job_id(request: &StageRequest) -> &JobId {
    match request {
        StageRequest::Split { job, .. } => &job.job_id,
        StageRequest::Unit { plan, .. } | StageRequest::Assemble { plan, .. } => &plan.job.job_id,
    }
}

impl Inner {
    async fn process(
        &self,
        spec: &StageSpec,
        gauge: &mut Gauge,
        stop: &CancellationToken,
    ) -> Result<StageResult, Failure> {
        self.process.run(spec, gauge, stop).await
    }
}

/// A stage answered with the result of another one.
fn mismatch(stage: &str) -> Failure {
    Failure::retryable(format!("the {stage} stage answered with the result of another stage"))
}

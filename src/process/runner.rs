//! The port `StageRunner`: from a job or a plan to local files, through a stage process, and back to durable files.
//! Everything is idempotent: each step may have been done before, by this worker or by another one.

mod assemble;
mod split;
mod unit;

use std::sync::Arc;
use std::time::Duration;

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::domain::plan::PinnedPlan;
use actors::ports::{
    Answer, AssembleOutcome, AssembleRequest, OnProgress, RunStage, SplitRequest, UnitOutcome, UnitRequest,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::gauge::Gauge;
use super::proven::Proven;
use super::stage_process::{Launcher, StageProcess};
use crate::protocol::Stage;
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

impl RunStage<SplitRequest> for ProcessRunner {
    fn run(&self, request: SplitRequest, progress: OnProgress, stop: CancellationToken) -> Answer<Arc<PinnedPlan>> {
        let (inner, span) = (Arc::clone(&self.0), span(&request.job.job_id));
        Box::pin(async move { inner.split(&request, Gauge::new(progress), &stop).await }.instrument(span))
    }
}

impl RunStage<UnitRequest> for ProcessRunner {
    fn run(&self, request: UnitRequest, progress: OnProgress, stop: CancellationToken) -> Answer<UnitOutcome> {
        let (inner, span) = (Arc::clone(&self.0), span(&request.plan.job.job_id));
        Box::pin(async move { inner.unit(&request, Gauge::new(progress), &stop).await }.instrument(span))
    }
}

impl RunStage<AssembleRequest> for ProcessRunner {
    fn run(&self, request: AssembleRequest, progress: OnProgress, stop: CancellationToken) -> Answer<AssembleOutcome> {
        let (inner, span) = (Arc::clone(&self.0), span(&request.plan.job.job_id));
        Box::pin(async move { inner.assemble(&request, progress, &stop).await }.instrument(span))
    }
}

fn span(job_id: &JobId) -> tracing::Span {
    tracing::info_span!("stage", %job_id)
}

impl Inner {
    async fn process<S: Stage>(
        &self,
        spec: &S,
        gauge: &mut Gauge,
        stop: &CancellationToken,
    ) -> Result<S::Output, Failure> {
        self.process.run(spec, gauge, stop).await
    }
}

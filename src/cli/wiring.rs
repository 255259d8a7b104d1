//! What the commands need from the rest of the worker.

use std::process::ExitCode;
use std::sync::Arc;

use actors::domain::checkpoint::Checkpoint;
use actors::domain::failure::Failure;
use actors::domain::job::{JobId, JobSpec};
use actors::ports::{Answer, Capabilities, DeadLetters, JobStore, StatusSink, Store, TaskPublisher};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::process::check::{CheckOrder, CheckReport};

/// One job for this machine.
pub struct LocalJob {
    /// The job; it may be one that was begun before.
    pub job: JobSpec,
    /// Embedded broker, work storage in a directory.
    pub config: Config,
    /// The checkpoint store of the job, see [`LocalJobs::hold`].
    pub store: Arc<dyn Store>,
    /// Gets the reports, in place of the Transcoding Service. Its last one ends the command.
    pub sink: Arc<dyn StatusSink>,
}

/// What this machine knows of its own jobs. Nobody else looks, and nobody begins a job, as long as this lives.
pub trait LocalJobs {
    /// What is known of a job.
    ///
    /// # Errors
    /// `retryable` where another process does it.
    fn read(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure>;

    /// The store of a job. As long as it lives, this process is the only one that does the job.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn hold(&self, job_id: &JobId) -> Result<Arc<dyn Store>, Failure>;
}

/// The worker and its parts, each built when a command asks for it. Futures run on the command's own thread.
pub trait Wiring: Send + Sync {
    /// The pod: works until `stop`, then drains. `Ok` after a clean drain.
    fn run(&self, config: Config, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>>;

    /// A pod for one job: publishes it to its own broker, works until `stop`, then ends within the drain timeout.
    fn transcode(&self, order: LocalJob, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>>;

    /// The checkpoint store. Dropping it closes it.
    fn jobs(&self, config: &Config) -> Answer<Arc<dyn JobStore>>;

    /// The jobs of this machine. Blocks for some milliseconds.
    ///
    /// # Errors
    /// `retryable` where they cannot be looked at now.
    fn local_jobs(&self, config: &Config) -> Result<Box<dyn LocalJobs>, Failure>;

    /// The producer.
    ///
    /// # Errors
    /// `permanent` where librdkafka refuses the configuration.
    fn publisher(&self, config: &Config) -> Result<Arc<dyn TaskPublisher>, Failure>;

    /// The dead letters.
    ///
    /// # Errors
    /// `permanent` where librdkafka refuses the configuration.
    fn dead_letters(&self, config: &Config) -> Result<Arc<dyn DeadLetters>, Failure>;

    /// Tries everything that encodes or decodes, in stage processes.
    fn probe(&self, config: &Config) -> Answer<Capabilities>;

    /// Measures every way through the GPU against the CPU.
    fn gpu_check(&self, config: &Config, order: CheckOrder) -> Answer<CheckReport>;

    /// Writes, reads and removes a small object in the work storage.
    fn try_work_storage(&self, config: &Config) -> Answer<()>;

    /// The inside of a stage process, from spec to last event.
    fn stage(&self) -> ExitCode;
}

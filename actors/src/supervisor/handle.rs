//! What a worker is made of, and the hand that holds it.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;

use super::messages::{BeginDrain, EndNow};
use crate::domain::failure::Failure;
use crate::domain::record::TopicNames;
use crate::gpu::GpuSettings;
use crate::ports::{
    CapabilityProbe, Clock, ConnectSource, GpuMonitor, StageRunner, StatusSink, Store, TaskPublisher, WorkStorage,
};
use crate::status::Status;
use crate::work::PoolSize;

/// Everything outside of the worker.
#[derive(Clone)]
pub struct Adapters {
    /// Joins the consumer group.
    pub connect: ConnectSource,
    /// Records out.
    pub publisher: Arc<dyn TaskPublisher>,
    /// Checkpoints.
    pub store: Arc<dyn Store>,
    /// Plans and parts.
    pub work: Arc<dyn WorkStorage>,
    /// Runs pipelines.
    pub stages: Arc<dyn StageRunner>,
    /// Finds encoders.
    pub probe: Arc<dyn CapabilityProbe>,
    /// Reads GPUs.
    pub monitor: Arc<dyn GpuMonitor>,
    /// The Transcoding Service.
    pub sink: Arc<dyn StatusSink>,
    /// Time stamps.
    pub clock: Arc<dyn Clock>,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name: unique in the fleet, the same after a restart on the same machine where there is one.
    pub worker: String,
    /// Its encoders: `ENCODER_POOL_SIZE`, and 1 or 2 for stages that wait for disks.
    pub pool: PoolSize,
    /// Attempts of a task before its job fails, at least 1.
    pub max_attempts: u32,
    /// How long the lease of a task lives without renewal: after a crash its task waits so long.
    pub lease_ttl: Duration,
    /// How long work may go on after [`WorkerHandle::drain`].
    pub drain_timeout: Duration,
    /// The topics, for labels and dead letters.
    pub topics: TopicNames,
    /// How GPUs are used.
    pub gpu: GpuSettings,
    /// How long a job waits for a worker that has the versions of its plan.
    pub encoder_wait_timeout: Duration,
}

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was drained.
    Drained,
    /// It was stopped at once.
    Stopped,
    /// It could not go on.
    Failed(Failure),
}

impl Ended {
    /// Exit code of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Drained => 0,
            Self::Stopped | Self::Failed(_) => 1,
        }
    }
}

/// Holds a worker that runs. Dropping it changes nothing.
#[derive(Clone)]
pub struct WorkerHandle {
    drain: Recipient<BeginDrain>,
    stop: Recipient<EndNow>,
    ended: watch::Receiver<Option<Ended>>,
    status: watch::Receiver<Status>,
}

impl WorkerHandle {
    pub(super) fn new(
        drain: Recipient<BeginDrain>,
        stop: Recipient<EndNow>,
        ended: watch::Receiver<Option<Ended>>,
        status: watch::Receiver<Status>,
    ) -> Self {
        Self { drain, stop, ended, status }
    }

    /// Begins the drain: nothing more is started, what runs may end, then the worker leaves the group and ends.
    pub fn drain(&self) {
        self.drain.do_send(BeginDrain);
    }

    /// Ends the worker at once, as a crash would; what runs is done again elsewhere.
    pub fn stop(&self) {
        self.stop.do_send(EndNow);
    }

    /// Resolves when the worker has ended, with the reason.
    pub async fn ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let reason = ended.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        reason.unwrap_or_else(|| Ended::Failed(Failure::retryable("the supervisor panicked, see the error before")))
    }

    /// Follows the state of the worker, for `/healthz` and `/readyz`.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }
}

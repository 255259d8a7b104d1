//! Builds the worker from its parts, for the command line.

mod wiring;

use std::process::ExitCode;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::record::{Publication, Queue};
use actors::ports::{Answer, Capabilities, CapabilityProbe as _, DeadLetters, JobStore};
use actors::ports::{StatusSink, Store, SystemClock, TaskPublisher};
use actors::supervisor::{Adapters, Ended, Supervisor, WorkerHandle};
use futures_util::future::LocalBoxFuture;
use tokio_util::sync::CancellationToken;

use crate::admin::Admin;
use crate::cli::{LocalJob, LocalJobs, Wiring};
use crate::config::{Brokers, Config};
use crate::gpu::NvmlMonitor;
use crate::kafka::{
    DEFAULT_PARTITIONS, EmbeddedBroker, KafkaPublisher, LetterBox, PollClock, connector, ensure_topics,
};
use crate::process::check::{CheckOrder, CheckReport, check};
use crate::process::{Launcher, ProcessRunner, Proven, child_main};
use crate::storage::{Space, Storage};
use crate::{media, telemetry};

/// The worker of this package.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worker;

/// A worker that runs, and what has to live as long.
struct Running {
    handle: WorkerHandle,
    publisher: Arc<dyn TaskPublisher>,
    clock: PollClock,
    storage: Storage,
    _broker: Option<EmbeddedBroker>,
}

impl Wiring for Worker {
    fn run(&self, config: Config, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let metrics = telemetry::install_metrics().map_err(Failure::permanent)?;
            let sink = wiring::sink(&config)?;
            let running = start(&config, wiring::store(&config)?, sink).await?;
            let space = Space::default();
            let watching = actix_rt::spawn(running.storage.clone().watch_space(space.clone()));
            let health = wiring::health(running.handle.status(), running.clock.clone(), space);
            let admin = Admin::start(config.metrics_port, metrics.clone(), health)?;
            tracing::info!(address = %admin.address(), "admin endpoint listens");
            let sampling = actix_rt::spawn(telemetry::sample(metrics, stop.child_token()));
            let ended = work(&running, stop).await;
            sampling.abort();
            watching.abort();
            ended
        })
    }

    fn transcode(&self, order: LocalJob, stop: CancellationToken) -> LocalBoxFuture<'static, Result<(), Failure>> {
        Box::pin(async move {
            let LocalJob { job, config, store, sink } = order;
            let running = start(&config, store.clone(), sink).await?;
            let value = serde_json::to_vec(&job)
                .map_err(|error| Failure::permanent(format!("the job cannot be written as JSON: {error}")))?;
            let key = job.job_id.as_str().as_bytes().to_vec();
            let record = Publication { queue: Queue::Jobs, key, value: Some(value), headers: Vec::new() };
            running.publisher.publish(record).await?;
            let ended = work(&running, stop).await;
            if let Err(failure) = wiring::end_local(&config, store.as_ref(), &job.job_id).await {
                tracing::debug!(%failure, "the store of the job stays until it is asked for or expires");
            }
            ended
        })
    }

    fn jobs(&self, config: &Config) -> Answer<Arc<dyn JobStore>> {
        let store = wiring::store(config).map(|store| store as Arc<dyn JobStore>);
        Box::pin(std::future::ready(store))
    }

    fn local_jobs(&self, config: &Config) -> Result<Box<dyn LocalJobs>, Failure> {
        Ok(Box::new(wiring::job_stores(config)?))
    }

    fn publisher(&self, config: &Config) -> Result<Arc<dyn TaskPublisher>, Failure> {
        let (settings, _) = wiring::kafka(&config.kafka, "gstreamer-worker-cli")?;
        Ok(Arc::new(KafkaPublisher::new(&settings)?))
    }

    fn dead_letters(&self, config: &Config) -> Result<Arc<dyn DeadLetters>, Failure> {
        let (settings, _) = wiring::kafka(&config.kafka, "gstreamer-worker-cli")?;
        Ok(Arc::new(LetterBox::new(&settings)?))
    }

    fn probe(&self, config: &Config) -> Answer<Capabilities> {
        wiring::probe(config, NvmlMonitor::start(), Proven::default()).probe()
    }

    fn gpu_check(&self, config: &Config, order: CheckOrder) -> Answer<CheckReport> {
        let probe = wiring::probe(config, NvmlMonitor::start(), Proven::default());
        Box::pin(async move { check(&probe, &Launcher::own_binary(), &order).await })
    }

    fn try_work_storage(&self, config: &Config) -> Answer<()> {
        let opened = wiring::storage(config).map(|_| ());
        Box::pin(std::future::ready(opened))
    }

    fn stage(&self) -> ExitCode {
        child_main(media::dispatch)
    }
}

async fn start(config: &Config, store: Arc<dyn Store>, sink: Arc<dyn StatusSink>) -> Result<Running, Failure> {
    let worker = wiring::worker_name();
    telemetry::name_worker(&worker);
    let (kafka, broker) = wiring::kafka(&config.kafka, &worker)?;
    if matches!(config.kafka.brokers, Brokers::Cluster(_)) {
        let made = ensure_topics(&kafka, DEFAULT_PARTITIONS).await?;
        if !made.is_empty() {
            tracing::info!(topics = made.join(" "), "made topics that were missing");
        }
    }
    let storage = wiring::storage(config)?;
    let publisher: Arc<dyn TaskPublisher> = Arc::new(KafkaPublisher::new(&kafka)?);
    let clock = PollClock::default();
    let (proven, monitor) = (Proven::default(), NvmlMonitor::start());
    let adapters = Adapters {
        connect: connector(kafka, clock.clone()),
        publisher: Arc::clone(&publisher),
        store,
        work: Arc::new(storage.clone()),
        stages: Arc::new(ProcessRunner::new(storage.clone(), wiring::runner(config, &worker, proven.clone()))),
        probe: Arc::new(wiring::probe(config, monitor.clone(), proven)),
        monitor: Arc::new(monitor),
        sink,
        clock: Arc::new(SystemClock),
    };
    tracing::info!(%worker, pool_size = config.pool_size, "worker starts");
    let handle = Supervisor::start(adapters, wiring::settings(config, &worker));
    Ok(Running { handle, publisher, clock, storage, _broker: broker })
}

/// Until the worker ends by itself or is asked to.
async fn work(running: &Running, stop: CancellationToken) -> Result<(), Failure> {
    let ended = tokio::select! {
        ended = running.handle.ended() => ended,
        () = stop.cancelled() => {
            running.handle.drain();
            running.handle.ended().await
        }
    };
    match ended {
        Ended::Drained => Ok(()),
        Ended::Stopped => Err(Failure::interrupted("the worker was stopped")),
        Ended::Failed(failure) => Err(failure),
    }
}

//! Wiring: what a worker consists of, made from its configuration.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actors::domain::checkpoint::Checkpoint;
use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::domain::record::TopicNames;
use actors::gpu::GpuSettings;
use actors::ports::{StatusSink, Store};
use actors::status::Status;
use actors::supervisor::Settings;
use actors::work::PoolSize;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::admin::{AskHealth, Health};
use crate::cli::LocalJobs;
use crate::config::{self, Brokers, Config, Gpu};
use crate::gpu::{Inventory, NvmlMonitor};
use crate::kafka::{self, EmbeddedBroker, KafkaSettings, PollClock};
use crate::process::{DeviceProbe, Launcher, ProcessProbe, Proven, RunnerSettings, Wanted};
use crate::service::{HttpService, NoService, ServiceSettings};
use crate::storage::{MIN_FREE_BYTES, Space, Storage, file_path};
use crate::store::{EmbeddedStore, JobStores, RedisSettings, RedisStore};

/// A task whose worker died waits this long. Renewed three times as often; a pause of the machine of some seconds
/// must not lose it.
const LEASE_TTL: Duration = Duration::from_secs(15);
/// Slots for stages that wait for disks: one can write an output while another one cuts an input.
const IO_SLOTS: usize = 2;
/// A poll thread that did not poll for this time is stuck: it polls many times a second.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);
/// Directory of the embedded stores inside the work directory. No job id begins with a dot.
const STORE_DIRECTORY: &str = ".store";

/// Name of this process in the fleet. In a pod the process id is always the same, so that a container that was
/// started again has its leases back at once.
pub(super) fn worker_name() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| Some(std::fs::read_to_string("/etc/hostname").ok()?.trim().to_owned()));
    format!("{}-{}", host.as_deref().unwrap_or("worker"), std::process::id())
}

/// Kafka as the configuration has it; the broker where it is to be in this process.
pub(super) fn kafka(config: &config::Kafka, worker: &str) -> Result<(KafkaSettings, Option<EmbeddedBroker>), Failure> {
    let (settings, broker) = match &config.brokers {
        Brokers::Cluster(brokers) => (KafkaSettings::new(brokers.clone(), worker), None),
        Brokers::Embedded => {
            let broker = EmbeddedBroker::start_with(&kafka::Topics::of(&config.topic), kafka::EMBEDDED_PARTITIONS)?;
            (KafkaSettings::embedded(broker.brokers(), worker), Some(broker))
        }
    };
    let mut settings = KafkaSettings { topic: config.topic.clone(), group_id: config.group_id.clone(), ..settings };
    let given = config.properties.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
    settings.extra.extend(given);
    settings.check()?;
    Ok((settings, broker))
}

/// The work storage.
pub(super) fn storage(config: &Config) -> Result<Storage, Failure> {
    Storage::open(config.work_url.as_str())
}

/// The checkpoint store. Opening the embedded one blocks for some milliseconds.
pub(super) fn store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.store {
        config::Store::Redis { host, port, password } => {
            let password = password.as_ref().map(|secret| secret.expose().to_owned());
            let settings = RedisSettings { password, ..RedisSettings::new(host.clone(), *port) };
            Ok(Arc::new(RedisStore::new(&settings, config.checkpoint_ttl)?))
        }
        config::Store::Embedded => Ok(Arc::new(EmbeddedStore::open(&store_directory(config)?, config.checkpoint_ttl)?)),
    }
}

/// What this machine knows of its own jobs. Opening it blocks as [`store`] does.
pub(super) fn job_stores(config: &Config) -> Result<JobStores, Failure> {
    JobStores::open(&store_directory(config)?, config.checkpoint_ttl)
}

impl LocalJobs for JobStores {
    fn read(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        Self::read(self, job_id)
    }

    fn hold(&self, job_id: &JobId) -> Result<Arc<dyn Store>, Failure> {
        Ok(Arc::new(Self::hold(self, job_id)?))
    }
}

/// Keeps the job with those that ended, if it has. `store` is its own one, which is still open.
pub(super) async fn end_local(config: &Config, store: &dyn Store, job_id: &JobId) -> Result<(), Failure> {
    match store.read(job_id.clone()).await? {
        Some(ended) if ended.status.is_terminal() => job_stores(config)?.end(ended),
        Some(_) | None => Ok(()),
    }
}

fn store_directory(config: &Config) -> Result<PathBuf, Failure> {
    let work = file_path(config.work_url.as_str()).ok_or_else(|| {
        Failure::permanent(format!(
            "the embedded store lies in the work storage, and {} is no local directory: set REDIS_HOST",
            config.work_url
        ))
    })?;
    Ok(work.join(STORE_DIRECTORY))
}

/// Who is told.
pub(super) fn sink(config: &Config) -> Result<Arc<dyn StatusSink>, Failure> {
    match &config.service {
        Some(service) => {
            let settings = ServiceSettings::new(service.url.clone(), service.token.clone());
            Ok(Arc::new(HttpService::start(settings)?))
        }
        None => Ok(Arc::new(NoService)),
    }
}

/// How stages are run.
pub(super) fn runner(config: &Config, worker: &str, proven: Proven) -> RunnerSettings {
    RunnerSettings {
        chunk_seconds: config.chunk_seconds.get(),
        parallelism: config.job_parallelism.get(),
        stall_timeout: config.stall_timeout,
        worker: worker.into(),
        launcher: Launcher::own_binary(),
        proven,
    }
}

/// Looks at what this machine can do; writes to `proven` what its devices do beside encoding.
pub(super) fn probe(config: &Config, monitor: NvmlMonitor, proven: Proven) -> ProcessProbe {
    let wanted = match config.gpu {
        config::Gpu::Off => Wanted::Never,
        config::Gpu::Auto => Wanted::IfThere,
        config::Gpu::On => Wanted::Expected,
    };
    let list = Arc::new(move || {
        let monitor = monitor.clone();
        Box::pin(async move {
            let Inventory { devices, findings } = monitor.inventory().await;
            (devices, findings)
        }) as BoxFuture<'static, _>
    });
    ProcessProbe::new(Launcher::own_binary(), DeviceProbe::new(wanted, list, proven))
}

/// How the actors work.
pub(super) fn settings(config: &Config, worker: &str) -> Settings {
    Settings {
        worker: worker.into(),
        pool: PoolSize { cpu: config.pool_size.get(), io: IO_SLOTS },
        max_attempts: config.max_attempts.get(),
        lease_ttl: LEASE_TTL,
        drain_timeout: config.drain_timeout,
        topics: TopicNames::after(&config.kafka.topic),
        gpu: GpuSettings {
            enabled: config.gpu != Gpu::Off,
            sessions: config.gpu_sessions.map(NonZeroU32::get),
            wait_timeout: config.gpu_wait_timeout,
        },
        encoder_wait_timeout: config.encoder_wait_timeout,
    }
}

/// What the probes of Kubernetes are told.
pub(super) fn health(status: watch::Receiver<Status>, clock: PollClock, space: Space) -> AskHealth {
    Arc::new(move || {
        let status = status.borrow();
        let mut health = Health::default();
        let mut not_live = |wrong: bool, reason: &str| wrong.then(|| health.not_live.push(reason.into()));
        not_live(!status.live(), "the actors ended or are stuck");
        not_live(Instant::now().duration_since(clock.last_poll()) > POLL_TIMEOUT, "the Kafka thread is stuck");
        let mut not_ready = |wrong: bool, reason: &str| wrong.then(|| health.not_ready.push(reason.into()));
        not_ready(status.ended, "the worker ended");
        not_ready(status.draining, "the worker is draining");
        not_ready(!status.capable, "no encoder was seen to work");
        not_ready(status.store_away, "the checkpoint store does not answer, work waits for it");
        not_ready(status.broker_away, "Kafka does not answer, nothing new comes");
        not_ready(status.assigned.is_none(), "the consumer group has not given it any partition yet");
        if let Some(lost) = &status.device_lost {
            health.not_ready.push(format!("a device is lost, restart this worker or its machine: {lost}"));
        }
        if space.is_short() {
            let least = MIN_FREE_BYTES >> 20;
            health.not_ready.push(format!("the work storage has less than {least} MiB free, free some"));
        }
        health
    })
}

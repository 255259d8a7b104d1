//! Workers with everything outside of them in memory: the harness of the tests. Meant for virtual time
//! (`tokio::time::pause()`): a job of minutes takes milliseconds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::chronicle::Chronicle;
use super::faulty::faulty;
use super::life::Life;
use super::log::FakeLog;
use super::service::{FakeMachine, FakeMonitor, FakeService, VirtualClock};
use super::stages::FakeStages;
use super::store::FakeStore;
use crate::domain::job::{JobId, JobSpec};
use crate::domain::progress::Report;
use crate::domain::record::TopicNames;
use crate::gpu::GpuSettings;
use crate::ports::Store;
use crate::supervisor::{Adapters, Settings, Supervisor, WorkerHandle};
use crate::work::PoolSize;

/// A fleet that shares a broker, a store, a work storage and a service.
#[derive(Clone)]
pub struct Fleet {
    /// The broker.
    pub log: FakeLog,
    /// The checkpoint store.
    pub store: FakeStore,
    /// Stages and work storage.
    pub stages: FakeStages,
    /// The Transcoding Service.
    pub service: FakeService,
    /// What the machines can do.
    pub machine: FakeMachine,
    /// What GPUs show.
    pub monitor: FakeMonitor,
    /// The time.
    pub clock: VirtualClock,
    /// What happens to all of them.
    pub chronicle: Chronicle,
}

impl Default for Fleet {
    fn default() -> Self {
        let (chronicle, clock) = (Chronicle::default(), VirtualClock::default());
        Self {
            log: FakeLog::writing(&chronicle),
            store: FakeStore::writing(&chronicle, clock),
            stages: FakeStages::writing(&chronicle),
            service: FakeService::writing(&chronicle),
            machine: FakeMachine::default(),
            monitor: FakeMonitor::default(),
            clock,
            chronicle,
        }
    }
}

impl Fleet {
    /// Everything that a worker of this fleet needs.
    pub fn adapters(&self, worker: &str) -> Adapters {
        self.adapters_of(worker, &Life::default())
    }

    /// Everything that a worker with a life of its own needs.
    fn adapters_of(&self, worker: &str, life: &Life) -> Adapters {
        Adapters {
            connect: self.log.connect(worker),
            publisher: Arc::new(self.log.clone()),
            store: Arc::new(self.store.clone()) as Arc<dyn Store>,
            work: Arc::new(self.stages.of_worker(worker, life)),
            stages: Arc::new(self.stages.of_worker(worker, life)),
            probe: Arc::new(self.machine.of_worker(worker)),
            monitor: Arc::new(self.monitor.clone()),
            sink: Arc::new(self.service.of_worker(worker)),
            clock: Arc::new(self.clock),
        }
    }

    /// Starts a worker with two encoders.
    pub fn worker(&self, name: &str) -> WorkerHandle {
        Supervisor::start(self.adapters(name), settings(name))
    }

    /// Starts a worker that can die at any of its calls. Nobody stops what is left of it then.
    pub fn faulty(&self, settings: Settings, life: &Life) -> WorkerHandle {
        let adapters = self.adapters_of(&settings.worker, life);
        Supervisor::start(faulty(adapters, life), settings)
    }

    /// A worker dies without a word.
    pub fn crash(&self, name: &str, worker: &WorkerHandle) {
        self.log.cut(name);
        worker.stop();
    }

    /// Submits a job and returns its id.
    pub fn submit(&self, job: &JobSpec) -> JobId {
        self.log.submit(job);
        job.job_id.clone()
    }

    /// Waits until the service has the last report of a job.
    ///
    /// # Panics
    /// Where that takes two hours.
    pub async fn last_report(&self, job_id: &JobId) -> Report {
        until(&format!("the last report of {job_id}"), || self.service.last_of(job_id).is_some()).await;
        self.service.last_of(job_id).unwrap_or_else(|| panic!("{job_id} has a last report"))
    }

    /// Waits until every record of jobs and tasks is finished and committed.
    ///
    /// # Panics
    /// Where that takes two hours.
    pub async fn quiet(&self) {
        until("the end of all work", || self.log.lag() == 0).await;
    }
}

/// Settings with a pool of 2 encoders and 1 for disks, 3 attempts, leases and drains of 30 s.
pub fn settings(worker: &str) -> Settings {
    Settings {
        worker: worker.into(),
        pool: PoolSize { cpu: 2, io: 1 },
        max_attempts: 3,
        lease_ttl: Duration::from_secs(30),
        drain_timeout: Duration::from_secs(30),
        topics: TopicNames::after("transcoding"),
        gpu: GpuSettings::default(),
        encoder_wait_timeout: Duration::from_secs(1800),
    }
}

/// Waits until something is so.
///
/// # Panics
/// Where that takes two hours.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(2 * 3600);
    while !so() {
        assert!(Instant::now() < deadline, "waited two hours for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

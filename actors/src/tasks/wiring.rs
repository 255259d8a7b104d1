//! Makes the small structs that tasks are worked on with, each from the ports and settings that it needs. Must never do
//! anything else.

use std::sync::Arc;
use std::time::Duration;

use super::assemble::AssembleContext;
use super::attempt::Attempts;
use super::cancel::Cancels;
use super::dead_letters::DeadLetters;
use super::device::Devices;
use super::early::EarlyCancels;
use super::ending::Endings;
use super::execution::Execution;
use super::full::FullStorage;
use super::job_state::JobStates;
use super::jobs::Jobs;
use super::lease::Leases;
use super::parts::Parts;
use super::plans::Plans;
use super::policy::PolicyContext;
use super::refuse::RefuseContext;
use super::resplit::ResplitContext;
use super::split::SplitContext;
use super::stage::Stages;
use super::successors::Successors;
use super::unit::UnitContext;
use super::versions::Handover;
use super::waiting::Waiting;
use super::workers::Workers;
use crate::domain::record::TopicNames;
use crate::gpu::Gpu;
use crate::in_flight::InFlight;
use crate::ports::{Clock, StageRunner, Store, TaskPublisher, WorkStorage};
use crate::versions::OwnVersions;

/// How tasks are worked on.
#[derive(Clone, Debug)]
pub struct TaskSettings {
    /// Name of this worker: owner of its leases.
    pub worker: String,
    /// Attempts of a task before its job fails, at least 1.
    pub max_attempts: u32,
    /// How long a lease lives without renewal; it is renewed after a third.
    pub lease_ttl: Duration,
    /// For the origin in dead letters.
    pub topics: TopicNames,
    /// How long a job waits for a worker that has the versions of its plan.
    pub encoder_wait_timeout: Duration,
}

/// What tasks reach outside, and what they share with the actors.
#[derive(Clone)]
pub struct TaskPorts {
    /// Checkpoints; retries while the store is away.
    pub store: Arc<dyn Store>,
    /// Plans and parts.
    pub work: Arc<dyn WorkStorage>,
    /// Runs pipelines.
    pub stages: Arc<dyn StageRunner>,
    /// Successors and dead letters; retries while the broker is away.
    pub publisher: Arc<dyn TaskPublisher>,
    /// Time stamps.
    pub clock: Arc<dyn Clock>,
    /// What runs here, for the reporter.
    pub in_flight: InFlight,
    /// The devices of this worker.
    pub gpu: Gpu,
    /// The versions of the encoders of this worker.
    pub versions: OwnVersions,
}

/// What each kind of task is worked on with.
pub struct Tasks {
    pub(super) split: SplitContext,
    pub(super) unit: UnitContext,
    pub(super) assemble: AssembleContext,
    pub(super) refuse: RefuseContext,
    pub(super) policy: PolicyContext,
    cancels: Cancels,
}

impl Tasks {
    /// Tasks over these ports.
    pub fn new(ports: TaskPorts, settings: TaskSettings) -> Self {
        let jobs = jobs(&ports, &settings);
        let execution = execution(&ports, &settings, &jobs);
        let waiting = Waiting::new(jobs.states.clone(), ports.in_flight);
        let workers = Workers::new(ports.store, settings.worker, ports.versions);
        let devices =
            Devices { gpu: ports.gpu, workers: workers.clone(), waiting: waiting.clone(), clock: ports.clock.clone() };
        let handover = Handover {
            workers,
            successors: jobs.successors.clone(),
            waiting,
            clock: ports.clock,
            wait_timeout: settings.encoder_wait_timeout,
        };
        let dead_letters = DeadLetters::new(ports.publisher, settings.topics);
        let early_cancels = EarlyCancels::default();
        let resplit = ResplitContext { jobs: jobs.clone(), execution: execution.clone(), work: ports.work.clone() };
        Self {
            cancels: Cancels::new(early_cancels.clone(), jobs.states.clone(), jobs.endings.clone()),
            split: SplitContext {
                jobs: jobs.clone(),
                execution: execution.clone(),
                devices: devices.clone(),
                work: ports.work,
                early_cancels,
                dead_letters: dead_letters.clone(),
            },
            unit: UnitContext {
                jobs: jobs.clone(),
                execution: execution.clone(),
                devices,
                handover,
                resplit: resplit.clone(),
            },
            assemble: AssembleContext { jobs: jobs.clone(), execution: execution.clone(), resplit },
            refuse: RefuseContext { jobs: jobs.clone(), dead_letters: dead_letters.clone() },
            policy: PolicyContext {
                jobs,
                attempts: execution.attempts,
                dead_letters,
                full_storage: FullStorage::default(),
            },
        }
    }

    /// What cancels jobs of these tasks.
    pub fn cancels(&self) -> Cancels {
        self.cancels.clone()
    }
}

fn jobs(ports: &TaskPorts, settings: &TaskSettings) -> Jobs {
    let states = JobStates::new(ports.store.clone(), ports.clock.clone());
    let plans = Plans::new(ports.work.clone());
    let endings = Endings {
        states: states.clone(),
        plans: plans.clone(),
        work: ports.work.clone(),
        in_flight: ports.in_flight.clone(),
        worker: settings.worker.clone(),
    };
    let parts = Parts::new(ports.store.clone(), ports.work.clone(), ports.clock.clone());
    Jobs { states, plans, parts, successors: Successors::new(ports.publisher.clone()), endings }
}

fn execution(ports: &TaskPorts, settings: &TaskSettings, jobs: &Jobs) -> Execution {
    Execution {
        leases: Leases::new(ports.store.clone(), settings.worker.clone(), settings.lease_ttl),
        attempts: Attempts::new(ports.store.clone(), settings.max_attempts),
        stages: Stages::new(ports.stages.clone(), jobs.states.clone()),
        in_flight: ports.in_flight.clone(),
    }
}

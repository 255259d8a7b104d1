//! What is done with a piece of work, as plain async functions over the ports: no actor, so that each can be tested alone.
//!
//! Every function here may run twice, anywhere, at any time. The order inside each of them is what makes that safe:
//! durable output, then checkpoint, then successors acknowledged, and only then [`Disposition::Finished`].
//!
//! * `split`: a job message, to its plan and the first tasks
//! * `unit`: a chunk or the audio track, to its part and what follows
//! * `device`: where a chunk is encoded, by a device or by the CPU, and what waits for a GPU
//! * `family`: parts of a rendition that must be of one encoder family and are not
//! * `assemble`: the parts, to the outputs
//! * `resplit`: the input is cut again for a source that was lost
//! * `refuse`: what is not work, to the dead letters
//! * `pin`: what the plans of a job are made with; `versions`: units that need another version of an encoder than this worker has
//! * `job_state`: what a task finds: its checkpoint and plan, rebuilt where the store was emptied
//! * `policy`: failures, by their class; `attempt`: the one that runs
//! * `ending`: the end of a job; `early`: one that is cancelled before it comes;
//!   `full`: what is said of a full storage; `lease`: work is not done twice; `plans`: a small cache; `tally`: metrics

mod assemble;
mod attempt;
mod device;
mod early;
mod ending;
mod family;
mod full;
mod job_state;
mod lease;
mod pin;
mod plans;
mod policy;
mod publisher;
mod refuse;
mod resplit;
mod split;
mod tally;
mod unit;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

pub use early::EarlyCancels;
pub use full::FullStorage;
pub use plans::Plans;
pub use publisher::PatientPublisher;

use crate::domain::checkpoint::Timestamp;
use crate::domain::failure::Failure;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::record::{Publication, Queue, TopicNames};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::gpu::Gpu;
use crate::in_flight::InFlight;
use crate::ports::{Clock, StageRunner, Store, TaskPublisher, WorkStorage};
use crate::versions::OwnVersions;
use crate::work::{Deferral, Disposition, Execute, Work};

use attempt::Attempt;
use tally::Outcome as TaskOutcome;

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

/// Everything that work needs.
#[derive(Clone)]
pub struct Workbench {
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
    /// Plans that were read lately.
    pub plans: Plans,
    /// Cancellations of jobs that nobody has seen yet.
    pub early_cancels: EarlyCancels,
    /// What was said of full storages.
    pub full_storage: FullStorage,
    /// The devices of this worker.
    pub gpu: Gpu,
    /// The versions of the encoders of this worker.
    pub versions: OwnVersions,
    /// How it is done.
    pub settings: TaskSettings,
}

/// How a handler ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It did its work.
    Done,
    /// There was nothing to do: done before, stale, or the job has ended.
    Nothing,
    /// It could not begin or go on, and comes back.
    Deferred(Deferral),
    /// It is left to a worker that has the versions of its plan.
    Left,
}

impl Workbench {
    /// Works on a delivery to its end. Never fails: what goes wrong is dealt with by its class.
    pub async fn run(&self, execute: &Execute) -> Disposition {
        let began = Instant::now();
        let mut attempt = Attempt::default();
        let result = self.step(execute, &mut attempt).await;
        let (end, outcome) = match result {
            Ok(Step::Done) => (Disposition::Finished, TaskOutcome::Done),
            Ok(Step::Nothing) => (Disposition::Finished, TaskOutcome::Nothing),
            // Not counted: it comes back every second and would drown the rest.
            Ok(Step::Deferred(deferral)) => return Disposition::Deferred(deferral),
            Ok(Step::Left) => (Disposition::Finished, TaskOutcome::Left),
            Err(failure) => self.after_failure(execute, attempt, failure).await,
        };
        tally::task(execute.work.stage(), outcome, began.elapsed());
        end
    }

    async fn step(&self, execute: &Execute, attempt: &mut Attempt) -> Result<Step, Failure> {
        if execute.stop.is_cancelled() {
            return Err(Failure::interrupted("the work was stopped before it began"));
        }
        match &execute.work {
            Work::Job(job) => self.split(execute, job, attempt).await,
            Work::Task(task) => match task.unit() {
                Some(unit) => self.unit(execute, task, unit, attempt).await,
                None => self.assemble(execute, task, attempt).await,
            },
            Work::Refused(refusal) => self.refuse(execute, refusal).await,
        }
    }

    /// Publishes the tasks of `units`, with `on_cpu` for the CPU; returns when all are acknowledged.
    async fn publish_units(
        &self,
        plan: &PinnedPlan,
        units: impl IntoIterator<Item = UnitId>,
        on_cpu: bool,
    ) -> Result<(), Failure> {
        for unit in units {
            self.publish(plan, &Task::for_unit(&plan.job.job_id, plan.fingerprint(), unit).by_cpu(on_cpu)).await?;
        }
        Ok(())
    }

    async fn publish(&self, plan: &Plan, task: &Task) -> Result<(), Failure> {
        let value = serde_json::to_vec(task)
            .map_err(|error| Failure::permanent(format!("writing the task {} as JSON: {error}", task.key())))?;
        let record = Publication {
            queue: queue_for(plan, task),
            key: task.record_key().into_bytes(),
            value: Some(value),
            headers: Vec::new(),
        };
        self.publisher.publish(record).await
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The topic of a task. Sound and assemblies need no device, whatever the plan says.
fn queue_for(plan: &Plan, task: &Task) -> Queue {
    let by_device = matches!(task, Task::Encode { on_cpu: false, .. }) && plan.uses_device();
    if by_device { Queue::Gpu } else { Queue::Cpu }
}

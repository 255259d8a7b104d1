//! The tasks that follow a step of a job. Each call returns when all of them are acknowledged.

use std::sync::Arc;

use super::parts::Parts;
use crate::domain::failure::Failure;
use crate::domain::plan::{PinnedPlan, Plan};
use crate::domain::record::{Publication, Queue};
use crate::domain::task::Task;
use crate::domain::unit::UnitId;
use crate::ports::TaskPublisher;

/// Publishes tasks.
#[derive(Clone)]
pub(super) struct Successors {
    publisher: Arc<dyn TaskPublisher>,
}

impl Successors {
    pub fn new(publisher: Arc<dyn TaskPublisher>) -> Self {
        Self { publisher }
    }

    /// Publishes the tasks of `units`, with `on_cpu` for the CPU.
    pub async fn units(
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

    pub async fn publish(&self, plan: &Plan, task: &Task) -> Result<(), Failure> {
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
}

/// Publishes what follows a unit whose part is recorded, with `on_cpu` for the CPU.
pub(super) async fn publish_after_unit(
    successors: &Successors,
    parts: &Parts,
    plan: &PinnedPlan,
    unit: UnitId,
    mut units_done: u32,
    on_cpu: bool,
) -> Result<(), Failure> {
    let next = plan.after_unit(unit);
    if next.is_none() && units_done < plan.num_units() {
        // The last unit of a job is the end of a chain. The ends look into the work storage, which knows the parts that
        // a store has lost meanwhile; otherwise nobody would ever see that all are there.
        units_done = parts.restore(plan).await?;
    }
    successors.units(plan, next, on_cpu).await?;
    if units_done >= plan.num_units() {
        let (job_id, fingerprint) = (plan.job.job_id.clone(), plan.fingerprint().clone());
        successors.publish(plan, &Task::Assemble { job_id, fingerprint }).await?;
    }
    Ok(())
}

/// The topic of a task. Sound and assemblies need no device, whatever the plan says.
fn queue_for(plan: &Plan, task: &Task) -> Queue {
    let by_device = matches!(task, Task::Encode { on_cpu: false, .. }) && plan.uses_device();
    if by_device { Queue::Gpu } else { Queue::Cpu }
}

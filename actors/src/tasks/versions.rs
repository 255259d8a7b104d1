//! Units that need another version of an encoder than this worker has: they are left to workers that have it.
//!
//! The task is published again under another key, so that it lands in another partition, and counts as finished here. No
//! attempt is counted.
//!
//! | who has the version | what happens |
//! |---|---|
//! | a living worker | the task goes on at once; after some of that it waits a moment before each step, because the others have enough to do |
//! | nobody | `waiting_for` says what is missing; the task goes on after waits that grow, and after `ENCODER_WAIT_TIMEOUT` the job fails |

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::step::Step;
use super::successors::Successors;
use super::waiting::Waiting;
use super::workers::Workers;
use crate::domain::backoff::Backoff;
use crate::domain::checkpoint::{Checkpoint, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::plan::{EncoderVersions, Plan};
use crate::domain::task::{PassedOn, Task};
use crate::ports::{Clock, WorkerInfo};
use crate::work::Deferral;

/// Steps that a task takes at once: among two workers one of them ends at the right one.
const QUICK_STEPS: u32 = 16;

/// Leaves tasks to other workers.
#[derive(Clone)]
pub(super) struct Handover {
    pub workers: Workers,
    pub successors: Successors,
    pub waiting: Waiting,
    pub clock: Arc<dyn Clock>,
    /// How long a job waits for a worker that has the versions of its plan.
    pub wait_timeout: Duration,
}

impl Handover {
    /// Leaves `task` to workers that have the versions `needed`. `deferrals`: how often it was deferred here.
    pub async fn leave(
        &self,
        deferrals: u32,
        seen: &Checkpoint,
        plan: &Plan,
        task: Task,
        needed: &EncoderVersions,
    ) -> Result<Step, Failure> {
        let passed = task.passed_on();
        let others = self.workers.others().await?;
        if others.iter().any(|other| other.capabilities.makes(needed)) {
            if passed.times >= QUICK_STEPS && deferrals == 0 {
                return Ok(Step::Deferred(Deferral::For(Backoff::PASS.jittered(1))));
            }
            return self.pass_on(plan, task, None).await;
        }
        let since = passed.alone_since.unwrap_or_else(|| self.clock.now());
        let waited = (self.clock.now() - since).to_std().unwrap_or_default();
        let own = self.workers.own();
        let missing = missing(needed, &own, &others);
        if waited >= self.wait_timeout {
            return Err(waited_too_long(waited, &missing, &own, &others));
        }
        tracing::warn!(job_id = %seen.job_id, task = task.key(), %missing, waited = waited.as_secs(), "no living worker has the encoders of the plan, the job waits");
        self.waiting.show(seen, format!("a worker with {missing}")).await?;
        if passed.alone_since.is_some() && deferrals == 0 {
            // About half as long as it has waited by now.
            let delay = Backoff::SPACE.jittered(waited.as_secs().checked_ilog2().unwrap_or(0));
            return Ok(Step::Deferred(Deferral::For(delay)));
        }
        self.pass_on(plan, task, Some(since)).await
    }

    async fn pass_on(&self, plan: &Plan, task: Task, alone_since: Option<Timestamp>) -> Result<Step, Failure> {
        let times = task.passed_on().times.saturating_add(1);
        self.successors.publish(plan, &task.with_passed_on(PassedOn { times, alone_since })).await?;
        Ok(Step::Left)
    }
}

/// Of `needed`, what no living worker has; all of it where only no single one has it together.
fn missing(needed: &EncoderVersions, own: &EncoderVersions, others: &[WorkerInfo]) -> EncoderVersions {
    let all = others.iter().map(|other| &other.capabilities.versions).chain([own]);
    let missing = all.fold(needed.clone(), |missing, versions| versions.lacks(&missing));
    if missing.is_empty() { needed.clone() } else { missing }
}

fn waited_too_long(
    waited: Duration,
    missing: &EncoderVersions,
    own: &EncoderVersions,
    others: &[WorkerInfo],
) -> Failure {
    let all = others.iter().map(|other| &other.capabilities.versions).chain([own]);
    let theirs = all.flat_map(|versions| versions.iter().filter(|(name, _)| missing.get(name).is_some()));
    let theirs: BTreeSet<String> = theirs.map(|(name, version)| format!("{name} {version}")).collect();
    let have = match theirs.is_empty() {
        true => "living workers have none of that kind".to_owned(),
        false => format!("living workers have {}", theirs.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Failure::permanent(format!(
        "encoders: the job was planned with {missing}, and no living worker makes that; it waited {} s for one \
         (ENCODER_WAIT_TIMEOUT), and {have}: start a worker of the image that has it, or give the job again (`requeue`): it is \
         then planned anew",
        waited.as_secs()
    ))
}

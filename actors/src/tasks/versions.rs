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
use std::time::Duration;

use super::{Step, Workbench};
use crate::domain::backoff::Backoff;
use crate::domain::checkpoint::{Advance, Checkpoint, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::plan::{EncoderVersions, Plan};
use crate::domain::task::{PassedOn, Task};
use crate::ports::WorkerInfo;
use crate::work::Deferral;

/// Steps that a task takes at once: among two workers one of them ends at the right one.
const QUICK_STEPS: u32 = 16;

impl Workbench {
    /// The living workers but this one.
    pub(super) async fn others(&self) -> Result<Vec<WorkerInfo>, Failure> {
        let mut workers = self.store.workers().await?;
        workers.retain(|other| other.worker != self.settings.worker);
        Ok(workers)
    }

    /// Leaves `task` to workers that have the versions `needed`. `deferrals`: how often it was deferred here.
    pub(super) async fn leave(
        &self,
        deferrals: u32,
        seen: &Checkpoint,
        plan: &Plan,
        task: Task,
        needed: &EncoderVersions,
    ) -> Result<Step, Failure> {
        let passed = task.passed_on();
        let others = self.others().await?;
        if others.iter().any(|other| other.capabilities.makes(needed)) {
            if passed.times >= QUICK_STEPS && deferrals == 0 {
                return Ok(Step::Deferred(Deferral::For(Backoff::PASS.jittered(1))));
            }
            return self.pass_on(plan, task, None).await;
        }
        let since = passed.alone_since.unwrap_or_else(|| self.now());
        let waited = (self.now() - since).to_std().unwrap_or_default();
        let missing = self.missing(needed, &others);
        if waited >= self.settings.encoder_wait_timeout {
            return Err(self.waited_too_long(waited, &missing, &others));
        }
        tracing::warn!(job_id = %seen.job_id, task = task.key(), %missing, waited = waited.as_secs(), "no living worker has the encoders of the plan, the job waits");
        self.tell_wait(seen, format!("a worker with {missing}")).await?;
        if passed.alone_since.is_some() && deferrals == 0 {
            // About half as long as it has waited by now.
            return Ok(Step::Deferred(Deferral::For(
                Backoff::SPACE.jittered(waited.as_secs().checked_ilog2().unwrap_or(0)),
            )));
        }
        self.pass_on(plan, task, Some(since)).await
    }

    async fn pass_on(&self, plan: &Plan, task: Task, alone_since: Option<Timestamp>) -> Result<Step, Failure> {
        let times = task.passed_on().times.saturating_add(1);
        self.publish(plan, &task.with_passed_on(PassedOn { times, alone_since })).await?;
        Ok(Step::Left)
    }

    /// Of `needed`, what no living worker has; all of it where only no single one has it together.
    fn missing(&self, needed: &EncoderVersions, others: &[WorkerInfo]) -> EncoderVersions {
        let own = self.versions.get();
        let all = || others.iter().map(|other| &other.capabilities.versions).chain([&own]);
        let missing = all().fold(needed.clone(), |missing, versions| versions.lacks(&missing));
        if missing.is_empty() { needed.clone() } else { missing }
    }

    fn waited_too_long(&self, waited: Duration, missing: &EncoderVersions, others: &[WorkerInfo]) -> Failure {
        let own = self.versions.get();
        let all = others.iter().map(|other| &other.capabilities.versions).chain([&own]);
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

    /// Tells in the checkpoint and in reports what a job waits for.
    pub(super) async fn tell_wait(&self, seen: &Checkpoint, what: String) -> Result<(), Failure> {
        let step = Advance { waiting_for: Some(what), life: Some(seen.life), ..Advance::default() };
        self.store.advance(seen.job_id.clone(), step, self.now()).await?;
        self.in_flight.waits(seen);
        Ok(())
    }
}

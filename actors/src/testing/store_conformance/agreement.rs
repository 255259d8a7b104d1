//! Two stores that are told the same give the same answers: random steps hold a real store against the fake.

use super::{Subject, at, last_report, part, plan};
use crate::domain::checkpoint::{Advance, Checkpoint, Outcome};
use crate::domain::job::JobId;
use crate::domain::unit::UnitId;
use crate::ports::{Recorded, Reopened};

/// Something that is done to a job. Plans are named by small numbers.
#[derive(Clone, Debug)]
pub enum Step {
    /// [`crate::ports::JobStore::open`].
    Open,
    /// [`crate::ports::JobStore::advance`], with the plan by its number. Reports depend on the time and are not asked for.
    Advance(Advance, Option<(u8, u32)>),
    /// [`crate::ports::JobStore::finish`].
    Finish(Outcome),
    /// [`crate::ports::JobStore::reopen`] with the content of the job, or with another one.
    Reopen(bool),
    /// [`crate::ports::PartStore::record`] by a worker of that number.
    Record(u8, UnitId, u8),
    /// [`crate::ports::PartStore::forget`].
    Forget(u8, UnitId),
    /// [`crate::ports::PartStore::count_attempt`] of a task of that number.
    Attempt(u8),
    /// [`crate::ports::PartStore::return_attempt`] of a task of that number.
    Return(u8),
}

/// What can be told of an answer whatever the clock of the store is.
#[derive(Debug, PartialEq)]
enum Said {
    Checkpoint(Option<Checkpoint>),
    Won(bool),
    Reopened(bool, Option<Checkpoint>),
    Recorded(Recorded),
    Attempts(u32),
    Nothing,
}

/// Takes `steps` on job `job_id` in both stores; says where they differ, in an answer or in what they keep.
pub async fn agree(one: Subject, two: Subject, job_id: &JobId, steps: &[Step]) -> Result<(), String> {
    for (index, step) in steps.iter().enumerate() {
        let now = index as i64;
        let (a, b) = (take(&one, job_id, step, now).await, take(&two, job_id, step, now).await);
        if a != b {
            return Err(format!("step {index}, {step:?}: one said {a:?}, the other {b:?}"));
        }
        let (a, b) = (kept(&one, job_id).await, kept(&two, job_id).await);
        if a != b {
            return Err(format!("after step {index}, {step:?}: one has {a:?}, the other {b:?}"));
        }
    }
    Ok(())
}

/// Sequence numbers and generations come from a clock: all that is compared is whether there is one.
fn comparable(checkpoint: Option<Checkpoint>) -> Option<Checkpoint> {
    checkpoint.map(|checkpoint| Checkpoint {
        sequence: checkpoint.sequence.min(1),
        generation: checkpoint.generation.min(1),
        ..checkpoint
    })
}

async fn kept(store: &Subject, job_id: &JobId) -> Result<(Option<Checkpoint>, Vec<usize>), String> {
    let checkpoint = store.read(job_id.clone()).await.map_err(|failure| failure.message)?;
    let mut parts = Vec::new();
    for number in 0..3 {
        let of_plan = store.parts(job_id.clone(), plan_of(number)).await.map_err(|failure| failure.message)?;
        parts.push(of_plan.len());
    }
    Ok((comparable(checkpoint), parts))
}

fn plan_of(number: u8) -> crate::domain::fingerprint::Fingerprint {
    plan(&format!("plan-{number}"))
}

async fn take(store: &Subject, job_id: &JobId, step: &Step, now: i64) -> Result<Said, String> {
    let (id, now) = (job_id.clone(), at(now));
    let said = match step.clone() {
        Step::Open => store.open(id, "content".into(), now).await.map(|c| Said::Checkpoint(comparable(Some(c)))),
        Step::Advance(step, with_plan) => {
            let step = Advance { plan: with_plan.map(|(number, chunks)| (plan_of(number), chunks)), ..step };
            let answer = store.advance(id, step, now).await;
            answer.map(|advanced| Said::Checkpoint(comparable(advanced.map(|advanced| advanced.checkpoint))))
        }
        Step::Finish(outcome) => {
            let report = last_report(&Checkpoint::queued(id.clone(), String::new(), now), &outcome);
            store.finish(id, outcome, report, now).await.map(Said::Won)
        }
        Step::Reopen(same) => {
            let content = if same { "content" } else { "other" };
            store.reopen(id, content.into(), now).await.map(|reopened| match reopened {
                Reopened::Anew(found) => Said::Reopened(true, comparable(found)),
                Reopened::Kept(found) => Said::Reopened(false, comparable(Some(found))),
            })
        }
        Step::Record(number, unit, worker) => {
            let part = part(unit, &format!("worker-{worker}"));
            store.record(id, plan_of(number), part, now).await.map(Said::Recorded)
        }
        Step::Forget(number, unit) => store.forget(id, plan_of(number), unit).await.map(|()| Said::Nothing),
        Step::Attempt(task) => store.count_attempt(id, format!("task-{task}")).await.map(Said::Attempts),
        Step::Return(task) => store.return_attempt(id, format!("task-{task}")).await.map(|()| Said::Nothing),
    };
    said.map_err(|failure| failure.message)
}

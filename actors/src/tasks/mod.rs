//! What is done with a piece of work, as plain async functions over small structs: no actor, so that each can be tested alone.
//!
//! Every function here may run twice, anywhere, at any time. The order inside each of them is what makes that safe:
//! durable output, then checkpoint, then successors acknowledged, and only then [`Disposition::Finished`].
//!
//! What a task does:
//!
//! * `split`: a job message, to its plan; `chains`: and to the first tasks
//! * `unit`: a chunk or the audio track, to its part and what follows; `unit_run`: the stage of it
//! * `assemble`: the parts, to the outputs
//! * `resplit`: the input is cut again for a source that was lost
//! * `refuse`: what is not work, to the dead letters
//! * `enter`: what a task finds; `rebuild`: its checkpoint, where the store was emptied
//! * `policy`: failures, by their class; `step`: all other ends
//! * `cancel`: a job is asked to stop; `early`: before it comes
//!
//! What it does that with, by `wiring`:
//!
//! * `jobs`: `job_state` (checkpoints), `plans`, `parts`, `successors`, `ending` (the end of a job)
//! * `execution`: `lease`, `attempt`, `stage` (a stage under its lease)
//! * `device`: where a chunk is encoded, by a device or by the CPU; `family`: parts that must be of one encoder family
//! * `versions`: units that need another version of an encoder than this worker has; `pin`: what plans are made with
//! * `workers`: this one and the others; `waiting`: what a job waits for
//! * `dead_letters`, `full` (warnings of a full storage), `publisher` (patience with the broker), `tally` (metrics)

mod assemble;
mod attempt;
mod cancel;
mod chains;
mod dead_letters;
mod device;
mod early;
mod ending;
mod enter;
mod execution;
mod family;
mod full;
mod job_state;
mod jobs;
mod lease;
mod parts;
mod pin;
mod plans;
mod policy;
mod publisher;
mod rebuild;
mod refuse;
mod resplit;
mod split;
mod stage;
mod step;
mod successors;
mod tally;
mod unit;
mod unit_run;
mod versions;
mod waiting;
mod wiring;
mod workers;

use tokio::time::Instant;

pub use cancel::Cancels;
pub use publisher::PatientPublisher;
pub use wiring::{TaskPorts, TaskSettings, Tasks};

use assemble::assemble;
use attempt::Attempt;
use policy::after_failure;
use refuse::refuse;
use split::split;
use step::Step;
use tally::Outcome;
use unit::unit;

use crate::domain::failure::Failure;
use crate::work::{Disposition, Execute, Work};

/// Works on a delivery to its end. Never fails: what goes wrong is dealt with by its class.
pub async fn run(tasks: &Tasks, execute: &Execute) -> Disposition {
    let began = Instant::now();
    let mut attempt = Attempt::default();
    let (disposition, outcome) = match work(tasks, execute, &mut attempt).await {
        Ok(Step::Done) => (Disposition::Finished, Outcome::Done),
        Ok(Step::Nothing) => (Disposition::Finished, Outcome::Nothing),
        Ok(Step::Left) => (Disposition::Finished, Outcome::Left),
        // Not counted: it comes back every second and would drown the rest.
        Ok(Step::Deferred(deferral)) => return Disposition::Deferred(deferral),
        Err(failure) => after_failure(&tasks.policy, execute, attempt, failure).await,
    };
    tally::task(execute.work.stage(), outcome, began.elapsed());
    disposition
}

async fn work(tasks: &Tasks, execute: &Execute, attempt: &mut Attempt) -> Result<Step, Failure> {
    if execute.stop.is_cancelled() {
        return Err(Failure::interrupted("the work was stopped before it began"));
    }
    match &execute.work {
        Work::Job(job) => split(&tasks.split, execute, job, attempt).await,
        Work::Task(task) => match task.unit() {
            Some(id) => unit(&tasks.unit, execute, task, id, attempt).await,
            None => assemble(&tasks.assemble, task, attempt, &execute.stop).await,
        },
        Work::Refused(refusal) => refuse(&tasks.refuse, &execute.delivery, refusal).await,
    }
}

//! `requeue`: sends the job of a dead letter back. It goes as a whole, because its work files went when it failed.
//!
//! First the store lets the job begin anew, then the job is published. A command that dies in between is run again: a job
//! that waits to be begun is published again, which does nothing to one that was begun meanwhile.

use actors::domain::checkpoint::{Checkpoint, JobStatus};
use actors::domain::dead_letter::LetterId;
use actors::domain::failure::Failure;
use actors::domain::job::JobSpec;
use actors::domain::record::{Publication, Queue};
use actors::ports::{Clock as _, Reopened, SystemClock};
use actors::trace::TraceParent;
use clap::Args;
use serde_json::json;

use super::status::shared_store;
use super::submit::refuse_embedded;
use super::{Context, Exit, Trouble};

/// Header of a job that was sent back: the id of its letter.
const REQUEUED_FROM: &str = "requeued-from";

#[derive(Debug, Args)]
pub(super) struct RequeueArgs {
    /// The dead letter, as `dead-letters` prints its id
    #[arg(value_name = "ID")]
    id: LetterId,
}

pub(super) async fn requeue(args: RequeueArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let (wiring, id) = (context.wiring, args.id);
    let config = shared_store(context)?;
    refuse_embedded(&config)?;
    let letter = wiring.dead_letters(&config)?.letter(id).await?.ok_or_else(|| no_letter(id))?;
    let job =
        letter.job.map_err(|why| Failure::permanent(format!("the dead letter {id} cannot be sent back, {why}")))?;
    let jobs = wiring.jobs(&config).await?;
    let content = job.content_digest();
    match jobs.reopen(job.job_id.clone(), content.clone(), SystemClock.now()).await? {
        Reopened::Anew(_) => {}
        Reopened::Kept(checkpoint) => may_be_published_again(&checkpoint, &content)?,
    }
    wiring.publisher(&config)?.publish(record(id, &job, letter.trace.as_ref())?).await?;
    show(context, id, &job);
    Ok(Exit::Done)
}

fn no_letter(id: LetterId) -> Failure {
    let advice = "see `dead-letters` for those that there are";
    Failure::permanent(format!("there is no dead letter {id}, it never was or the topic keeps it no longer: {advice}"))
}

/// A job that was not opened again is refused, unless it waits to be begun.
fn may_be_published_again(found: &Checkpoint, content: &str) -> Result<(), Failure> {
    let job_id = &found.job_id;
    let refusal = match found.status {
        _ if found.content != content => {
            format!("another job has the id {job_id} by now: submit this one under another id")
        }
        JobStatus::Queued => return Ok(()),
        JobStatus::Splitting | JobStatus::Encoding | JobStatus::Assembling => {
            format!("job {job_id} runs ({}): see `status {job_id}`", found.status.as_str())
        }
        JobStatus::Completed => format!("job {job_id} has completed, its outputs are there"),
        JobStatus::Cancelled => {
            format!("job {job_id} was cancelled: submit it under another id if it is wanted after all")
        }
        JobStatus::Failed => format!("job {job_id} has just failed: run the command again"),
    };
    Err(Failure::permanent(refusal))
}

fn record(id: LetterId, job: &JobSpec, trace: Option<&TraceParent>) -> Result<Publication, Failure> {
    let value = serde_json::to_vec(job);
    let value = value.map_err(|error| Failure::permanent(format!("the job cannot be written as JSON: {error}")))?;
    let mut headers = vec![(REQUEUED_FROM.to_owned(), id.to_string().into_bytes())];
    if let Some(trace) = trace {
        trace.add_to(&mut headers);
    }
    Ok(Publication { queue: Queue::Jobs, key: job.job_id.as_str().into(), value: Some(value), headers })
}

fn show(context: &Context<'_>, id: LetterId, job: &JobSpec) {
    if context.json {
        context.say(&json!({"id": id, "job_id": job.job_id, "status": "requeued"}).to_string());
    } else {
        context.say(&format!("job {} was sent back and begins anew (letter {id})", job.job_id));
    }
}

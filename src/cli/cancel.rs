//! `cancel`: the wish is kept in the store, where every task looks before it begins, and told to the workers over the
//! control topic, so that running ones stop too.

use actors::domain::checkpoint::Advance;
use actors::domain::job::JobId;
use actors::domain::record::{Publication, Queue};
use actors::ports::{Clock as _, SystemClock};
use clap::Args;
use serde_json::json;

use super::status::{read, shared_store};
use super::{Context, Exit, Trouble};

#[derive(Debug, Args)]
pub(super) struct CancelArgs {
    /// The job
    job_id: JobId,
}

pub(super) async fn cancel(args: CancelArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let wiring = context.wiring;
    let config = shared_store(context)?;
    let CancelArgs { job_id } = args;
    let jobs = wiring.jobs(&config).await?;
    let before = read(jobs.as_ref(), &job_id).await?;
    if before.status.is_terminal() {
        show(context, &job_id, before.status.as_str(), "has ended already");
        return Ok(Exit::Done);
    }
    let step = Advance { cancel: true, ..Advance::default() };
    jobs.advance(job_id.clone(), step, SystemClock.now()).await?;
    wiring.publisher(&config)?.publish(control_record(&job_id)).await?;
    show(context, &job_id, "cancelling", "will be stopped");
    Ok(Exit::Done)
}

/// The record on the control topic, as every worker's observer reads it.
fn control_record(job_id: &JobId) -> Publication {
    Publication {
        queue: Queue::Control,
        key: job_id.as_str().into(),
        value: Some(json!({"type": "cancel", "job_id": job_id}).to_string().into_bytes()),
        headers: Vec::new(),
    }
}

fn show(context: &Context<'_>, job_id: &JobId, status: &str, sentence: &str) {
    if context.json {
        context.say(&json!({"job_id": job_id, "status": status}).to_string());
    } else {
        context.say(&format!("job {job_id} {sentence} ({status})"));
    }
}

//! `status`: the checkpoint of a job.

use actors::domain::checkpoint::{Checkpoint, JobStatus};
use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use actors::ports::JobStore;
use clap::Args;

use super::exit::cannot;
use super::{Context, Exit, Trouble};
use crate::config::{Config, ConfigError, ConfigErrors, Store};

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// The job
    job_id: JobId,
}

pub(super) async fn status(args: StatusArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let jobs = context.wiring.jobs(&shared_store(context)?).await?;
    let checkpoint = read(jobs.as_ref(), &args.job_id).await?;
    let text = if context.json { serde_json::to_string(&checkpoint) } else { Ok(describe(&checkpoint)) };
    context.say(&text.map_err(|error| cannot("the checkpoint cannot be printed", error))?);
    Ok(exit_of(checkpoint.status))
}

/// 1 where the job ended without its outputs.
pub(super) const fn exit_of(status: JobStatus) -> Exit {
    match status {
        JobStatus::Failed | JobStatus::Cancelled => Exit::Failed,
        JobStatus::Queued
        | JobStatus::Splitting
        | JobStatus::Encoding
        | JobStatus::Assembling
        | JobStatus::Completed => Exit::Done,
    }
}

/// The configuration, where it names a store that other processes can read.
pub(super) fn shared_store(context: &Context<'_>) -> Result<Config, Trouble> {
    let config = context.config()?;
    match config.store {
        Store::Redis { .. } => Ok(config),
        Store::Embedded => Err(Trouble::Config(ConfigErrors(vec![ConfigError {
            variable: "REDIS_HOST".into(),
            problem: "is not set: an embedded store belongs to the worker that runs it, only Redis can be asked".into(),
        }]))),
    }
}

pub(super) async fn read(jobs: &dyn JobStore, job_id: &JobId) -> Result<Checkpoint, Trouble> {
    let checkpoint = jobs.read(job_id.clone()).await?;
    checkpoint.ok_or_else(|| {
        Failure::permanent(format!(
            "no job {job_id} is known: it was never taken up, or ended so long ago that its checkpoint expired"
        ))
        .into()
    })
}

fn describe(checkpoint: &Checkpoint) -> String {
    let instant = |at: chrono::DateTime<chrono::Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut lines = vec![
        format!("job        {}", checkpoint.job_id),
        format!("status     {}", checkpoint.status.as_str()),
        format!("progress   {:.1} %", checkpoint.progress),
        format!("chunks     {} of {}", checkpoint.chunks_done, checkpoint.chunks_total),
        format!("created    {}", instant(checkpoint.created_at)),
        format!("updated    {}", instant(checkpoint.updated_at)),
    ];
    lines.extend(checkpoint.started_at.map(|at| format!("started    {}", instant(at))));
    lines.extend(checkpoint.completed_at.map(|at| format!("ended      {}", instant(at))));
    lines.extend(checkpoint.waiting_for.as_ref().map(|what| format!("waiting    for {what}")));
    if checkpoint.cancel_requested && !checkpoint.status.is_terminal() {
        lines.push("cancel     asked for".into());
    }
    lines.extend(checkpoint.error.as_ref().map(|error| format!("error      {}: {error}", error.class)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_says_why_and_gives_status_one() {
        let at = chrono::DateTime::from_timestamp(1_700_000_000, 0).expect("an instant");
        let mut checkpoint = Checkpoint::queued("movie-42".parse().expect("an id"), String::new(), at);
        checkpoint.status = JobStatus::Failed;
        checkpoint.error = Some(Failure::permanent("no video track"));
        let text = describe(&checkpoint);
        assert!(text.contains("status     failed") && text.contains("error      permanent: no video track"), "{text}");
        assert!(text.contains("created    2023-11-14T22:13:20Z"), "{text}");
        assert_eq!(exit_of(checkpoint.status), Exit::Failed);
    }

    #[test]
    fn a_job_that_waits_says_for_what() {
        let mut checkpoint = Checkpoint::queued("movie-42".parse().expect("an id"), String::new(), Default::default());
        checkpoint.waiting_for = Some("a worker with x264 164 r3095".into());
        let text = describe(&checkpoint);
        assert!(text.contains("\nwaiting    for a worker with x264 164 r3095"), "{text}");
    }
}

//! `submit`: publishes a job; with `--wait` follows it to its end.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::domain::checkpoint::Checkpoint;
use actors::domain::failure::{Failure, FailureClass};
use actors::domain::job::{JobSpec, MAX_JOB_BYTES};
use actors::domain::progress::Report;
use actors::domain::record::{Publication, Queue};
use actors::ports::{Clock as _, JobStore, SystemClock};
use clap::Args;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::status::{exit_of, shared_store};
use super::{Context, Exit, Progress, Trouble};
use crate::config::{Brokers, Config, ConfigError, ConfigErrors};
use crate::telemetry;

/// Between two looks at the checkpoint.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks in a row that may fail before the command gives up: a failover of Redis takes less.
const MAX_FAILED_LOOKS: u32 = 30;

#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// File with the job, `-` for standard input
    job: PathBuf,
    /// Follow the job to its end
    #[arg(long)]
    wait: bool,
}

pub(super) async fn submit(args: SubmitArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let Context { json, wiring, .. } = *context;
    let job = read_job(&args.job)?;
    let config = if args.wait { shared_store(context)? } else { context.config()? };
    refuse_embedded(&config)?;
    let progress = Progress::new(json, context.streams.clone());
    telemetry::init_logs(config.log_format, telemetry::COMMAND_FILTER, progress.log_writer());
    let signals = Signals::listen()?;
    let value =
        serde_json::to_vec(&job).map_err(|error| Trouble::usage(format!("the job cannot be written: {error}")))?;
    let record =
        Publication { queue: Queue::Jobs, key: job.job_id.as_str().into(), value: Some(value), headers: Vec::new() };
    wiring.publisher(&config)?.publish(record).await?;
    context.say(&if json {
        json!({"event": "submitted", "job_id": job.job_id}).to_string()
    } else {
        job.job_id.to_string()
    });
    if !args.wait {
        return Ok(Exit::Done);
    }
    let jobs = wiring.jobs(&config).await?;
    let end = follow(jobs.as_ref(), &job, progress, signals.stop()).await?;
    Ok(end.or_else(|| signals.interrupted()).unwrap_or(Exit::Done))
}

/// Reads and validates a job.
pub(super) fn read_job(file: &Path) -> Result<JobSpec, Trouble> {
    let cannot = |error| Trouble::usage(format!("the job {} cannot be read: {error}", file.display()));
    let mut text = Vec::new();
    let limit = MAX_JOB_BYTES as u64 + 1;
    if file == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut text).map_err(cannot)?;
    } else {
        std::fs::File::open(file).and_then(|file| file.take(limit).read_to_end(&mut text)).map_err(cannot)?;
    }
    JobSpec::parse(&text).map_err(|error| Trouble::usage(error.to_string()))
}

pub(super) fn refuse_embedded(config: &Config) -> Result<(), Trouble> {
    match config.kafka.brokers {
        Brokers::Cluster(_) => Ok(()),
        Brokers::Embedded => Err(Trouble::Config(ConfigErrors(vec![ConfigError {
            variable: "KAFKA_BROKERS".into(),
            problem: "`embedded` belongs to the worker that runs it, name the cluster, or use `transcode`".into(),
        }]))),
    }
}

/// The id may have been used for something else, whose end is not ours.
fn same_job(checkpoint: &Checkpoint, job: &JobSpec) -> Result<(), Trouble> {
    if checkpoint.content == job.content_digest() {
        return Ok(());
    }
    let message = format!("another job has the id {}, and this one is refused: choose another job_id", job.job_id);
    Err(Failure::permanent(message).into())
}

/// Shows the checkpoint until the job ended; `None` where `stop` came first.
async fn follow(
    jobs: &dyn JobStore,
    job: &JobSpec,
    mut progress: Progress,
    stop: CancellationToken,
) -> Result<Option<Exit>, Trouble> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut failed_looks = 0;
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let Some(answer) = stop.run_until_cancelled(jobs.read(job.job_id.clone())).await else { break };
        let checkpoint = match answer {
            Err(failure) if failure.class == FailureClass::Retryable && failed_looks < MAX_FAILED_LOOKS => {
                failed_looks += 1;
                tracing::warn!(job_id = %job.job_id, %failure, "the checkpoint cannot be read");
                continue;
            }
            answer => answer?,
        };
        failed_looks = 0;
        let Some(checkpoint) = checkpoint else { continue };
        same_job(&checkpoint, job)?;
        let mut report = Report::of(&checkpoint, checkpoint.sequence, None, "", SystemClock.now());
        report.error.clone_from(&checkpoint.error);
        progress.show(&report);
        if report.status.is_terminal() {
            return Ok(Some(exit_of(report.status)));
        }
    }
    progress.leave(&format!("job {} goes on without this command, see `status` and `cancel`", job.job_id));
    Ok(None)
}

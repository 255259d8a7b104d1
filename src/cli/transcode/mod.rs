//! `transcode`: one job on this machine, through the same code as a pod, with a broker and a store inside the process.
//!
//! The id of the job is made from the input, the outputs and the options, so that the same command again is the same
//! job: after a kill it goes on, after its end it is known to be done. Jobs run beside each other; each is done by one
//! process at a time, the one that has its store.

mod begun;
mod options;
mod paths;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::checkpoint::JobStatus;
use actors::domain::failure::Failure;
use actors::domain::job::JobSpec;
use actors::domain::progress::Report;
use actors::ports::{Answer, StatusSink};
use serde_json::json;
use tokio::sync::mpsc;

pub(super) use options::TranscodeArgs;

use super::exit::cannot;
use super::signals::Signals;
use super::status::exit_of;
use super::{Context, Exit, LocalJob, Progress, Trouble, Wiring};
use crate::config::Config;
use crate::telemetry;
use begun::{Chunks, Held, Start};

/// Reports on their way to the screen; the screen is fast.
const REPORTS: usize = 16;
/// Beyond the drain timeout, for the worker to take its leave.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn transcode(args: TranscodeArgs, context: &Context<'_>) -> Result<Exit, Trouble> {
    let Context { json, wiring, .. } = *context;
    let work_dir = work_dir(args.work_dir.clone(), &context.env)?;
    let config = Config::local(&work_dir, &args.overrides(), context.env.clone())?;
    let job = args.job_spec()?;
    paths::check(&job)?;
    std::fs::create_dir_all(&work_dir).map_err(|error| cannot(format!("--work-dir {}", work_dir.display()), error))?;
    let progress = Progress::new(json, context.streams.clone());
    telemetry::init_logs(config.log_format, telemetry::COMMAND_FILTER, progress.log_writer());
    let start = begun::start(job, wiring.local_jobs(&config)?.as_ref(), args.force)?;
    match start {
        Start::AlreadyDone(job) => {
            let outputs: Vec<_> = job.outputs.iter().map(|output| &output.uri).collect();
            match json {
                true => {
                    context.say(&json!({"event": "already_done", "job_id": job.job_id, "outputs": outputs}).to_string())
                }
                false => context
                    .note(&format!("nothing to do: job {} was completed before, --force does it again", job.job_id)),
            }
            Ok(Exit::Done)
        }
        Start::GoOn(held, chunks) => {
            say_what_was_done(&held.job, chunks, context);
            go(held, config, progress, wiring).await
        }
        Start::Go(held) => go(held, config, progress, wiring).await,
    }
}

fn say_what_was_done(job: &JobSpec, Chunks { done, total }: Chunks, context: &Context<'_>) {
    let event = || json!({"event": "resumed", "job_id": job.job_id, "chunks_done": done, "chunks_total": total});
    match (context.json, total) {
        (true, _) => context.say(&event().to_string()),
        (false, 0) => context.note(&format!("going on with job {}, its input was not cut yet", job.job_id)),
        (false, _) => context.note(&format!("going on with job {}: {done} of {total} chunks are done", job.job_id)),
    }
}

async fn go(held: Held, config: Config, progress: Progress, wiring: &dyn Wiring) -> Result<Exit, Trouble> {
    paths::create_output_directories(&held.job)?;
    work(held, config, progress, wiring).await
}

/// Runs the worker until its job ended, a signal came, or it gave up.
async fn work(held: Held, config: Config, mut progress: Progress, wiring: &dyn Wiring) -> Result<Exit, Trouble> {
    let signals = Signals::listen()?;
    let stop = signals.stop();
    let leave = config.drain_timeout + LEAVE_TIMEOUT;
    let (sender, mut reports) = mpsc::channel(REPORTS);
    let Held { job, store } = held;
    let job_id = job.job_id.clone();
    let order = LocalJob { job, config, store, sink: Arc::new(Screen(sender)) };
    let mut worker = pin!(wiring.transcode(order, stop.clone()));
    let mut limit = pin!(async {
        stop.cancelled().await;
        tokio::time::sleep(leave).await;
    });
    let mut last = None;
    let mut take = |report: Report| {
        if report.job_id == job_id {
            progress.show(&report);
            last = report.status.is_terminal().then_some(report.status).or(last);
        }
        last
    };
    let ended = loop {
        tokio::select! {
            biased;
            Some(report) = reports.recv() => if take(report).is_some() { stop.cancel(); },
            ended = &mut worker => break ended,
            // From the stop on the worker has a limit; a worker that hangs is left behind.
            () = &mut limit => {
                break Err(Failure::retryable(format!("the worker did not end within {leave:?} and was left")));
            }
        }
    };
    while let Ok(report) = reports.try_recv() {
        take(report);
    }
    let exit = conclude(last, ended, signals.interrupted());
    if let Ok(Exit::Interrupted(_)) = exit {
        progress.leave("interrupted: the same command goes on where this one was");
    }
    exit
}

/// The job's own end goes before everything else that happened.
fn conclude(last: Option<JobStatus>, ended: Result<(), Failure>, signal: Option<Exit>) -> Result<Exit, Trouble> {
    match (last, signal, ended) {
        (Some(status), _, _) => Ok(exit_of(status)),
        (None, Some(interrupted), _) => Ok(interrupted),
        (None, None, Err(failure)) => Err(failure.into()),
        (None, None, Ok(())) => {
            Err(Failure::retryable("the worker ended before its job, the same command goes on where it was").into())
        }
    }
}

/// Brings reports to the screen in place of the Transcoding Service.
struct Screen(mpsc::Sender<Report>);

impl StatusSink for Screen {
    fn deliver(&self, report: Report) -> Answer<()> {
        let screen = self.0.clone();
        Box::pin(async move {
            screen.send(report).await.map_err(|_| Failure::interrupted("the command ended before its worker"))
        })
    }
}

/// `--work-dir`, or the user's cache directory: work files can be made again.
fn work_dir(given: Option<PathBuf>, env: &BTreeMap<String, String>) -> Result<PathBuf, Trouble> {
    let from = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let directory = given
        .or_else(|| Some(from("XDG_CACHE_HOME")?.join("gstreamer-worker")))
        .or_else(|| Some(from("HOME")?.join(".cache/gstreamer-worker")))
        .ok_or_else(|| Trouble::usage("there is no home directory for work files, give one with --work-dir"))?;
    std::path::absolute(&directory).map_err(|error| cannot(format!("--work-dir {}", directory.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_job_decides_the_exit_status_then_the_signal_then_the_worker() {
        let broken = || Err(Failure::retryable("disk full"));
        let signal = Some(Exit::Interrupted(15));
        let status = |last, ended, signal| conclude(last, ended, signal).map_or_else(|t| t.status(), Exit::status);
        assert_eq!(status(Some(JobStatus::Completed), broken(), signal), 0);
        assert_eq!(status(Some(JobStatus::Failed), Ok(()), None), 1);
        assert_eq!(status(Some(JobStatus::Cancelled), Ok(()), None), 1);
        assert_eq!(status(None, broken(), signal), 143);
        assert_eq!(status(None, Ok(()), Some(Exit::Interrupted(2))), 130);
        assert_eq!(status(None, broken(), None), 1);
        assert_eq!(status(None, Ok(()), None), 1);
    }
}

//! Whether the job of a command was begun or ended before.
//!
//! A job that ended never begins again under its id. What should be done again (a failed job, outputs that were
//! deleted, `--force`) gets the next free id: `ID-2`, `ID-3`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use actors::domain::checkpoint::{Checkpoint, JobStatus};
use actors::domain::job::JobSpec;
use actors::ports::Store;

use super::super::{LocalJobs, Trouble};
use crate::storage::file_path;

/// Repetitions of one command whose checkpoints have not expired. More is a loop in somebody's script.
const MAX_REPETITIONS: u32 = 1000;

/// How to begin.
pub(super) enum Start {
    /// Do this job.
    Go(Held),
    /// Go on with this job: it was begun before, and so many of its chunks are done.
    GoOn(Held, Chunks),
    /// The job was completed, its outputs are there and as they were.
    AlreadyDone(JobSpec),
}

/// A job, and its store, which keeps other processes from doing it as long as it is held.
pub(super) struct Held {
    pub(super) job: JobSpec,
    pub(super) store: Arc<dyn Store>,
}

impl Held {
    fn new(job: JobSpec, jobs: &dyn LocalJobs) -> Result<Self, Trouble> {
        let store = jobs.hold(&job.job_id)?;
        Ok(Self { job, store })
    }
}

/// Chunks of a job that was begun; none before its input was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    pub(super) done: u32,
    pub(super) total: u32,
}

/// Looks the job up and refuses outputs that exist and that no unfinished run of this job could have made, and a job
/// that another process does.
pub(super) fn start(job: JobSpec, jobs: &dyn LocalJobs, force: bool) -> Result<Start, Trouble> {
    for repetition in 1..=MAX_REPETITIONS {
        let job = repeated(&job, repetition)?;
        let Some(checkpoint) = jobs.read(&job.job_id)? else {
            refuse_existing(&job)?;
            return Ok(Start::Go(Held::new(job, jobs)?));
        };
        if !checkpoint.status.is_terminal() {
            return go_on(job, &checkpoint, jobs);
        }
        if !force && untouched_since(&job, &checkpoint) {
            return Ok(Start::AlreadyDone(job));
        }
    }
    Err(Trouble::usage(format!("{} was repeated {MAX_REPETITIONS} times, use another --work-dir", job.job_id)))
}

fn repeated(job: &JobSpec, repetition: u32) -> Result<JobSpec, Trouble> {
    if repetition == 1 {
        return Ok(job.clone());
    }
    let job_id = format!("{}-{repetition}", job.job_id).parse().map_err(Trouble::Usage)?;
    Ok(JobSpec { job_id, ..job.clone() })
}

fn go_on(job: JobSpec, checkpoint: &Checkpoint, jobs: &dyn LocalJobs) -> Result<Start, Trouble> {
    if checkpoint.content == job.content_digest() {
        let chunks = Chunks { done: checkpoint.chunks_done, total: checkpoint.chunks_total };
        return Ok(Start::GoOn(Held::new(job, jobs)?, chunks));
    }
    Err(Trouble::usage(format!(
        "job {} was begun with another content and is not finished, give the changed job another job_id",
        job.job_id
    )))
}

fn refuse_existing(job: &JobSpec) -> Result<(), Trouble> {
    match local_outputs(job).find(|output| output.exists()) {
        Some(output) if !job.overwrite => {
            Err(Trouble::usage(format!("output {}: exists, --force replaces it", output.display())))
        }
        _ => Ok(()),
    }
}

fn local_outputs(job: &JobSpec) -> impl Iterator<Item = PathBuf> {
    job.outputs.iter().filter_map(|output| file_path(output.uri.as_str()))
}

/// An output gets its last change before it is published, and is published before its job is completed.
fn untouched_since(job: &JobSpec, checkpoint: &Checkpoint) -> bool {
    let Some(completed_at) = checkpoint.completed_at.filter(|_| checkpoint.status == JobStatus::Completed) else {
        return false;
    };
    let untouched = |output: PathBuf| {
        let changed_at = std::fs::metadata(output).and_then(|found| found.modified());
        changed_at.is_ok_and(|changed_at| changed_at <= SystemTime::from(completed_at))
    };
    local_outputs(job).all(untouched)
}

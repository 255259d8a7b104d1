//! What a machine knows of its own jobs. A job that runs or was stopped has a store of its own: jobs run beside each other,
//! and whoever has that of a job open is the only process that does the job. Jobs that ended are in one store for all of
//! them, which is open for a moment only. (An earlier version kept the others there too; so does a `run` without Redis.)
//!
//! Must never open or remove a store without the lock of the directory: nobody opens what is being removed.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actors::domain::checkpoint::Checkpoint;
use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use rustix::fs::{FlockOperation, flock};

use super::embedded::{EmbeddedStore, FILE};

/// The stores of single jobs, each in a directory that has the id of its job.
const JOBS_DIRECTORY: &str = "jobs";
/// The file that is locked.
const LOCK: &str = "lock";

/// The stores of one machine, looked at: nobody else looks as long as this lives.
pub struct JobStores {
    /// Of the stores of single jobs.
    jobs: PathBuf,
    checkpoint_ttl: Duration,
    ended: EmbeddedStore,
    /// Unlocked when it is closed, after everything else.
    _lock: File,
}

impl JobStores {
    /// Opens those in `directory`, which is made if it is not there, and forgets finished jobs after `checkpoint_ttl`.
    /// Fails where another process works in the store for all jobs. Blocks: it reads and writes files, and waits for
    /// others who look.
    pub fn open(directory: &Path, checkpoint_ttl: Duration) -> Result<Self, Failure> {
        let lock = lock(directory)?;
        let ended = EmbeddedStore::open(directory, checkpoint_ttl)?;
        let stores = Self { jobs: directory.join(JOBS_DIRECTORY), checkpoint_ttl, ended, _lock: lock };
        stores.remove_expired();
        Ok(stores)
    }

    /// What is known of a job. Fails where another process does it. Blocks.
    pub fn read(&self, job_id: &JobId) -> Result<Option<Checkpoint>, Failure> {
        if !self.place(job_id).exists() {
            return self.ended.checkpoint(job_id);
        }
        let own = self.hold(job_id)?.checkpoint(job_id)?;
        if let Some(ended) = own.as_ref().filter(|known| known.status.is_terminal()) {
            // Its process was killed before it did that.
            self.end(ended.clone())?;
        }
        Ok(own)
    }

    /// Opens the store of a job, which is refused to everybody else as long as it is open. Blocks.
    pub fn hold(&self, job_id: &JobId) -> Result<EmbeddedStore, Failure> {
        let store = EmbeddedStore::open_free(&self.place(job_id), self.checkpoint_ttl)?;
        let store = store.ok_or_else(|| is_done_elsewhere(job_id))?;
        store.take_over(job_id, &self.ended)?;
        Ok(store)
    }

    /// Keeps a job that ended with the others, and removes its own store, which whoever has it open may keep open. Blocks.
    pub fn end(&self, ended: Checkpoint) -> Result<(), Failure> {
        let place = self.place(&ended.job_id);
        self.ended.keep_ended(ended)?;
        remove(&place)
    }

    fn place(&self, job_id: &JobId) -> PathBuf {
        self.jobs.join(job_id.as_str())
    }

    /// Removes what processes left that were killed at the end of their job. What cannot be removed only takes space.
    fn remove_expired(&self) {
        for entry in std::fs::read_dir(&self.jobs).into_iter().flatten().flatten() {
            let directory = entry.path();
            if self.is_old(&directory.join(FILE))
                && let Err(failure) = self.remove_unless_needed(&directory)
            {
                tracing::debug!(%failure, "the store of an ended job stays");
            }
        }
    }

    /// Whether nobody wrote to the file for so long that a job that ended before then has expired.
    fn is_old(&self, file: &Path) -> bool {
        let changed_at = std::fs::metadata(file).and_then(|found| found.modified());
        // A process that was killed while it made the store left no file.
        changed_at.map_or(true, |changed_at| changed_at.elapsed().is_ok_and(|age| age > self.checkpoint_ttl))
    }

    /// Removes a store that nobody has open and that knows no job any more: one that is not finished is kept.
    fn remove_unless_needed(&self, directory: &Path) -> Result<(), Failure> {
        match EmbeddedStore::open_free(directory, self.checkpoint_ttl)? {
            Some(store) if store.is_empty()? => remove(directory),
            Some(_) | None => Ok(()),
        }
    }
}

/// Waits until nobody else has it.
fn lock(directory: &Path) -> Result<File, Failure> {
    let path = directory.join(LOCK);
    let locked = std::fs::create_dir_all(directory).and_then(|()| {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(file)
    });
    locked.map_err(|error| Failure::retryable(format!("the lock {} cannot be used: {error}", path.display())))
}

fn remove(directory: &Path) -> Result<(), Failure> {
    std::fs::remove_dir_all(directory)
        .map_err(|error| Failure::retryable(format!("{} cannot be removed: {error}", directory.display())))
}

fn is_done_elsewhere(job_id: &JobId) -> Failure {
    Failure::retryable(format!(
        "job {job_id} is being done by another process: wait for its end, or stop it and give the same command again, \
         which goes on where it was"
    ))
}

//! A directory for a running split: in the work storage, so that what it holds is published by renaming.

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use tempfile::TempDir;

use super::durable::create_dirs;
use super::faults::{self, Attempt, failure};
use super::root::Storage;

/// An empty directory that is removed with all its content when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Removes it off the arbiter; dropping does the same in place.
    pub async fn remove(self) {
        let removed = faults::bulk(move || {
            let path = self.directory.path().to_owned();
            self.directory.close().map_err(|error| failure(Attempt::Work, &path, &error))
        });
        if let Err(error) = removed.await {
            tracing::debug!(%error, "a scratch directory stays until its job is removed");
        }
    }
}

impl Storage {
    /// Makes a scratch directory for a split of `job_id`.
    ///
    /// # Errors
    /// `retryable` where the work storage cannot be written.
    pub async fn scratch(&self, job_id: &JobId) -> Result<Scratch, Failure> {
        let parent = self.job_directory(job_id);
        faults::small(move || {
            create_dirs(&parent)
                .and_then(|()| tempfile::Builder::new().prefix("split-").rand_bytes(10).tempdir_in(&parent))
                .map(|directory| Scratch { directory })
                .map_err(|error| failure(Attempt::Work, &parent, &error))
        })
        .await
    }
}

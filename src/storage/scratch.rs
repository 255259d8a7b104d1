//! A directory of this machine for a running split, whose files are published when it is done.

use std::path::Path;

use tempfile::TempDir;

use super::faults::{self, Attempt, failure};

/// An empty directory that is removed with all its content when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    directory: TempDir,
}

impl Scratch {
    pub(super) fn new(directory: TempDir) -> Self {
        Self { directory }
    }

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

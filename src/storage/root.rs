//! The storage itself: where work files are.

use std::path::PathBuf;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use object_store::local::LocalFileSystem;

use super::documents::Documents;
use super::durable::create_dirs;
use super::location::Location;

/// The work storage, and access to inputs and outputs. Clones share it.
#[derive(Clone, Debug)]
pub struct Storage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    work: PathBuf,
    documents: Documents,
}

impl Storage {
    /// Opens the work storage, and makes it where it is missing. Blocks; meant for the start of the program.
    ///
    /// # Errors
    /// `permanent` where `work_url` is no URI of a known scheme or no directory can be made there.
    pub fn open(work_url: &str) -> Result<Self, Failure> {
        let told = |error: &dyn std::fmt::Display| {
            Failure::permanent(format!("the work storage {work_url} cannot be used: {error}"))
        };
        let Location::Local(path) = Location::parse(work_url)?;
        create_dirs(&path).map_err(|error| told(&error))?;
        // One that cannot be written is found now and not by the first job.
        match tempfile::tempfile_in(&path) {
            // Somebody will free some space; until then the worker is not ready.
            Err(error) if Failure::of_full_storage(&path, &error).is_some() => {
                tracing::warn!(path = %path.display(), "no space left in the work storage, free some");
            }
            other => drop(other.map_err(|error| told(&error))?),
        }
        let work = path.canonicalize().map_err(|error| told(&error))?;
        let store = LocalFileSystem::new_with_prefix(&work).map_err(|error| told(&error))?.with_fsync(true);
        Ok(Self(Arc::new(Inner { work, documents: Documents::new(Arc::new(store)) })))
    }

    pub(super) fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// Where something of the work storage is, by its name from the root.
    pub(super) fn work_path(&self, name: &str) -> PathBuf {
        self.0.work.join(name)
    }

    pub(super) fn job_directory(&self, job_id: &JobId) -> PathBuf {
        self.work_path(job_id.as_str())
    }
}

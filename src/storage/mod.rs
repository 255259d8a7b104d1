//! Objects behind URIs: inputs, outputs and work files. The only place that turns URIs into paths.
//!
//! Layout of the work storage (`WORK_URL`), one directory for each job:
//!
//! ```text
//! {job_id}/split-{unique}/                        scratch of a running split
//! {job_id}/{fingerprint}/plan.json                written last by split: all sources are there
//! {job_id}/{fingerprint}/source/v00000.gdp        chunk sources and the audio source
//! {job_id}/{fingerprint}/parts/v0-v00000-….gdp    encoded parts; the name holds the digest
//! {job_id}/{fingerprint}/records/v00000.json      a part, written after its files are durable
//! {job_id}/{fingerprint}/outputs/0.json           an output, written just before it gets its final name
//! ```

mod documents;
mod durable;
mod faults;
mod input;
mod location;
mod output;
mod pending;
mod plan_files;
mod scratch;
mod space;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::job::JobId;
use object_store::local::LocalFileSystem;

pub use input::LocalInput;
pub use location::{KNOWN_SCHEMES, file_uri};
pub use output::{Existing, name_is_taken};
pub use pending::Pending;
pub use plan_files::PlanFiles;
pub use scratch::Scratch;
pub use space::{MIN_FREE_BYTES, Space};

use documents::Documents;
use location::Location;

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
        durable::create_dirs(&path).map_err(|error| told(&error))?;
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

    fn documents(&self) -> &Documents {
        &self.0.documents
    }

    /// Where something of the work storage is, by its name from the root.
    fn work_path(&self, name: &str) -> PathBuf {
        self.0.work.join(name)
    }

    fn job_directory(&self, job_id: &JobId) -> PathBuf {
        self.work_path(job_id.as_str())
    }
}

//! Inputs: what tells one from another, and how a stage process gets at one.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::job::MediaUri;
use actors::domain::plan::SourceIdentity;

use super::faults::{self, Attempt, failure};
use super::location::Location;
use super::root::Storage;

/// An input as a file of this machine. A remote storage will keep its copy in scratch until this is dropped.
#[derive(Debug)]
pub struct LocalInput {
    path: PathBuf,
}

impl LocalInput {
    /// Where to read.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Storage {
    /// What tells this input from another one under the same URI: size and last change.
    ///
    /// # Errors
    /// `permanent` where there is no file that can be read or it is empty; `retryable` where the storage fails.
    pub async fn identify(&self, uri: &MediaUri) -> Result<SourceIdentity, Failure> {
        let Location::Local(path) = Location::file(uri)?;
        faults::small(move || identify_file(&path)).await
    }

    /// Makes an input available as a local file. A local one is used where it is.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub async fn fetch(&self, uri: &MediaUri) -> Result<LocalInput, Failure> {
        let Location::Local(path) = Location::file(uri)?;
        faults::small(move || identify_file(&path).map(|_| LocalInput { path })).await
    }
}

fn identify_file(path: &Path) -> Result<SourceIdentity, Failure> {
    let told = |error: std::io::Error| failure(Attempt::ReadInput, path, &error);
    // Looked at before it is opened: opening a named pipe would wait for somebody who writes.
    let found = std::fs::metadata(path).map_err(told)?;
    if found.is_dir() {
        return Err(Failure::permanent(format!("the input {} is a directory, name a file", path.display())));
    }
    if !found.is_file() {
        return Err(Failure::permanent(format!("the input {} is a device or a pipe, name a file", path.display())));
    }
    // Opened, because a file that can be looked at cannot always be read.
    let metadata = File::open(path).and_then(|file| file.metadata()).map_err(told)?;
    if metadata.len() == 0 {
        return Err(Failure::permanent(format!("the input {} is empty, upload it again", path.display())));
    }
    Ok(SourceIdentity { bytes: metadata.len(), modified_unix_ns: modified_ns(&metadata), etag: None })
}

/// Nanoseconds since 1970. The inode stays out: it differs between the mounts of two workers.
fn modified_ns(metadata: &std::fs::Metadata) -> u64 {
    let ns = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    u64::try_from(ns).unwrap_or(0)
}

//! Outputs: where they may go, and how they get their final names.

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::MediaUri;

use super::faults::{self, Attempt, failure};
use super::location::Location;
use super::pending::{self, Pending};
use super::root::Storage;
use crate::digest;

/// What already lies under the final name of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// No file.
    Nothing,
    /// A file with the same content.
    Same,
    /// Another file.
    Other,
}

/// Hex digits of the fingerprint in the names of pending files.
const TAG_LETTERS: usize = 12;

/// Marks the pending files of a plan, so that what a killed worker left is recognised.
pub(super) fn tag(fingerprint: &Fingerprint) -> &str {
    fingerprint.0.get(..TAG_LETTERS).unwrap_or(&fingerprint.0)
}

impl Storage {
    /// Proves that an output can be written: makes its directory and a file in it, which is removed again.
    /// The answer is whether there is a file of that name already.
    ///
    /// # Errors
    /// `permanent` where the job names a place that cannot be written; `retryable` where the storage fails.
    pub async fn check_output(&self, uri: &MediaUri) -> Result<bool, Failure> {
        let Location::Local(path) = Location::file(uri)?;
        faults::small(move || {
            if path.is_dir() {
                return Err(Failure::permanent(format!("the output {} is a directory, name a file", path.display())));
            }
            // Replacing a device would be a disaster.
            if path.exists() && !path.is_file() {
                return Err(Failure::permanent(format!(
                    "the output {} is no ordinary file, name another one",
                    path.display()
                )));
            }
            Pending::create(path.clone(), "check", Attempt::WriteOutput)?;
            path.try_exists().map_err(|error| failure(Attempt::WriteOutput, &path, &error))
        })
        .await
    }

    /// An empty file with a temporary name beside the output.
    ///
    /// # Errors
    /// As [`Self::check_output`].
    pub async fn pending_output(&self, uri: &MediaUri, fingerprint: &Fingerprint) -> Result<Pending, Failure> {
        let Location::Local(path) = Location::file(uri)?;
        let tag = tag(fingerprint).to_owned();
        faults::small(move || Pending::create(path, &tag, Attempt::WriteOutput)).await
    }

    /// Compares what lies under the final name of an output with what should be there.
    ///
    /// # Errors
    /// `retryable` where a file that is there cannot be read.
    pub async fn compare_output(&self, uri: &MediaUri, bytes: u64, sha256: &str) -> Result<Existing, Failure> {
        let Location::Local(path) = Location::file(uri)?;
        let sha256 = sha256.to_owned();
        faults::bulk(move || compare(&path, bytes, &sha256)).await
    }

    /// Removes what killed workers left beside an output that is published now.
    pub async fn remove_stale_outputs(&self, uri: &MediaUri, fingerprint: &Fingerprint) -> Result<(), Failure> {
        let Location::Local(path) = Location::file(uri)?;
        let tag = tag(fingerprint).to_owned();
        faults::small(move || {
            pending::remove_stale(&path, &tag);
            Ok(())
        })
        .await
    }
}

/// The failure of an output whose name is taken.
pub fn name_is_taken(uri: &MediaUri) -> Failure {
    Failure::permanent(format!(
        "the output {uri} exists and was not made by this job, remove it, choose another name or ask to overwrite it"
    ))
}

fn compare(path: &Path, bytes: u64, sha256: &str) -> Result<Existing, Failure> {
    let told = |error: std::io::Error| failure(Attempt::WriteOutput, path, &error);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Existing::Nothing),
        Err(error) => return Err(told(error)),
    };
    if !metadata.is_file() || metadata.len() != bytes {
        return Ok(Existing::Other);
    }
    let (_, found) = digest::of_file(path).map_err(told)?;
    Ok(if found == sha256 { Existing::Same } else { Existing::Other })
}

//! Inputs and outputs by their URIs: each lies in the storage that its scheme names.

use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::domain::job::MediaUri;
use actors::domain::plan::SourceIdentity;

use super::location::locate_file;
use super::objects::{Existing, LocalInput};
use super::pending::{Pending, tag};
use super::root::Storage;

impl Storage {
    /// What tells this input from another one under the same URI: size and last change.
    ///
    /// # Errors
    /// `permanent` where there is no file that can be read or it is empty; `retryable` where the storage fails.
    pub async fn identify(&self, uri: &MediaUri) -> Result<SourceIdentity, Failure> {
        let at = locate_file(uri)?;
        at.objects.identify(&at.name).await
    }

    /// Makes an input available as a local file. A local one is used where it is.
    ///
    /// # Errors
    /// As [`Self::identify`].
    pub async fn fetch(&self, uri: &MediaUri) -> Result<LocalInput, Failure> {
        let at = locate_file(uri)?;
        at.objects.fetch(&at.name).await
    }

    /// Proves that an output can be written, and leaves nothing but the directory that it goes to.
    /// The answer is whether there is a file of that name already.
    ///
    /// # Errors
    /// `permanent` where the job names a place that cannot be written; `retryable` where the storage fails.
    pub async fn check_output(&self, uri: &MediaUri) -> Result<bool, Failure> {
        let at = locate_file(uri)?;
        at.objects.check_writable(&at.name).await
    }

    /// An empty file that becomes the output when it is published.
    ///
    /// # Errors
    /// As [`Self::check_output`].
    pub async fn pending_output(&self, uri: &MediaUri, fingerprint: &Fingerprint) -> Result<Pending, Failure> {
        let at = locate_file(uri)?;
        at.objects.pending(&at.name, tag(fingerprint)).await
    }

    /// Compares what lies under the final name of an output with what should be there.
    ///
    /// # Errors
    /// `retryable` where a file that is there cannot be read.
    pub async fn compare_output(&self, uri: &MediaUri, bytes: u64, sha256: &str) -> Result<Existing, Failure> {
        let at = locate_file(uri)?;
        at.objects.compare(&at.name, bytes, sha256).await
    }

    /// Removes what killed workers left beside an output that is published now.
    ///
    /// # Errors
    /// `permanent` where the URI names no place.
    pub async fn remove_stale_outputs(&self, uri: &MediaUri, fingerprint: &Fingerprint) -> Result<(), Failure> {
        let at = locate_file(uri)?;
        at.objects.remove_stale(&at.name, tag(fingerprint)).await
    }
}

/// The failure of an output whose name is taken.
pub fn name_is_taken(uri: &MediaUri) -> Failure {
    Failure::permanent(format!(
        "the output {uri} exists and was not made by this job, remove it, choose another name or ask to overwrite it"
    ))
}

//! Objects that are being written: a file of this machine for a stage to write to, which gets its final name whole or
//! not at all. One that is dropped leaves nothing.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::fingerprint::Fingerprint;
use actors::ports::Answer;
use tempfile::TempPath;

use super::faults::{self, Attempt, failure};

/// Hex digits of the fingerprint in the names of pending objects.
const TAG_LETTERS: usize = 12;

/// Marks the pending objects of a plan, so that what a killed worker left is recognised.
pub(super) fn tag(fingerprint: &Fingerprint) -> &str {
    fingerprint.0.get(..TAG_LETTERS).unwrap_or(&fingerprint.0)
}

/// What happens to an object that has the final name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfTaken {
    Replace,
    Keep,
}

/// How a storage publishes what was written.
pub(super) trait Publish: Debug + Send + Sync {
    /// Makes the content of `file` the object of this name, in one step that is the last one, and durable. The answer is
    /// whether it did, which is always so where it may replace. Of many that may not, at most one is told `true`. `file`
    /// is gone afterwards, also where it fails.
    fn publish(&self, file: TempPath, name: String, if_taken: IfTaken) -> Answer<bool>;
}

/// An object that is not published yet.
#[derive(Debug)]
pub struct Pending {
    file: TempPath,
    name: String,
    attempt: Attempt,
    storage: Arc<dyn Publish>,
}

impl Pending {
    /// `file` is written now and becomes the object `name` of `storage`.
    pub(super) fn new(file: TempPath, name: String, attempt: Attempt, storage: Arc<dyn Publish>) -> Self {
        Self { file, name, attempt, storage }
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// How much was written so far.
    ///
    /// # Errors
    /// Where the file was removed.
    pub async fn bytes(&self) -> Result<u64, Failure> {
        let (path, attempt) = (self.file.to_path_buf(), self.attempt);
        faults::small(move || match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) => Err(failure(attempt, &path, &error)),
        })
        .await
    }

    /// Gives it another final name beside the one that it has.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name.truncate(self.name.rfind('/').map_or(0, |slash| slash + 1));
        self.name.push_str(name);
        self
    }

    /// Publishes it under its final name; an object of that name is replaced.
    ///
    /// # Errors
    /// Where it cannot be made durable or named; it is removed then.
    pub async fn publish(self) -> Result<(), Failure> {
        self.storage.publish(self.file, self.name, IfTaken::Replace).await.map(|_| ())
    }

    /// Publishes it unless there is an object of its final name; the answer is whether it was published.
    /// Two that publish the same name at the same time cannot both be told `true`.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_new(self) -> Result<bool, Failure> {
        self.storage.publish(self.file, self.name, IfTaken::Keep).await
    }
}

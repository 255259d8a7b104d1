//! Files that are being written: hidden, unique names beside the final one, on the same file system, so that a rename
//! publishes them whole. A pending file that is dropped is removed; one that a killed worker left is recognised by the
//! tag of its plan and removed by the next one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use tempfile::TempPath;

use super::durable::{create_dirs, sync_dir, sync_file};
use super::faults::{self, Attempt, failure};

const SUFFIX: &str = ".part";
/// Random letters in a name: enough that the workers of a fleet do not meet.
const RANDOM_LETTERS: usize = 10;
/// Bytes of the final name that go into the temporary one; file systems allow 255 for the whole.
const MAX_STEM_BYTES: usize = 180;

/// A file that is not published yet.
#[derive(Debug)]
pub struct Pending {
    temporary: TempPath,
    target: PathBuf,
    attempt: Attempt,
}

impl Pending {
    /// Makes an empty file beside `target`, and the directory where it is missing. Blocks.
    pub(super) fn create(target: PathBuf, tag: &str, attempt: Attempt) -> Result<Self, Failure> {
        let directory = directory_of(&target);
        create_dirs(directory).map_err(|error| failure(attempt, directory, &error))?;
        let file = tempfile::Builder::new()
            .prefix(&prefix(&target, tag))
            .suffix(SUFFIX)
            .rand_bytes(RANDOM_LETTERS)
            // The user's mask applies, as it does to every file that a program makes.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| failure(attempt, directory, &error))?;
        Ok(Self { temporary: file.into_temp_path(), target, attempt })
    }

    /// Where to write.
    pub fn path(&self) -> &Path {
        &self.temporary
    }

    /// How much was written so far.
    ///
    /// # Errors
    /// Where the file was removed.
    pub async fn bytes(&self) -> Result<u64, Failure> {
        let (path, attempt) = (self.temporary.to_path_buf(), self.attempt);
        faults::small(move || match std::fs::metadata(&path) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) => Err(failure(attempt, &path, &error)),
        })
        .await
    }

    /// Gives it another final name in the same directory.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.target.set_file_name(name);
        self
    }

    /// Publishes it under its final name; a file of that name is replaced.
    ///
    /// # Errors
    /// Where the file cannot be made durable or renamed; it is removed then.
    pub async fn publish(self) -> Result<(), Failure> {
        faults::bulk(move || {
            let Self { temporary, target, attempt } = self;
            let told = |error: &std::io::Error| failure(attempt, &target, error);
            sync_file(&temporary).map_err(|error| told(&error))?;
            temporary.persist(&target).map_err(|error| told(&error.error))?;
            sync_dir(directory_of(&target)).map_err(|error| told(&error))
        })
        .await
    }

    /// Publishes it unless there is a file of its final name; the answer is whether it was published.
    /// Two that publish the same name at the same time cannot both be told `true`.
    ///
    /// # Errors
    /// As [`Self::publish`].
    pub async fn publish_new(self) -> Result<bool, Failure> {
        faults::bulk(move || {
            let Self { temporary, target, attempt } = self;
            let told = |error: &std::io::Error| failure(attempt, &target, error);
            sync_file(&temporary).map_err(|error| told(&error))?;
            match temporary.persist_noclobber(&target) {
                Ok(()) => sync_dir(directory_of(&target)).map(|()| true).map_err(|error| told(&error)),
                Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(told(&error.error)),
            }
        })
        .await
    }
}

/// Removes the pending files beside `target` that carry `tag`. Blocks. Errors are left: the files only take space.
pub(super) fn remove_stale(target: &Path, tag: &str) {
    let prefix = prefix(target, tag);
    let Ok(entries) = std::fs::read_dir(directory_of(target)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let stale = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name.ends_with(SUFFIX));
        if stale && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::debug!(path = %entry.path().display(), %error, "cannot remove a pending file of a killed worker");
        }
    }
}

fn directory_of(target: &Path) -> &Path {
    target.parent().unwrap_or(Path::new("/"))
}

fn prefix(target: &Path, tag: &str) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut end = name.len().min(MAX_STEM_BYTES);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!(".{}.{tag}-", &name[..end])
}

#[cfg(test)]
mod tests;

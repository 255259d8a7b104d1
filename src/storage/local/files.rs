//! Files that are being written: hidden, unique names beside the final one, on the same file system, so that a rename
//! publishes them whole. One that a killed worker left is recognised by the tag of its plan.

use std::fs::Permissions;
use std::io::{Error, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::ports::Answer;
use tempfile::TempPath;

use super::super::faults::{self, Attempt, failure};
use super::super::pending::{IfTaken, Pending, Publish};
use super::durable::{create_dirs, sync_dir, sync_file};

const SUFFIX: &str = ".part";
/// Random letters in a name: enough that the workers of a fleet do not meet.
const RANDOM_LETTERS: usize = 10;
/// Bytes of the final name that go into the temporary one; file systems allow 255 for the whole.
const MAX_STEM_BYTES: usize = 180;

/// The files below a directory, as things to write.
#[derive(Clone, Debug)]
pub(super) struct LocalFiles {
    root: PathBuf,
    attempt: Attempt,
}

impl LocalFiles {
    /// `attempt` says whose fault it is where one cannot be written.
    pub(super) fn new(root: PathBuf, attempt: Attempt) -> Self {
        Self { root, attempt }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn pending(&self, name: &str, tag: &str) -> Answer<Pending> {
        let (files, name, tag) = (self.clone(), name.to_owned(), tag.to_owned());
        Box::pin(faults::small(move || {
            let file = files.create(&files.root.join(&name), &tag)?;
            Ok(Pending::new(file, name, files.attempt, Arc::new(files)))
        }))
    }

    /// Makes an empty file beside `target`, and the directory where it is missing. Blocks.
    pub(super) fn create(&self, target: &Path, tag: &str) -> Result<TempPath, Failure> {
        let directory = directory_of(target);
        create_dirs(directory).map_err(|error| failure(self.attempt, directory, &error))?;
        let file = tempfile::Builder::new()
            .prefix(&prefix(target, tag))
            .suffix(SUFFIX)
            .rand_bytes(RANDOM_LETTERS)
            // The user's mask applies, as it does to every file that a program makes.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(directory)
            .map_err(|error| failure(self.attempt, directory, &error))?;
        Ok(file.into_temp_path())
    }
}

impl Publish for LocalFiles {
    fn publish(&self, file: TempPath, name: String, if_taken: IfTaken) -> Answer<bool> {
        let (target, attempt) = (self.root.join(name), self.attempt);
        Box::pin(faults::bulk(move || {
            publish(file, &target, if_taken).map_err(|error| failure(attempt, &target, &error))
        }))
    }
}

/// A file that cannot be made durable or renamed is removed.
fn publish(file: TempPath, target: &Path, if_taken: IfTaken) -> Result<bool, Error> {
    sync_file(&file)?;
    let renamed = match if_taken {
        IfTaken::Replace => file.persist(target),
        IfTaken::Keep => file.persist_noclobber(target),
    };
    match renamed {
        Ok(()) => sync_dir(directory_of(target)).map(|()| true),
        Err(error) if if_taken == IfTaken::Keep && error.error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
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

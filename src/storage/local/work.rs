//! The work storage in a directory that all workers see. Must never follow a name that leads out of it.

use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::ports::Answer;
use object_store::local::LocalFileSystem;

use super::super::documents::Documents;
use super::super::faults::{self, Attempt, failure};
use super::super::objects::{LocalInput, WorkObjects};
use super::super::pending::Pending;
use super::super::scratch::Scratch;
use super::durable::{create_dirs, sync_dir, sync_file};
use super::files::LocalFiles;

/// Tries to remove a directory into which a running task of the job still writes.
const REMOVE_TRIES: usize = 3;

#[derive(Debug)]
pub(super) struct LocalWork {
    files: LocalFiles,
    documents: Documents,
}

impl LocalWork {
    /// Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let told = |error: &dyn std::fmt::Display| Failure::permanent(error.to_string());
        create_dirs(path).map_err(|error| told(&error))?;
        // One that cannot be written is found now and not by the first job.
        match tempfile::tempfile_in(path) {
            // Somebody will free some space; until then the worker is not ready.
            Err(error) if Failure::of_full_storage(path, &error).is_some() => {
                tracing::warn!(path = %path.display(), "no space left in the work storage, free some");
            }
            other => drop(other.map_err(|error| told(&error))?),
        }
        let root = path.canonicalize().map_err(|error| told(&error))?;
        let store = LocalFileSystem::new_with_prefix(&root).map_err(|error| told(&error))?.with_fsync(true);
        Ok(Self { files: LocalFiles::new(root, Attempt::Work), documents: Documents::new(Arc::new(store)) })
    }

    fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = Path::new(name);
        if name.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Failure::permanent(format!("`{}` is no name in the work storage", name.escape_debug())));
        }
        Ok(self.files.root().join(path))
    }
}

impl WorkObjects for LocalWork {
    fn documents(&self) -> &Documents {
        &self.documents
    }

    fn size(&self, name: &str) -> Answer<Option<u64>> {
        let path = self.path(name);
        Box::pin(faults::small(move || file_size(&path?)))
    }

    fn fetch(&self, name: &str) -> Answer<LocalInput> {
        let path = self.path(name);
        Box::pin(async { path.map(LocalInput::new) })
    }

    fn pending(&self, name: &str, tag: &str) -> Answer<Pending> {
        match self.path(name) {
            Ok(_) => self.files.pending(name, tag),
            Err(failure) => Box::pin(async { Err(failure) }),
        }
    }

    fn scratch(&self, prefix: &str) -> Answer<Scratch> {
        let parent = self.path(prefix);
        Box::pin(faults::small(move || scratch(&parent?)))
    }

    fn publish_all(&self, scratch: &Path, names: Vec<String>, prefix: &str) -> Answer<()> {
        let (from, to) = (scratch.to_owned(), self.path(prefix));
        Box::pin(faults::bulk(move || publish_all(&from, &names, &to?)))
    }

    fn children(&self, prefix: &str) -> Answer<Vec<String>> {
        let directory = self.path(prefix);
        Box::pin(faults::small(move || children(&directory?)))
    }

    fn remove_all(&self, prefix: &str) -> Answer<()> {
        let directory = self.path(prefix);
        Box::pin(faults::bulk(move || remove_directory(&directory?)))
    }

    fn free_bytes(&self) -> Answer<Option<u64>> {
        let root = self.files.root().to_owned();
        Box::pin(faults::small(move || free_bytes(&root).map(Some).map_err(|error| at(&root, &error))))
    }
}

fn at(path: &Path, error: &io::Error) -> Failure {
    failure(Attempt::Work, path, error)
}

fn file_size(path: &Path) -> Result<Option<u64>, Failure> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then_some(metadata.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(path, &error)),
    }
}

/// In the work storage itself, so that what it holds is published by renaming.
fn scratch(parent: &Path) -> Result<Scratch, Failure> {
    create_dirs(parent)
        .and_then(|()| tempfile::Builder::new().prefix("split-").rand_bytes(10).tempdir_in(parent))
        .map(Scratch::new)
        .map_err(|error| at(parent, &error))
}

fn publish_all(from: &Path, names: &[String], to: &Path) -> Result<(), Failure> {
    create_dirs(to).map_err(|error| at(to, &error))?;
    for name in names {
        let (from, to) = (from.join(name), to.join(name));
        sync_file(&from).and_then(|()| std::fs::rename(&from, &to)).map_err(|error| at(&from, &error))?;
    }
    sync_dir(to).map_err(|error| at(to, &error))
}

fn children(directory: &Path) -> Result<Vec<String>, Failure> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(directory, &error)),
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn remove_directory(directory: &Path) -> Result<(), Failure> {
    for _ in 1..REMOVE_TRIES {
        match std::fs::remove_dir_all(directory) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            other => return removed(directory, other),
        }
    }
    removed(directory, std::fs::remove_dir_all(directory))
}

fn removed(directory: &Path, result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(at(directory, &error)),
        _ => Ok(()),
    }
}

/// What a program without privileges may still write. A file system without a name left for a file is full as well.
fn free_bytes(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    let out_of_files = found.f_files > 0 && found.f_favail == 0;
    Ok(if out_of_files { 0 } else { found.f_bavail.saturating_mul(found.f_frsize) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_space_of_a_file_system_is_what_it_says() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(free_bytes(directory.path()).expect("an answer") > 0);
        assert!(free_bytes(&directory.path().join("missing")).is_err());
        // A file system of the kernel has room for nothing.
        assert_eq!(free_bytes(Path::new("/proc")).expect("an answer"), 0);
    }

    #[tokio::test]
    async fn a_name_that_leads_elsewhere_is_refused() {
        let directory = tempfile::tempdir().expect("a directory");
        let inside = directory.path().join("work");
        std::fs::write(directory.path().join("secret"), "film").expect("written");
        let work = LocalWork::open(&inside).expect("a work storage");
        let outside = directory.path().join("secret");
        for name in ["", "..", "../secret", "job/../../secret", "./job", outside.to_str().expect("text")] {
            assert!(work.size(name).await.is_err(), "{name}");
            assert!(work.fetch(name).await.is_err(), "{name}");
            assert!(work.pending(name, "tag").await.is_err(), "{name}");
            assert!(work.scratch(name).await.is_err(), "{name}");
            assert!(work.publish_all(directory.path(), vec!["secret".into()], name).await.is_err(), "{name}");
            assert!(work.children(name).await.is_err(), "{name}");
            assert!(work.remove_all(name).await.is_err(), "{name}");
        }
        assert!(inside.is_dir() && outside.is_file());
    }
}

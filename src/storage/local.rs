//! Files of this machine, or of a file system that is mounted here, as [`Objects`]: the storage of `file://`. An object
//! is named by its absolute path and is read where it is; one that is pending lies beside its final name.

mod durable;
mod files;
mod uri;
mod work;

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::SourceIdentity;
use actors::ports::Answer;
use url::Url;

use self::files::LocalFiles;
use self::work::LocalWork;
use super::faults::{self, Attempt, failure};
use super::objects::{Existing, LocalInput, Location, Objects, WorkObjects};
use super::pending::Pending;
use crate::digest;

pub use self::uri::{file_path, file_uri};

/// All files that this machine sees.
#[derive(Debug)]
struct LocalObjects {
    files: LocalFiles,
}

/// Where a file URI points.
pub(super) fn locate(uri: &str, url: &Url) -> Result<Location, Failure> {
    let name = uri::path_of(uri, url)?;
    // A name is an absolute path already.
    let files = LocalFiles::new(PathBuf::new(), Attempt::WriteOutput);
    Ok(Location { objects: Arc::new(LocalObjects { files }), name })
}

impl Objects for LocalObjects {
    fn identify(&self, name: &str) -> Answer<SourceIdentity> {
        let path = PathBuf::from(name);
        Box::pin(faults::small(move || identify(&path)))
    }

    fn fetch(&self, name: &str) -> Answer<LocalInput> {
        let path = PathBuf::from(name);
        Box::pin(faults::small(move || identify(&path).map(|_| LocalInput::new(path))))
    }

    fn check_writable(&self, name: &str) -> Answer<bool> {
        let (files, path) = (self.files.clone(), PathBuf::from(name));
        Box::pin(faults::small(move || check_writable(&files, &path)))
    }

    fn pending(&self, name: &str, tag: &str) -> Answer<Pending> {
        self.files.pending(name, tag)
    }

    fn remove_stale(&self, name: &str, tag: &str) -> Answer<()> {
        let (path, tag) = (PathBuf::from(name), tag.to_owned());
        Box::pin(faults::small(move || {
            files::remove_stale(&path, &tag);
            Ok(())
        }))
    }

    fn compare(&self, name: &str, bytes: u64, sha256: &str) -> Answer<Existing> {
        let (path, sha256) = (PathBuf::from(name), sha256.to_owned());
        Box::pin(faults::bulk(move || compare(&path, bytes, &sha256)))
    }

    fn open_work(&self, name: &str) -> Result<Arc<dyn WorkObjects>, Failure> {
        Ok(Arc::new(LocalWork::open(Path::new(name))?))
    }
}

/// Size and last change.
fn identify(path: &Path) -> Result<SourceIdentity, Failure> {
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

/// Makes the directory of the file and a file in it, which is removed again.
fn check_writable(files: &LocalFiles, path: &Path) -> Result<bool, Failure> {
    if path.is_dir() {
        return Err(Failure::permanent(format!("the output {} is a directory, name a file", path.display())));
    }
    // Replacing a device would be a disaster.
    if path.exists() && !path.is_file() {
        return Err(Failure::permanent(format!("the output {} is no ordinary file, name another one", path.display())));
    }
    files.create(path, "check")?;
    path.try_exists().map_err(|error| failure(Attempt::WriteOutput, path, &error))
}

fn compare(path: &Path, bytes: u64, sha256: &str) -> Result<Existing, Failure> {
    let told = |error: std::io::Error| failure(Attempt::WriteOutput, path, &error);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Existing::Nothing),
        Err(error) => return Err(told(error)),
    };
    if !metadata.is_file() || metadata.len() != bytes {
        return Ok(Existing::Other);
    }
    let (_, found) = digest::of_file(path).map_err(told)?;
    Ok(if found == sha256 { Existing::Same } else { Existing::Other })
}

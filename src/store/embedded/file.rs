//! The file of the embedded store: opened by one process at a time, and never left half made.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use redb::{Database, DatabaseError, StorageError};

/// Name of the file in its directory.
pub(in super::super) const NAME: &str = "checkpoints.redb";
/// The whole of what a machine keeps of its own jobs fits; redb's own default is a gigabyte.
const CACHE_BYTES: usize = 16 << 20;
/// Length of the magic number at the beginning, which redb writes last when it makes a file.
const MAGIC_BYTES: usize = 9;

/// Opens the database in `dir`, and makes both where they are not there; `None` where another process has it open.
/// Blocks.
pub(super) fn open(dir: &Path) -> Result<Option<Database>, Failure> {
    let path = dir.join(NAME);
    let unusable = |error: &std::io::Error| {
        Failure::retryable(format!("the checkpoint store {} cannot be used: {error}", path.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| unusable(&error))?;
    let file = match prepared(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(unusable(&error)),
    };
    // Makes the name of a new file durable.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| unusable(&error))?;
    let create = || Database::builder().set_cache_size(CACHE_BYTES).create_with_file_format_v3(true).create_file(file);
    // redb asserts that a file is as long as its header says.
    match catch_unwind(AssertUnwindSafe(create)) {
        Ok(Ok(database)) => Ok(Some(database)),
        Ok(Err(DatabaseError::DatabaseAlreadyOpen)) => Ok(None),
        Ok(Err(DatabaseError::Storage(StorageError::Io(error)))) if error.kind() != ErrorKind::InvalidData => {
            Err(unusable(&error))
        }
        Ok(Err(_)) | Err(_) => Err(damaged(&path)),
    }
}

/// The locked file, empty where the process that made it was killed before it was done.
fn prepared(path: &Path) -> std::io::Result<File> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    // The lock that redb takes as well, and keeps: what follows must not meet another process.
    // SAFETY: the descriptor is that of an open file.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let mut magic = Vec::new();
    (&mut file).take(MAGIC_BYTES as u64).read_to_end(&mut magic)?;
    if magic.iter().all(|byte| *byte == 0) {
        file.set_len(0)?;
    }
    file.rewind()?;
    Ok(file)
}

/// Where another process has it open.
pub(super) fn in_use(dir: &Path) -> Failure {
    Failure::retryable(format!(
        "the checkpoint store {} is in use by another process: wait for its end, or use another work directory",
        dir.join(NAME).display()
    ))
}

fn damaged(path: &Path) -> Failure {
    let moved: PathBuf = path.with_extension("damaged");
    Failure::retryable(format!(
        "the checkpoint store {} is damaged: move it away (say to {}), the parts that are done stay in the work storage",
        path.display(),
        moved.display()
    ))
}

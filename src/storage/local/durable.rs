//! Files and names that survive a loss of power: what is written is flushed, and so is the directory that names it.
//! All of it blocks.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Flushes a file's content.
pub(super) fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Flushes the names in a directory.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a directory with all above it; each new one is named durably.
pub(super) fn create_dirs(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_dirs(parent)?;
        match fs::create_dir(path) {
            // Another worker was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            other => other?,
        }
        return sync_dir(parent);
    }
    fs::create_dir(path)
}

//! The digest of a file that lies on a disk: what says that a part is the one that was recorded, and an output ours.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;

use actors::domain::job::hex;
use sha2::{Digest as _, Sha256};

/// Bytes read at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// Size and SHA-256 (in hex) of a file.
///
/// # Errors
/// What the file system says.
pub fn of_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok((bytes, hex(&digest.finalize()))),
            Ok(length) => {
                digest.update(&block[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

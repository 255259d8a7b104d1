//! The boxes in a file, found by their headers (ISO/IEC 14496-12, 4.2).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// A movie has a header and a few tracks.
const MAX_CHILDREN: usize = 1000;

/// Where a box is.
pub(super) struct Header {
    pub kind: [u8; 4],
    /// First byte of its content.
    pub body: u64,
    /// The byte behind it.
    pub end: u64,
}

/// The first box at the end of a `path` of kinds.
pub(super) fn find(file: &mut File, within: &Header, path: &[&[u8; 4]]) -> io::Result<Option<Header>> {
    let mut found = Header { ..*within };
    for kind in path {
        match children(file, found.body, found.end)?.into_iter().find(|child| &&child.kind == kind) {
            Some(child) => found = child,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

pub(super) fn children(file: &mut File, from: u64, to: u64) -> io::Result<Vec<Header>> {
    let mut children = Vec::new();
    let mut at = from;
    while let Some(header) = header(file, at, to)?.filter(|_| children.len() < MAX_CHILDREN) {
        at = header.end;
        children.push(header);
    }
    Ok(children)
}

pub(super) fn header(file: &mut File, at: u64, limit: u64) -> io::Result<Option<Header>> {
    let limit = limit.min(file.metadata()?.len());
    if at + 8 > limit {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut bytes[..8])?;
    let kind = [bytes[4], bytes[5], bytes[6], bytes[7]];
    if !kind.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ' || *byte == 0xa9) {
        return Ok(None);
    }
    let (size, head) = match number(&bytes[..4]) {
        // To the end of the file.
        0 => (limit - at, 8),
        1 if at + 16 <= limit => {
            file.read_exact(&mut bytes[8..])?;
            (number(&bytes[8..]), 16)
        }
        size => (size, 8),
    };
    if size < head {
        return Ok(None);
    }
    Ok(Some(Header { kind, body: at + head, end: at.saturating_add(size) }))
}

pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

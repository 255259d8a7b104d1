//! Whether an MP4 or QuickTime file is whole: its outermost boxes, found by their headers (ISO/IEC 14496-12, 4.2).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Files have a handful of boxes; fragmented ones have two a fragment.
const MAX_BOXES: u32 = 4_000_000;
/// Types that an MP4 or QuickTime file begins with.
const BEGINNINGS: [&[u8; 4]; 8] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"];

/// The boxes of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    /// Whether there is a `moov` box.
    pub has_index: bool,
    /// Type of the box in which the file ends, if it ends inside one.
    pub cut: Option<String>,
}

/// Where a box is.
struct Header {
    kind: [u8; 4],
    /// The byte behind it.
    end: u64,
}

impl Boxes {
    /// Reads the boxes of `file`; `None` where it is another kind of file.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn read(file: &mut File) -> io::Result<Option<Self>> {
        let length = file.metadata()?.len();
        let mut found = Self::default();
        let mut at = 0;
        for number in 0..MAX_BOXES {
            let Some(header) = header(file, at, length)? else { break };
            if number == 0 && !BEGINNINGS.contains(&&header.kind) {
                return Ok(None);
            }
            if header.end > length {
                found.cut = Some(String::from_utf8_lossy(&header.kind).into_owned());
            }
            found.has_index |= &header.kind == b"moov";
            at = header.end;
            if at >= length {
                break;
            }
        }
        Ok((at > 0).then_some(found))
    }
}

fn header(file: &mut File, at: u64, length: u64) -> io::Result<Option<Header>> {
    if at + 8 > length {
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
        0 => (length - at, 8),
        1 if at + 16 <= length => {
            file.read_exact(&mut bytes[8..])?;
            (number(&bytes[8..]), 16)
        }
        size => (size, 8),
    };
    Ok((size >= head).then(|| Header { kind, end: at.saturating_add(size) }))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes()[..], kind, body].concat()
    }

    fn movie() -> Vec<u8> {
        [boxed(b"ftyp", b"isom0000"), boxed(b"moov", &boxed(b"mvhd", &[0; 100]))].concat()
    }

    fn read(bytes: &[u8]) -> Option<Boxes> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        Boxes::read(&mut file).expect("readable")
    }

    #[test]
    fn a_file_that_ends_inside_a_box_is_cut() {
        let whole = [movie(), boxed(b"mdat", &[7; 1000])].concat();
        assert_eq!(read(&whole).expect("an MP4 file").cut, None);
        assert_eq!(read(&whole[..whole.len() - 1]).expect("an MP4 file").cut.as_deref(), Some("mdat"));
        let last = [boxed(b"ftyp", b"isom0000"), boxed(b"mdat", &[7; 1000])].concat();
        assert!(!read(&last).expect("an MP4 file").has_index);
    }

    #[test]
    fn other_files_are_none_of_ours() {
        for bytes in [&b"RIFF0000AVI LIST"[..], b"hello this is text", b"", b"\x1a\x45\xdf\xa3\0\0\0\0\0\0\0\0"] {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
        for end in 0..movie().len() {
            // However little there is, it does not panic.
            let _ = read(&movie()[..end]);
        }
    }
}

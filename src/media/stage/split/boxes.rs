//! Whether a file is whole, as far as its outermost structure says: boxes of MP4 and QuickTime, found by their headers (ISO/IEC
//! 14496-12, 4.2), and the segment of Matroska (RFC 9559, 4.5).

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

/// Files have a handful of boxes; fragmented ones have two a fragment.
const MAX_BOXES: u32 = 4_000_000;
/// Types that an MP4 or QuickTime file begins with.
const BEGINNINGS: [&[u8; 4]; 8] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"];

/// Bytes in which the header of a Matroska file and the beginning of its segment lie.
const MAX_EBML_HEADER: u64 = 4096;

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

/// Whether a Matroska file ends before its segment does; a segment that was written without a known length does not say.
///
/// # Errors
/// Where the file cannot be read.
pub fn is_cut_matroska(file: &mut File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.by_ref().take(MAX_EBML_HEADER).read_to_end(&mut start)?;
    let Some(rest) = start.strip_prefix(&[0x1a, 0x45, 0xdf, 0xa3]) else { return Ok(false) };
    let segment = ebml_size(rest).and_then(|(width, size)| {
        let at = 4 + width + usize::try_from(size?).ok()?;
        let rest = start.get(at..)?.strip_prefix(&[0x18, 0x53, 0x80, 0x67])?;
        let (width, size) = ebml_size(rest)?;
        Some((at + 4 + width) as u64 + size?)
    });
    Ok(segment.is_some_and(|end| end > length))
}

/// A size of EBML (RFC 8794, 5): how many bytes it takes, and the number; `None` in it where it is unknown.
fn ebml_size(bytes: &[u8]) -> Option<(usize, Option<u64>)> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() as usize + 1;
    let value = number(bytes.get(..width)?);
    let ones = (1u64 << (7 * width)).checked_sub(1)?;
    Some((width, Some(value & ones).filter(|value| *value != ones)))
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
    fn a_matroska_file_that_ends_before_its_segment_is_cut() {
        let is_cut = |bytes: &[u8]| {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(bytes).expect("written");
            is_cut_matroska(&mut file).expect("readable")
        };
        let file =
            |size: &[u8]| [&[0x1a, 0x45, 0xdf, 0xa3, 0x82, 1, 2, 0x18, 0x53, 0x80, 0x67][..], size, &[7; 10]].concat();
        assert!(!is_cut(&file(&[0x8a])) && is_cut(&file(&[0x8b])));
        assert!(!is_cut(&file(&[0x40, 10])) && is_cut(&file(&[0x01, 0, 0, 0, 0, 0, 0, 11])));
        assert!(!is_cut(&file(&[0xff])) && !is_cut(&file(&[0x01, 255, 255, 255, 255, 255, 255, 255])), "unknown");
        for end in 0..file(&[0x8b]).len() {
            let _ = is_cut(&file(&[0x8b])[..end]);
        }
        assert!(!is_cut(&movie()));
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

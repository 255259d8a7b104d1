//! What the boxes of an MP4 or QuickTime file tell before it is demuxed: whether the file is whole, how long it says it
//! is, and patches that keep `qtdemux` from mistakes: the end lost, pictures turned wrongly ([`turn`]), channels in each
//! other's place ([`seats`]).

mod length;
mod seats;
mod turn;

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use gstreamer as gst;

use length::Length;
use turn::Matrix;

/// Files have a handful of boxes; fragmented ones have two a fragment.
const MAX_BOXES: u32 = 4_000_000;
/// A movie has a header and a few tracks.
const MAX_CHILDREN: usize = 1000;
/// Types that an MP4 or QuickTime file begins with.
const BEGINNINGS: [&[u8; 4]; 8] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"];

/// Bytes to be put in place of those of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    offset: u64,
    bytes: Vec<u8>,
}

impl Patch {
    /// Changes a buffer that was read from `offset` of the file.
    pub fn apply(&self, offset: u64, buffer: &mut gst::Buffer) {
        let (start, end) = (self.offset.max(offset), self.end().min(offset + buffer.size() as u64));
        if start >= end {
            return;
        }
        let (from, to) = ((start - self.offset) as usize, (end - self.offset) as usize);
        if buffer.make_mut().copy_from_slice((start - offset) as usize, &self.bytes[from..to]).is_err() {
            tracing::warn!("the length of the movie cannot be patched, the end of the audio can be missing");
        }
    }

    fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

/// The boxes of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    /// Length of the movie as its header says, where it says one.
    pub duration_ns: Option<u64>,
    /// Whether there is a `moov` box.
    pub has_index: bool,
    /// Type of the box in which the file ends, if it ends inside one.
    pub cut: Option<String>,
    /// What to change for `qtdemux`.
    pub patches: Vec<Patch>,
}

struct Header {
    kind: [u8; 4],
    body: u64,
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
            if &header.kind == b"moov" {
                found.has_index = true;
                found.movie(file, header.body, header.end.min(length))?;
            }
            at = header.end;
            if at >= length {
                break;
            }
        }
        Ok((at > 0).then_some(found))
    }

    fn movie(&mut self, file: &mut File, from: u64, to: u64) -> io::Result<()> {
        let mut movie = None;
        let mut display = None;
        let mut tracks = Vec::new();
        for header in children(file, from, to)? {
            match (&header.kind, &movie) {
                (b"mvhd", _) => {
                    movie = Length::read(file, header.body)?;
                    display = Matrix::of_movie(file, header.body)?;
                }
                (b"trak", _) => {
                    if let Some((media, patch)) = length::track(file, &header)? {
                        self.patches.extend(patch);
                        tracks.push(media);
                    }
                    self.patches.extend(turn::patches(file, &header, display.as_ref())?);
                    self.patches.extend(seats::patch(file, header)?);
                }
                (b"mvex", Some(movie)) => self.patches.extend(length::fragments(file, &header, movie)?),
                _ => {}
            }
        }
        if let Some(movie) = movie.filter(Length::is_known) {
            self.duration_ns = movie.ns();
            self.patches.extend(length::longer(&movie, &tracks));
        }
        Ok(())
    }
}

/// The first box at the end of a `path` of kinds.
fn find(file: &mut File, within: &Header, path: &[&[u8; 4]]) -> io::Result<Option<Header>> {
    let mut found = Header { ..*within };
    for kind in path {
        match children(file, found.body, found.end)?.into_iter().find(|child| &&child.kind == kind) {
            Some(child) => found = child,
            None => return Ok(None),
        }
    }
    Ok(Some(found))
}

fn children(file: &mut File, from: u64, to: u64) -> io::Result<Vec<Header>> {
    let mut children = Vec::new();
    let mut at = from;
    while let Some(header) = header(file, at, to)?.filter(|_| children.len() < MAX_CHILDREN) {
        at = header.end;
        children.push(header);
    }
    Ok(children)
}

fn header(file: &mut File, at: u64, limit: u64) -> io::Result<Option<Header>> {
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

    /// A movie of 1000 ticks a second, with tracks of these media lengths in milliseconds.
    fn movie(ticks: u32, tracks: &[u32]) -> Vec<u8> {
        let head = |ticks: u32| {
            let mut body = vec![0; 100];
            body[12..16].copy_from_slice(&1000u32.to_be_bytes());
            body[16..20].copy_from_slice(&ticks.to_be_bytes());
            body
        };
        let mut body = boxed(b"mvhd", &head(ticks));
        for track in tracks {
            body.extend(boxed(
                b"trak",
                &[boxed(b"tkhd", &[0; 84]), boxed(b"mdia", &boxed(b"mdhd", &head(*track)))].concat(),
            ));
        }
        [boxed(b"ftyp", b"isom0000"), boxed(b"moov", &body)].concat()
    }

    fn read(bytes: &[u8]) -> Option<Boxes> {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(bytes).expect("written");
        Boxes::read(&mut file).expect("readable")
    }

    #[test]
    fn a_movie_shorter_than_its_media_is_shown_as_longer() {
        let bytes = movie(6700, &[8080, 7918]);
        let boxes = read(&bytes).expect("an MP4 file");
        assert_eq!(boxes.duration_ns, Some(6_700_000_000));
        assert!(boxes.has_index && boxes.cut.is_none());
        gst::init().expect("GStreamer");
        // In two halves, as a demuxer may read them.
        for split in 16..bytes.len() {
            let mut halves = [&bytes[..split], &bytes[split..]].map(|half| gst::Buffer::from_slice(half.to_vec()));
            boxes.patches[0].apply(0, &mut halves[0]);
            boxes.patches[0].apply(split as u64, &mut halves[1]);
            let whole = halves.map(|half| half.map_readable().expect("bytes").to_vec()).concat();
            assert_eq!(whole, movie(9080, &[8080, 7918]), "{split}");
        }
    }

    #[test]
    fn no_track_becomes_one_that_is_left_out_for_being_short() {
        let boxes = read(&movie(10_000, &[100_000, 10_000])).expect("an MP4 file");
        assert_eq!(boxes.patches[0].bytes, 50_000u32.to_be_bytes());
        let boxes = read(&movie(10_000, &[10_000, 40])).expect("an MP4 file");
        assert_eq!(boxes.patches[0].bytes, 11_000u32.to_be_bytes());
    }

    #[test]
    fn a_length_that_is_not_known_is_left_alone() {
        for duration in [0, u32::MAX] {
            let boxes = read(&movie(duration, &[5000])).expect("an MP4 file");
            assert_eq!((boxes.duration_ns, boxes.patches), (None, vec![]));
        }
        assert_eq!(read(&movie(1000, &[])).expect("an MP4 file").patches, vec![]);
    }

    #[test]
    fn a_file_that_ends_inside_a_box_is_cut() {
        let whole = [movie(1000, &[1000]), boxed(b"mdat", &[7; 1000])].concat();
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
        for end in 0..movie(1000, &[1]).len() {
            // However little there is, it does not panic.
            let _ = read(&movie(1000, &[1])[..end]);
        }
    }
}

//! What the boxes of an MP4 or QuickTime file tell before it is demuxed: whether the file is whole, how long it says it
//! is, and patches that keep `qtdemux` from mistakes: the end lost, pictures turned wrongly ([`turn`]), channels in each
//! other's place ([`seats`]).

mod header;
mod length;
mod patch;
mod seats;
mod turn;

use std::fs::File;
use std::io;

use header::{children, header};
use length::Length;
pub use patch::Patch;
use turn::Matrix;

/// Files have a handful of boxes; fragmented ones have two a fragment.
const MAX_BOXES: u32 = 4_000_000;
/// Types that an MP4 or QuickTime file begins with.
const BEGINNINGS: [&[u8; 4]; 8] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp"];

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

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer as gst;
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

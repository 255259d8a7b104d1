//! Reads containers with libavformat: which tracks there are, and their packets with exact times. It is what most players
//! read with, so that what they show is what is read here: edit lists, priming, lacing, jumps. Used by the split, by the encode
//! for pictures, and by the verification for both the input and the output.
//! Never believes the length that a header says.
//!
//! * [`choice`]: which tracks are used; [`caps`]: the codecs that are read, and their caps
//! * [`film`]: the tracks that are used, on one timeline
//! * [`decoder`], [`thumbnail`], [`samples`]: its pictures and its sound; [`alpha`]: without their alpha channel; [`component`],
//!   [`widened`]: of formats that GStreamer has not;
//!   [`picture`]: as frames of GStreamer
//! * [`described`]: what a decoder has to know, in the caps of units
//! * [`packet`]: a packet and what its container says of it
//! * [`track`]: what is known of a track
//! * [`jumps`]: breaks in the clock of a transport stream; [`order`]: times of decoding in the place of those of presentation;
//!   [`vorbis`]: lengths of its packets
//!
//! The calls into C are all in this folder. They get nothing but local files of the kinds in [`FORMATS`].

mod alpha;
pub mod caps;
pub mod choice;
mod component;
pub mod decoder;
pub mod described;
pub mod film;
mod jumps;
mod order;
pub mod packet;
pub mod picture;
pub mod samples;
pub mod thumbnail;
pub mod track;
mod vorbis;
pub mod widened;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Once;

use actors::domain::failure::Failure;
use ffmpeg_the_third::codec::Id;
use ffmpeg_the_third::format::context::Input;
use ffmpeg_the_third::{self as av, ffi};

use jumps::Jumps;
use packet::Packet;
use track::{Kind, Track};
use vorbis::Lengths;

/// What is read, by the names that libavformat has for it. Whatever is not here is refused by its name, before a byte of
/// it is parsed.
pub const FORMATS: [&str; 32] = [
    "mov",
    "mp4",
    "m4a",
    "3gp",
    "3g2",
    "mj2",
    "matroska",
    "webm",
    "mpegts",
    "mpeg",
    "flv",
    "avi",
    "asf",
    "mxf",
    "ogg",
    "gif",
    "dv",
    "h264",
    "hevc",
    "obu",
    "ivf",
    "mpegvideo",
    "m4v",
    "mp3",
    "aac",
    "flac",
    "wav",
    "w64",
    "aiff",
    "ac3",
    "eac3",
    "dts",
];

/// Errors in a row after which a file is at its end: a damaged packet is followed by others, a damaged index is not.
const MAX_ERRORS: u32 = 100;

/// Whether a call failed for the storage's sake, and not for that of the media.
const IO_ERRORS: [i32; 4] = [libc::EIO, libc::ESTALE, libc::ENOMEM, libc::ETIMEDOUT];

/// An open file.
pub struct Reader {
    input: Input,
    tracks: Vec<Track>,
    jumps: Option<Jumps>,
    // AVI has one time for each unit, and they count in decoding order.
    in_decoding_order: bool,
    // By track.
    vorbis: Vec<Option<Lengths>>,
    // Samples of each track that are still not to be heard.
    priming: Vec<u64>,
    num_errors: u32,
}

impl Reader {
    /// Opens a file and looks at its beginning.
    ///
    /// # Errors
    /// `permanent` where it is of no kind that is read, or too damaged to begin with; `retryable` where the disk is at fault.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        prepare();
        let input = open(path)?;
        let tracks: Vec<_> = input.streams().map(|stream| Track::new(&stream)).collect();
        let breaks = input.format().flags().contains(av::format::Flags::TS_DISCONT);
        // Matroska has a delay for the track and moves its times by it, but marks no packet. Others mark packets.
        let delayed = input.format().name().contains("matroska");
        let priming = tracks.iter().map(|track| if delayed { track.priming() } else { 0 }).collect();
        let in_decoding_order = input.format().name() == "avi";
        let lengths =
            |track: &Track| (track.codec == Id::VORBIS).then(|| Lengths::new(track.configuration())).flatten();
        let vorbis = tracks.iter().map(lengths).collect();
        Ok(Self {
            vorbis,
            in_decoding_order,
            jumps: breaks.then(|| Jumps::new(tracks.len())),
            input,
            tracks,
            priming,
            num_errors: 0,
        })
    }

    /// libavformat's names of the container, by commas.
    pub fn container(&self) -> String {
        self.input.format().name().to_owned()
    }

    /// Its tracks, in the order of the container.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Reads nothing of the tracks that are not `used`.
    pub fn only(&mut self, used: &[usize]) {
        for index in (0..self.tracks.len()).filter(|index| !used.contains(index)) {
            if let Some(mut stream) = self.input.stream_mut(index) {
                // SAFETY: the stream belongs to the input, which is borrowed mutably.
                unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::ALL };
            }
        }
    }

    /// About how long the file plays, in nanoseconds: a header says it, or bit rate and size let guess it. Good enough to
    /// choose a length for chunks, and for nothing else.
    pub fn guessed_ns(&self) -> Option<u64> {
        u64::try_from(self.input.duration()).ok().filter(|us| *us > 0).map(|us| us.saturating_mul(1000))
    }

    /// Length that a header of the file says, in nanoseconds.
    pub fn said_ns(&self) -> Option<u64> {
        // SAFETY: the context is open.
        let method = unsafe { (*self.input.as_ptr()).duration_estimation_method };
        self.guessed_ns().filter(|_| method == ffi::AVDurationEstimationMethod::STREAM)
    }

    /// When a track begins, as far as its beginning was looked at, in nanoseconds.
    pub fn start_ns(&self, track: usize) -> Option<i64> {
        let start = self.input.stream(track)?.start_time();
        (start != ffi::AV_NOPTS_VALUE).then(|| self.tracks[track].ns(start))
    }

    /// The next packet of a track that is read, in the order of the file; `None` at the end.
    ///
    /// # Errors
    /// `retryable` where the disk is at fault.
    pub fn packet(&mut self) -> Result<Option<Packet>, Failure> {
        while self.num_errors < MAX_ERRORS {
            let mut raw = av::Packet::empty();
            match raw.read(&mut self.input) {
                Ok(()) => {
                    self.num_errors = 0;
                    let Some(track) = self.tracks.get(raw.stream()) else { continue };
                    let mut packet = Packet::new(raw, track);
                    if let Some(lengths) = &mut self.vorbis[packet.track]
                        && let Some(samples) = lengths.samples(packet.bytes())
                    {
                        packet.duration = track.near(samples, packet.duration);
                    }
                    if self.in_decoding_order && track.kind == Kind::Video {
                        packet.pts = None;
                    }
                    packet.prime(track, &mut self.priming[packet.track]);
                    if let Some(jumps) = &mut self.jumps {
                        jumps.close(&mut packet);
                    }
                    return Ok(Some(packet));
                }
                Err(av::Error::Eof) => return Ok(None),
                Err(av::Error::Other { errno }) if IO_ERRORS.contains(&errno) => {
                    let error = std::io::Error::from_raw_os_error(errno);
                    return Err(Failure::retryable(format!("cannot be read: {error}")));
                }
                Err(error) => {
                    tracing::debug!(%error, "a packet cannot be read");
                    self.num_errors += 1;
                }
            }
        }
        Ok(None)
    }
}

fn open(path: &Path) -> Result<Input, Failure> {
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(Failure::permanent("the path holds a zero byte"));
    }
    // A name with a colon is no address.
    let mut name = OsString::from("file:");
    name.push(path);
    let mut options = av::Dictionary::new();
    // Nothing but this file: playlists and references to other files are not followed.
    options.set("protocol_whitelist", "file");
    options.set("format_whitelist", FORMATS.join(","));
    // Programs of a transport stream that appear later.
    options.set("scan_all_pmts", "1");
    av::format::input_with_dictionary(&name, options).map_err(unreadable)
}

fn unreadable(error: av::Error) -> Failure {
    match error {
        av::Error::Other { errno } if IO_ERRORS.contains(&errno) => {
            Failure::retryable(format!("cannot be read: {}", std::io::Error::from_raw_os_error(errno)))
        }
        error => Failure::permanent(format!("the file is no video file that is known ({error})")),
    }
}

/// What libav says goes to the log of the stage, at the level of debugging: it complains about much that plays.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| av::log::set_level(av::log::Level::Quiet));
}

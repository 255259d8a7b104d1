//! The ledger of the source: what a container itself says there is, read by code that shares nothing with the demuxer. What
//! the demuxer gave is compared with it, so that a demuxer that loses media is found.
//!
//! * [`mp4`]: MP4 and QuickTime, from the tables
//! * [`matroska`], [`flv`], [`avi`]: from the headers of all blocks, tags and chunks
//! * [`mpegts`]: from all packets
//! * `reader`: bytes by their place
//!
//! Damaged files are the usual case. What is read costs time in proportion to the length of the file, and memory that no
//! number in the file decides.

mod avi;
mod flv;
mod matroska;
mod mp4;
mod mpegts;
mod reader;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;

use reader::Reader;

/// Films have a handful of tracks. Those beyond are left out.
const MAX_TRACKS: usize = 1000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// What a track is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles, data, and what the container does not say: private data of a TS may be sound all the same, as a demuxer
    /// finds out by its content.
    Other,
}

/// What the tracks are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// MP4 or QuickTime (ISO/IEC 14496-12).
    Mp4,
    /// Matroska or WebM (RFC 9559).
    Matroska,
    /// MPEG transport stream (ISO/IEC 13818-1).
    MpegTs,
    /// Flash video (Adobe Flash Video File Format Specification 10.1).
    Flv,
    /// Audio Video Interleave, with the extensions of OpenDML.
    Avi,
}

/// What a container says of one track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackLedger {
    /// What it is for.
    pub kind: Kind,
    /// `track_ID`, `TrackNumber` or PID; in FLV 0 for the first track of each kind; in AVI the number of the stream.
    pub id: u64,
    /// What is whole in the file and not empty: samples (MP4; of uncompressed sound these are PCM samples), frames of blocks
    /// (Matroska), PES packets (TS; the last one may be cut), tags with media (FLV), chunks (AVI).
    pub units: u64,
    /// Of the payload of `units`, without headers of the container.
    pub bytes: u64,
    /// Units without any payload. A demuxer may leave them out; they take their time nevertheless.
    pub empty: u64,
    /// Units that the container speaks of and that lie wholly or in part beyond the end of the file. A demuxer may give
    /// the beginning of the first one.
    pub absent: u64,
    /// How long these last, as far as it is known.
    pub absent_ns: u64,
    /// The earliest start of a unit that is not absent, as presentation time: in MP4 composition time before edit lists, in
    /// Matroska without `CodecDelay`, in TS with jumps closed.
    pub first_ns: Option<i64>,
    /// The latest end of one; the latest start where nothing says how long units last (TS, FLV, often Matroska).
    pub end_ns: Option<i64>,
    /// The length that the edit list shows, where there is one that says it (MP4).
    pub shown_ns: Option<u64>,
    /// Places where media of this track is damaged or missing by the account of the container: errors of the continuity
    /// counter and packets marked as wrong (TS), laces that do not fit (Matroska).
    pub broken: u64,
}

/// What a container says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Which one it is.
    pub container: Container,
    /// Its tracks in its own order.
    pub tracks: Vec<TrackLedger>,
    /// The length that the header of the file says, where it says one: `mehd` or `mvhd` (MP4; that of a fragmented movie may
    /// be the length of what stands in front of the fragments), `Duration` (Matroska), `onMetaData` (FLV), the longest
    /// stream (AVI).
    pub said_ns: Option<u64>,
    /// Places where the structure is damaged and that belong to no track: bytes skipped to the next cluster (Matroska),
    /// packet (TS), tag (FLV) or chunk (AVI), and blocks of tracks that are not declared.
    pub broken: u64,
}

/// Reads the ledger of `file`; `None` where it is in none of the containers. The position of `file` stays.
///
/// # Errors
/// Where the file cannot be read. Damage is none.
pub fn read(file: &File) -> io::Result<Option<Ledger>> {
    // The transport stream is the last one: what begins it is the weakest sign.
    for read in [mp4::read, matroska::read, flv::read, avi::read, mpegts::read] {
        if let Some(ledger) = read(Reader::new(file)?)? {
            return Ok(Some(ledger));
        }
    }
    Ok(None)
}

impl TrackLedger {
    const fn new(kind: Kind, id: u64) -> Self {
        Self {
            kind,
            id,
            units: 0,
            bytes: 0,
            empty: 0,
            absent: 0,
            absent_ns: 0,
            first_ns: None,
            end_ns: None,
            shown_ns: None,
            broken: 0,
        }
    }

    /// Counts `units` of together `bytes`, or as many empty ones.
    const fn count(&mut self, units: u64, bytes: u64) {
        if bytes == 0 {
            self.empty = self.empty.saturating_add(units);
        } else {
            self.units = self.units.saturating_add(units);
            self.bytes = self.bytes.saturating_add(bytes);
        }
    }

    /// Counts one unit that is shown from `start_ns` to `end_ns`.
    fn shown(&mut self, start_ns: i64, end_ns: i64) {
        self.first_ns = Some(self.first_ns.map_or(start_ns, |first| first.min(start_ns)));
        self.end_ns = Some(self.end_ns.map_or(end_ns, |end| end.max(end_ns)));
    }
}

/// `ticks` of `numerator / denominator` seconds in nanoseconds.
fn to_ns(ticks: i64, numerator: u64, denominator: u64) -> i64 {
    let ns = i128::from(ticks) * i128::from(numerator.min(u64::from(u32::MAX))) * i128::from(NS_PER_SECOND);
    let ns = ns.div_euclid(i128::from(denominator.max(1)));
    i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX })
}

/// The same of a length.
fn length_ns(ticks: u64, numerator: u64, denominator: u64) -> u64 {
    u64::try_from(to_ns(i64::try_from(ticks).unwrap_or(i64::MAX), numerator, denominator)).unwrap_or(0)
}

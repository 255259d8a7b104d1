//! Lengths that `qtdemux` must not believe, and the patches for them.
//!
//! `qtdemux` (1.26) ends a stream that has no edit list at the length of the movie, whatever its samples say, and that of
//! 1.22 one with an edit list as well. It is shown a movie that claims to be as long as its longest track is before edits;
//! where tracks end is decided by their edit lists and samples. Not longer than that, because `qtdemux` leaves out tracks
//! of less than a fifth of the movie.
//!
//! A track without an edit list ends for `qtdemux` after the length of its media, which is that of the decoding: with
//! B-frames the last pictures are shown later. Its media is shown as longer by the longest of these delays.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::header::{Header, children, find, number};
use super::patch::Patch;

/// Delays that are looked at: those of a week at 60 frames per second.
const MAX_DELAYS: u64 = 40_000_000;

/// The length in a movie or media header.
#[derive(Debug)]
pub(super) struct Length {
    offset: u64,
    width: usize,
    scale: u64,
    ticks: u64,
}

impl Length {
    /// ISO/IEC 14496-12, 8.2.2 and 8.4.2, the header of a movie or media from `body` on: version, two times, timescale,
    /// length.
    pub fn read(file: &mut File, body: u64) -> io::Result<Option<Self>> {
        let mut bytes = [0; 32];
        file.seek(SeekFrom::Start(body))?;
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read(&mut bytes[filled..])? {
                0 => return Ok(None),
                more => filled += more,
            }
        }
        let (at, width) = if bytes[0] == 1 { (20, 8) } else { (12, 4) };
        let (scale, ticks) = (number(&bytes[at..at + 4]), number(&bytes[at + 4..at + 4 + width]));
        let unknown = if width == 8 { u64::MAX } else { u64::from(u32::MAX) };
        let ticks = if ticks == unknown { 0 } else { ticks };
        Ok((scale > 0).then_some(Self { offset: body + at as u64 + 4, width, scale, ticks }))
    }

    /// Whether it says one.
    pub const fn is_known(&self) -> bool {
        self.ticks > 0
    }

    /// In nanoseconds.
    pub fn ns(&self) -> Option<u64> {
        u64::try_from(u128::from(self.ticks) * 1_000_000_000 / u128::from(self.scale)).ok()
    }

    /// Makes it longer by `delay`, unless that is nothing or cannot be; the patch that says so.
    fn delayed(&mut self, delay: u64) -> Option<Patch> {
        let largest = if self.width == 8 { u64::MAX >> 1 } else { u64::from(u32::MAX) - 1 };
        let possible = 1..=self.ticks.min(largest.saturating_sub(self.ticks));
        self.ticks += possible.contains(&delay).then_some(delay)?;
        Some(Patch { offset: self.offset, bytes: self.ticks.to_be_bytes()[8 - self.width..].to_vec() })
    }
}

/// The length of the media of a track as `qtdemux` is shown it, where it is known, and the patch for that.
pub(super) fn track(file: &mut File, track: &Header) -> io::Result<Option<(Length, Option<Patch>)>> {
    let Some(header) = find(file, track, &[b"mdia", b"mdhd"])? else { return Ok(None) };
    let Some(mut media) = Length::read(file, header.body)?.filter(Length::is_known) else { return Ok(None) };
    let patch = media.delayed(shown_after(file, track)?);
    Ok(Some((media, patch)))
}

/// How long after their decoding the last pictures of a track without an edit list may be shown, in ticks of its media.
fn shown_after(file: &mut File, track: &Header) -> io::Result<u64> {
    let Some(table) = find(file, track, &[b"mdia", b"minf", b"stbl", b"ctts"])? else { return Ok(0) };
    if find(file, track, &[b"edts"])?.is_some() {
        return Ok(0);
    }
    // ISO/IEC 14496-12, 8.6.1.3: version and flags, how many there are, then count and offset of each.
    file.seek(SeekFrom::Start(table.body + 8))?;
    let entries = table.end.saturating_sub(table.body + 8).min(MAX_DELAYS * 8);
    let mut reader = io::BufReader::new(file.take(entries));
    let (mut longest, mut entry) = (0, [0; 8]);
    while reader.read_exact(&mut entry).is_ok() {
        // Negative ones are shown earlier.
        longest = longest.max(i32::from_be_bytes([entry[4], entry[5], entry[6], entry[7]]));
    }
    Ok(u64::try_from(longest).unwrap_or(0))
}

/// The patch that makes a fragmented movie a second longer than it says (ISO/IEC 14496-12, 8.8.2): its length is that of
/// the decoding, and with B-frames the last frames are shown after it: `qtdemux` (1.22 and 1.26) leaves them out.
pub(super) fn fragments(file: &mut File, extends: &Header, movie: &Length) -> io::Result<Option<Patch>> {
    let Some(header) = children(file, extends.body, extends.end)?.into_iter().find(|child| &child.kind == b"mehd")
    else {
        return Ok(None);
    };
    let mut bytes = [0; 12];
    file.seek(SeekFrom::Start(header.body))?;
    file.read_exact(&mut bytes[..8])?;
    let width = if bytes[0] == 1 { 8 } else { 4 };
    if width == 8 {
        file.read_exact(&mut bytes[8..])?;
    }
    let ticks = number(&bytes[4..4 + width]).checked_add(movie.scale);
    let ticks = ticks.filter(|ticks| width == 8 || *ticks < u64::from(u32::MAX));
    Ok(ticks.map(|ticks| Patch { offset: header.body + 4, bytes: ticks.to_be_bytes()[8 - width..].to_vec() }))
}

/// The patch that makes the movie longer than every track, if it is not.
pub(super) fn longer(movie: &Length, tracks: &[Length]) -> Option<Patch> {
    let ticks = |track: &Length| {
        let ticks = u128::from(track.ticks) * u128::from(movie.scale) / u128::from(track.scale);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    };
    let longest = tracks.iter().map(ticks).max()?.saturating_add(movie.scale);
    // Tracks that are left out anyway set no limit.
    let shortest =
        tracks.iter().map(|track| ticks(track).saturating_mul(5)).filter(|limit| *limit >= movie.ticks).min()?;
    let largest = if movie.width == 8 { u64::MAX >> 1 } else { u64::from(u32::MAX) - 1 };
    let wanted = longest.min(shortest).min(largest);
    (wanted > movie.ticks)
        .then(|| Patch { offset: movie.offset, bytes: wanted.to_be_bytes()[8 - movie.width..].to_vec() })
}

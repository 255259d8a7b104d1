//! Writes MP4 files (ISO/IEC 14496-12 and -14) in one go: everything about the samples is known before the first one
//! is written, so `moov` stands in front (fast start) and nothing is moved afterwards. The same input gives the
//! same bytes: no clock is read, and the creation time is the caller's.
//!
//! * [`boxes`]: bytes of a box
//! * [`entry`]: what is said about a codec
//! * [`layout`]: which sample lies where
//! * [`moov`]: the index
//!
//! Knows nothing of GStreamer and never holds media: samples are asked for one by one.

pub mod boxes;
pub mod entry;
pub mod layout;
pub mod moov;

use std::io::{self, Write};

use boxes::atom;
use layout::Layout;
use moov::Movie;

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The disk.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The source of the samples.
    #[error("{0}")]
    Source(E),
    /// A sample is not as long as its track says.
    #[error("sample {sample} of track {track} has {found} bytes where {expected} were announced")]
    Size {
        /// Index of the track.
        track: usize,
        /// Index of the sample.
        sample: u64,
        /// Its bytes.
        found: usize,
        /// The bytes that the track has for it.
        expected: u32,
    },
}

/// Writes `movie`. `next` is asked for the samples of each track (by index, in decode order) and appends one to the
/// buffer that it is given.
///
/// # Errors
/// What the disk or `next` says, and samples of another length than announced.
pub fn write<E>(
    file: &mut impl Write,
    movie: &Movie,
    layout: &Layout,
    mut next: impl FnMut(usize, &mut Vec<u8>) -> Result<(), E>,
) -> Result<(), WriteError<E>> {
    file.write_all(&head(movie, layout))?;
    let mut written = vec![0u64; movie.tracks.len()];
    let mut sample = Vec::new();
    for chunk in &layout.chunks {
        for _ in 0..chunk.samples {
            sample.clear();
            next(chunk.track, &mut sample).map_err(WriteError::Source)?;
            let index = written[chunk.track];
            // The layout was made from the sizes: it has no other samples.
            let expected = movie.tracks[chunk.track].sizes[usize::try_from(index).unwrap_or(usize::MAX)];
            if u32::try_from(sample.len()) != Ok(expected) {
                let (track, found) = (chunk.track, sample.len());
                return Err(WriteError::Size { track, sample: index, found, expected });
            }
            file.write_all(&sample)?;
            written[chunk.track] += 1;
        }
    }
    Ok(())
}

/// Everything in front of the first sample.
fn head(movie: &Movie, layout: &Layout) -> Vec<u8> {
    let mut head = Vec::new();
    atom(&mut head, b"ftyp", |body| {
        body.extend_from_slice(b"isom\x00\x00\x02\x00");
        body.extend_from_slice(b"isomiso2mp41");
    });
    let media = layout.bytes();
    // A box of 4 GiB and more has its size in 64 bits behind its name.
    let large = media + 8 > u64::from(u32::MAX);
    let mdat_header = if large { 16 } else { 8 };
    let without_offset = movie.encode(layout, 0, false).len() as u64 + head.len() as u64 + mdat_header;
    let wide = without_offset + media > u64::from(u32::MAX);
    // The index does not change its length with the numbers in it, only with their width.
    let length = if wide { movie.encode(layout, 0, true).len() } else { movie.encode(layout, 0, false).len() };
    let first = head.len() as u64 + length as u64 + mdat_header;
    head.extend_from_slice(&movie.encode(layout, first, wide));
    if large {
        head.extend_from_slice(b"\x00\x00\x00\x01mdat");
        head.extend_from_slice(&(media + 16).to_be_bytes());
    } else {
        // Below 4 GiB as seen above.
        head.extend_from_slice(&u32::try_from(media + 8).unwrap_or(u32::MAX).to_be_bytes());
        head.extend_from_slice(b"mdat");
    }
    head
}

#[cfg(test)]
mod tests;

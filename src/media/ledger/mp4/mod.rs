//! MP4 and QuickTime (ISO/IEC 14496-12, and Apple's QuickTime File Format). Nothing of `mdat` is read.
//!
//! * `boxes`: headers of boxes
//! * `movie`: `moov`, with what it says of each track; `track`: what is counted of it
//! * `samples`: the sample tables of a track
//! * `sound`: bytes of a PCM sample
//! * `fragment`: `moof`
//!
//! Movies whose index is compressed (`cmov`) have no tracks here, and data references to other files are not followed.

mod boxes;
mod fragment;
mod movie;
mod samples;
mod sound;
#[cfg(test)]
pub(super) mod tests;
mod track;

use std::io;

use super::reader::{Reader, to_end};
use super::{Container, Ledger};
use boxes::{Boxes, Header};
use movie::Movie;

/// Types of boxes that files begin with.
const BEGINNINGS: [&[u8; 4]; 11] =
    [b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"pnot", b"sidx", b"uuid"];

pub(super) fn read(mut reader: Reader<'_>) -> io::Result<Option<Ledger>> {
    let file = Header { kind: *b"file", start: 0, body: 0, end: reader.end() };
    let first = Boxes::of(&file).next(&mut reader)?;
    if first.is_none_or(|first| !BEGINNINGS.contains(&&first.kind)) {
        return Ok(None);
    }
    let mut movie = Movie::default();
    // Fragments are counted by what `moov` says of their tracks; it may stand behind them.
    let mut boxes = Boxes::of(&file);
    while let Some(found) = boxes.next(&mut reader)? {
        if &found.kind == b"moov" {
            to_end(movie.read(&mut reader, &found))?;
            break;
        }
    }
    let mut boxes = Boxes::of(&file);
    while let Some(found) = boxes.next(&mut reader)? {
        if &found.kind == b"moof" {
            to_end(fragment::read(&mut movie, &mut reader, &found))?;
        }
    }
    let said_ns = movie.said_ns();
    let tracks = movie.tracks.into_iter().map(|track| track.ledger(movie.timescale)).collect();
    Ok(Some(Ledger { container: Container::Mp4, tracks, said_ns, broken: 0 }))
}

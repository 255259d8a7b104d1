//! The tracks that are declared (RFC 9559, 5.1.4), and what is counted of them.

use std::io;

use super::super::reader::Reader;
use super::super::{Kind, MAX_TRACKS, TrackLedger};
use super::block::Block;
use super::element::{Children, Element, id, number};

#[derive(Default)]
pub(super) struct Tracks(Vec<Track>);

struct Track {
    ledger: TrackLedger,
    /// Blocks may come before what they belong to.
    declared: bool,
    frame_ns: Option<i64>,
    /// What is subtracted from the times of the blocks.
    delay_ns: i64,
    /// Bytes that are the same in all frames and left out.
    stripped: u64,
}

impl Tracks {
    pub fn read(&mut self, reader: &mut Reader<'_>, outer: &Element) -> io::Result<()> {
        let mut children = Children::of(outer);
        while let Some(child) = children.next(reader)? {
            if child.id == id::TRACK_ENTRY {
                self.declare(Track::read(reader, &child)?);
            }
        }
        Ok(())
    }

    fn declare(&mut self, declared: Track) {
        match self.track(declared.ledger.id) {
            Some(track) if !track.declared => {
                let counted = std::mem::replace(track, declared).ledger;
                track.ledger = TrackLedger { kind: track.ledger.kind, ..counted };
            }
            _ => {}
        }
    }

    fn track(&mut self, number: u64) -> Option<&mut Track> {
        let place = match self.0.iter().position(|track| track.ledger.id == number) {
            Some(place) => place,
            None if self.0.len() < MAX_TRACKS => {
                self.0.push(Track::new(number));
                self.0.len() - 1
            }
            None => return None,
        };
        self.0.get_mut(place)
    }

    /// Counts a block that begins at `start_ns`.
    pub fn count(&mut self, block: &Block, start_ns: i64, duration_ns: Option<i64>, absent: bool) {
        let Some(track) = self.track(block.track) else { return };
        let frames = i64::try_from(block.frames + block.empty).unwrap_or(i64::MAX);
        let duration = duration_ns.or(track.frame_ns.map(|frame| frame.saturating_mul(frames))).unwrap_or(0);
        let ledger = &mut track.ledger;
        if absent {
            ledger.absent += block.frames + block.empty;
            ledger.absent_ns = ledger.absent_ns.saturating_add_signed(duration);
            return;
        }
        if frames == 0 {
            ledger.broken += 1;
            return;
        }
        ledger.count(block.frames, block.bytes.saturating_add(track.stripped.saturating_mul(block.frames)));
        ledger.count(block.empty, track.stripped.saturating_mul(block.empty));
        let start = start_ns.saturating_sub(track.delay_ns);
        ledger.shown(start, start.saturating_add(duration));
    }

    /// The ledgers of the declared tracks, and what was counted of others.
    pub fn ledgers(self) -> (Vec<TrackLedger>, u64) {
        let (declared, others): (Vec<_>, Vec<_>) = self.0.into_iter().partition(|track| track.declared);
        let undeclared = others.iter().map(|track| track.ledger.units + track.ledger.empty + track.ledger.broken).sum();
        (declared.into_iter().map(|track| track.ledger).collect(), undeclared)
    }
}

impl Track {
    const fn new(number: u64) -> Self {
        let ledger = TrackLedger::new(Kind::Other, number);
        Self { ledger, declared: false, frame_ns: None, delay_ns: 0, stripped: 0 }
    }

    fn read(reader: &mut Reader<'_>, outer: &Element) -> io::Result<Self> {
        let mut track = Self { declared: true, ..Self::new(0) };
        let mut children = Children::of(outer);
        while let Some(child) = children.next(reader)? {
            match child.id {
                id::TRACK_NUMBER => track.ledger.id = number(reader, &child)?,
                id::TRACK_TYPE => {
                    track.ledger.kind = match number(reader, &child)? {
                        1 => Kind::Video,
                        2 => Kind::Audio,
                        _ => Kind::Other,
                    }
                }
                id::DEFAULT_DURATION => track.frame_ns = i64::try_from(number(reader, &child)?).ok(),
                id::CODEC_DELAY => track.delay_ns = i64::try_from(number(reader, &child)?).unwrap_or(0),
                id::CONTENT_ENCODINGS => track.stripped = stripped(reader, &child)?,
                _ => {}
            }
        }
        Ok(track)
    }
}

/// Bytes that header stripping took from each frame (RFC 9559, 5.1.4.1.31).
fn stripped(reader: &mut Reader<'_>, outer: &Element) -> io::Result<u64> {
    let mut stripped = 0u64;
    let mut encodings = Children::of(outer);
    while let Some(encoding) = encodings.next(reader)?.filter(|encoding| encoding.id == id::CONTENT_ENCODING) {
        // Of all frames, unless it is said otherwise.
        let mut of_frames = true;
        let mut bytes = 0;
        let mut children = Children::of(&encoding);
        while let Some(child) = children.next(reader)? {
            match child.id {
                id::CONTENT_ENCODING_SCOPE => of_frames = number(reader, &child)? & 1 != 0,
                id::CONTENT_COMPRESSION => bytes = settings(reader, &child)?,
                _ => {}
            }
        }
        stripped = stripped.saturating_add(if of_frames { bytes } else { 0 });
    }
    Ok(stripped)
}

fn settings(reader: &mut Reader<'_>, compression: &Element) -> io::Result<u64> {
    // 3 is header stripping.
    let (mut algorithm, mut bytes) = (0, 0);
    let mut children = Children::of(compression);
    while let Some(child) = children.next(reader)? {
        match child.id {
            id::CONTENT_COMP_ALGO => algorithm = number(reader, &child)?,
            id::CONTENT_COMP_SETTINGS => bytes = child.end.unwrap_or(child.body) - child.body,
            _ => {}
        }
    }
    Ok(if algorithm == 3 { bytes } else { 0 })
}

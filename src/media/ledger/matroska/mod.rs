//! Matroska and WebM (RFC 8794, RFC 9559): the headers of all elements down to the blocks; their payload is skipped.
//!
//! * `element`: headers of elements
//! * `tracks`: what is declared
//! * `block`: frames of a block
//!
//! Elements are taken as they come. Where one belongs follows from its identifier, so that segments and clusters of unknown
//! or wrong size need no care. Where something is no element, the next cluster is looked for.
//!
//! Not known here: how long frames of compressed tracks (`ContentCompAlgo` other than header stripping) are when they are
//! unpacked, and the headers that demuxers put in front of frames of ProRes and WavPack.

mod block;
mod element;
#[cfg(test)]
pub(super) mod tests;
mod tracks;

use std::io;

use super::reader::{Reader, to_end};
use super::{Container, Ledger, NS_PER_SECOND, to_ns};
use block::Block;
use element::{Children, Element, id, number, real};
use tracks::Tracks;

/// `TimestampScale` where none is said: a millisecond.
const USUAL_SCALE: u64 = 1_000_000;

pub(super) fn read(mut reader: Reader<'_>) -> io::Result<Option<Ledger>> {
    if !matches!(reader.array(), Ok([0x1a, 0x45, 0xdf, 0xa3])) {
        return Ok(None);
    }
    reader.seek(0);
    let mut walk = Walk {
        reader,
        scale: USUAL_SCALE,
        duration: None,
        tracks: Tracks::default(),
        time: 0,
        cluster_end: None,
        segment_end: None,
        broken: 0,
    };
    to_end(walk.elements())?;
    Ok(Some(walk.ledger()))
}

struct Walk<'a> {
    reader: Reader<'a>,
    scale: u64,
    duration: Option<f64>,
    tracks: Tracks,
    // Of the cluster.
    time: i64,
    cluster_end: Option<u64>,
    segment_end: Option<u64>,
    broken: u64,
}

impl Walk<'_> {
    fn elements(&mut self) -> io::Result<()> {
        loop {
            let start = self.reader.at();
            if start >= self.reader.end() {
                return Ok(());
            }
            self.cluster_end = self.cluster_end.filter(|end| *end > start);
            let found = Element::read(&mut self.reader)?;
            let credible = match &found {
                Some(found) => self.is_credible(found)?,
                None => false,
            };
            if let Some(found) = found.as_ref().filter(|_| credible) {
                self.enter(found)?;
            } else if !self.resynchronise(start, found)? {
                return Ok(());
            }
        }
    }

    /// Whether it is an element, and lies where it may lie; if not so, whether one follows it.
    fn is_credible(&mut self, found: &Element) -> io::Result<bool> {
        if [id::SEGMENT, id::CLUSTER].contains(&found.id) {
            return Ok(true);
        }
        let Some(end) = found.end.filter(|end| *end <= self.reader.end()) else { return Ok(false) };
        if found.is_known() && self.cluster_end.is_none_or(|cluster| end <= cluster) || end == self.reader.end() {
            return Ok(true);
        }
        self.reader.seek(end);
        match Element::read(&mut self.reader) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            next => Ok(next?.is_some_and(|next| next.is_known())),
        }
    }

    fn enter(&mut self, found: &Element) -> io::Result<()> {
        let end = found.end.unwrap_or(found.body);
        self.reader.seek(found.body);
        match found.id {
            id::SEGMENT | id::CLUSTER => {
                if found.id == id::CLUSTER {
                    (self.time, self.cluster_end) = (0, found.end);
                } else {
                    self.segment_end = found.end;
                }
                self.reader.seek(found.body);
                return Ok(());
            }
            id::TIMESTAMP => self.time = i64::try_from(number(&mut self.reader, found)?).unwrap_or(i64::MAX),
            id::INFO => self.information(found)?,
            id::TRACKS => self.tracks.read(&mut self.reader, found)?,
            id::SIMPLE_BLOCK | id::BLOCK_GROUP => self.block(found, false)?,
            _ => {}
        }
        self.reader.seek(end);
        Ok(())
    }

    /// RFC 9559, 5.1.2.
    fn information(&mut self, outer: &Element) -> io::Result<()> {
        let mut children = Children::of(outer);
        while let Some(child) = children.next(&mut self.reader)? {
            match child.id {
                id::TIMESTAMP_SCALE => self.scale = number(&mut self.reader, &child)?.max(1),
                id::DURATION => self.duration = real(&mut self.reader, &child)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Counts a simple block or the block of a group.
    fn block(&mut self, found: &Element, absent: bool) -> io::Result<()> {
        let (mut block, mut duration) = (None, None);
        self.reader.seek(found.body);
        if found.id == id::SIMPLE_BLOCK {
            block = Some(Block::read(&mut self.reader, found.end.unwrap_or(found.body))?);
        } else {
            let read = self.group(found, &mut block, &mut duration);
            if absent { to_end(read)? } else { read? }
        }
        let Some(block) = block.flatten() else {
            self.broken += 1;
            return Ok(());
        };
        let ns = |ticks: i64| to_ns(ticks, self.scale, NS_PER_SECOND);
        let start = ns(self.time.saturating_add(i64::from(block.time)));
        let duration = duration.map(|ticks| ns(i64::try_from(ticks).unwrap_or(i64::MAX)));
        self.tracks.count(&block, start, duration, absent);
        Ok(())
    }

    fn group(
        &mut self,
        outer: &Element,
        block: &mut Option<Option<Block>>,
        duration: &mut Option<u64>,
    ) -> io::Result<()> {
        let mut children = Children::of(outer);
        while let Some(child) = children.next(&mut self.reader)? {
            match child.id {
                id::BLOCK => *block = Some(Block::read(&mut self.reader, child.end.unwrap_or(child.body))?),
                id::BLOCK_DURATION => *duration = Some(number(&mut self.reader, &child)?),
                _ => {}
            }
        }
        Ok(())
    }

    /// Goes to the next cluster behind `start`, where there is no element, or `found`, which reaches too far. Whether there
    /// is one.
    fn resynchronise(&mut self, start: u64, found: Option<Element>) -> io::Result<bool> {
        self.reader.seek(start + 1);
        while self.reader.find(|bytes: &[u8; 4]| *bytes == id::CLUSTER.to_be_bytes())? {
            let place = self.reader.at();
            if self.is_cluster()? {
                self.broken += 1;
                self.cluster_end = None;
                self.reader.seek(place);
                return Ok(true);
            }
            self.reader.seek(place + 1);
        }
        let file_end = self.reader.end();
        match found.filter(|found| found.is_known() && found.end.is_some_and(|end| end > file_end)) {
            // The file is cut in it.
            Some(found) if [id::SIMPLE_BLOCK, id::BLOCK_GROUP].contains(&found.id) => self.block(&found, true)?,
            Some(_) => {}
            // Something else may follow the segment.
            None if self.segment_end.is_some_and(|end| end <= start) => {}
            None => self.broken += 1,
        }
        Ok(false)
    }

    fn is_cluster(&mut self) -> io::Result<bool> {
        let first = Element::read(&mut self.reader).and_then(|_| Element::read(&mut self.reader));
        match first {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(true),
            first => Ok(first?.is_some_and(|first| first.is_of_cluster())),
        }
    }

    fn ledger(self) -> Ledger {
        let said_ns = self.duration.map(|ticks| (ticks * self.scale as f64) as u64).filter(|ns| *ns > 0);
        let (tracks, undeclared) = self.tracks.ledgers();
        Ledger { container: Container::Matroska, tracks, said_ns, broken: self.broken + undeclared }
    }
}

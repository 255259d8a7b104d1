//! `moov`: what a movie says of itself and of its tracks (ISO/IEC 14496-12, 8.2 to 8.8).

use std::io;

use super::super::reader::{Reader, big, to_end};
use super::super::{Kind, MAX_TRACKS, length_ns};
use super::boxes::{Boxes, Header, child};
use super::samples;
use super::track::{Defaults, Track, words};

/// Edits are a few; a list of more is not summed up.
const MAX_EDITS: u32 = 1_000_000;

#[derive(Default)]
pub(super) struct Movie {
    /// Ticks per second of the movie; those of its tracks are their own.
    pub timescale: u64,
    pub tracks: Vec<Track>,
    // Lengths in ticks: of `mvhd`, and of `mehd`, which counts the fragments too.
    length: Option<u64>,
    fragmented_length: Option<u64>,
    defaults: Vec<(u64, Defaults)>,
}

impl Movie {
    pub fn read(&mut self, reader: &mut Reader<'_>, outer: &Header) -> io::Result<()> {
        let mut boxes = Boxes::of(outer);
        while let Some(found) = boxes.next(reader)? {
            match &found.kind {
                b"mvhd" => (self.timescale, self.length) = lengths(found.content(reader))?,
                b"mvex" => self.extends(reader, &found)?,
                b"trak" if self.tracks.len() < MAX_TRACKS => {
                    let mut track = Track::new();
                    let read = track.read(reader, &found);
                    self.tracks.push(track);
                    to_end(read)?;
                }
                _ => {}
            }
        }
        for track in &mut self.tracks {
            let defaults = self.defaults.iter().find(|(id, _)| *id == track.ledger.id);
            track.defaults = defaults.map_or(track.defaults, |(_, defaults)| *defaults);
        }
        Ok(())
    }

    /// 8.8.1 to 8.8.3.
    fn extends(&mut self, reader: &mut Reader<'_>, outer: &Header) -> io::Result<()> {
        let mut boxes = Boxes::of(outer);
        while let Some(found) = boxes.next(reader)? {
            let mut content = found.content(reader);
            match &found.kind {
                b"mehd" => {
                    let [version, ..] = content.array::<4>()?;
                    let length = if version == 1 { big(&content.array::<8>()?) } else { big(&content.array::<4>()?) };
                    self.fragmented_length = (length > 0).then_some(length);
                }
                b"trex" if self.defaults.len() < MAX_TRACKS => {
                    let [_, id, _, duration, size] = words(&content.array::<20>()?);
                    self.defaults.push((u64::from(id), Defaults { duration, size }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn said_ns(&self) -> Option<u64> {
        let ticks = self.fragmented_length.or(self.length)?;
        (self.timescale > 0).then(|| length_ns(ticks, 1, self.timescale))
    }
}

impl Track {
    fn read(&mut self, reader: &mut Reader<'_>, outer: &Header) -> io::Result<()> {
        let mut media = None;
        let mut boxes = Boxes::of(outer);
        while let Some(found) = boxes.next(reader)? {
            match &found.kind {
                b"tkhd" => {
                    let mut content = found.content(reader);
                    let [version, ..] = content.array::<4>()?;
                    // Two times come before it.
                    content.seek(found.body + if version == 1 { 20 } else { 12 });
                    self.ledger.id = big(&content.array::<4>()?);
                }
                b"edts" => {
                    if let Some(list) = child(reader, &found, b"elst")? {
                        self.shown_ticks = shown(list.content(reader))?;
                    }
                }
                b"mdia" => media = Some(found),
                _ => {}
            }
        }
        media.map_or(Ok(()), |media| self.media(reader, &media))
    }

    fn media(&mut self, reader: &mut Reader<'_>, outer: &Header) -> io::Result<()> {
        if let Some(found) = child(reader, outer, b"mdhd")? {
            (self.timescale, _) = lengths(found.content(reader))?;
        }
        if let Some(found) = child(reader, outer, b"hdlr")? {
            let [.., a, b, c, d] = found.content(reader).array::<12>()?;
            self.ledger.kind = match &[a, b, c, d] {
                b"vide" => Kind::Video,
                b"soun" => Kind::Audio,
                _ => Kind::Other,
            };
        }
        let Some(information) = child(reader, outer, b"minf")? else { return Ok(()) };
        let Some(tables) = child(reader, &information, b"stbl")? else { return Ok(()) };
        samples::read(self, reader, &tables)
    }
}

/// Timescale and length of a movie or media header (8.2.2, 8.4.2); all zeros and all ones are no length.
fn lengths(mut content: Reader<'_>) -> io::Result<(u64, Option<u64>)> {
    let [version, ..] = content.array::<4>()?;
    let (timescale, length, unknown) = if version == 1 {
        let fields = content.array::<28>()?;
        (big(&fields[16..20]), big(&fields[20..]), u64::MAX)
    } else {
        let fields = content.array::<16>()?;
        (big(&fields[8..12]), big(&fields[12..]), u64::from(u32::MAX))
    };
    Ok((timescale, Some(length).filter(|length| *length > 0 && *length != unknown)))
}

/// Length that an edit list shows, in ticks of the movie (8.6.6); `None` where it has an edit of no length, which is what
/// fragmented movies say for everything that follows.
fn shown(mut content: Reader<'_>) -> io::Result<Option<u64>> {
    let [version, _, _, _, count @ ..] = content.array::<8>()?;
    let mut shown = Some(0u64);
    for _ in 0..u32::from_be_bytes(count).min(MAX_EDITS) {
        // Length, beginning in the media and, with 16 bits each, rate.
        let (length, empty) = if version == 1 {
            let edit = content.array::<20>()?;
            (big(&edit[..8]), edit[8..16] == [0xff; 8])
        } else {
            let edit = content.array::<12>()?;
            (big(&edit[..4]), edit[4..8] == [0xff; 4])
        };
        match (empty, length) {
            // Nothing is shown.
            (true, _) => {}
            (false, 0) => return Ok(None),
            (false, length) => shown = shown.map(|shown| shown.saturating_add(length)),
        }
    }
    Ok(shown.filter(|shown| *shown > 0))
}

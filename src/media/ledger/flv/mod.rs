//! Flash video (Adobe Flash Video File Format Specification 10.1, annex E; Enhanced RTMP 2 for further codecs and several
//! tracks of a kind): the headers of all tags.
//!
//! Nothing says how long the last unit of a track lasts. The tracks are in the order of their first tags.

#[cfg(test)]
pub(super) mod tests;

use std::io;

use super::reader::{Reader, big, to_end};
use super::{Container, Kind, Ledger, MAX_TRACKS, NS_PER_SECOND, TrackLedger, to_ns};

const TAG_HEADER_BYTES: u64 = 11;
/// The size of a tag once more, behind it.
const BACK_POINTER_BYTES: u64 = 4;
/// Where `onMetaData` is looked at: behind the lengths come indexes.
const MAX_SCRIPT_BYTES: u64 = 64 * 1024;
/// How often something may look like a tag while one is looked for.
const MAX_GUESSES: u32 = 1_000_000;

pub(super) fn read(mut reader: Reader<'_>) -> io::Result<Option<Ledger>> {
    if !matches!(reader.array(), Ok([b'F', b'L', b'V'])) {
        return Ok(None);
    }
    let mut walk = Walk { reader, tracks: Vec::new(), said_ns: None, broken: 0, guesses: MAX_GUESSES };
    to_end(walk.tags())?;
    let Walk { tracks, said_ns, broken, .. } = walk;
    Ok(Some(Ledger { container: Container::Flv, tracks, said_ns, broken }))
}

struct Walk<'a> {
    reader: Reader<'a>,
    tracks: Vec<TrackLedger>,
    said_ns: Option<u64>,
    broken: u64,
    guesses: u32,
}

/// E.4.1.
struct Tag {
    kind: u8,
    time_ms: i32,
    body: u64,
    end: u64,
    stream: u64,
}

/// Where in a tag the media of one unit is.
struct Media {
    kind: Kind,
    track: u64,
    time_ms: i64,
    end: u64,
}

impl Walk<'_> {
    fn tags(&mut self) -> io::Result<()> {
        // Version and flags come before it.
        let [_, _, offset @ ..] = self.reader.array::<6>()?;
        self.reader.seek(big(&offset) + BACK_POINTER_BYTES);
        loop {
            let start = self.reader.at();
            let tag = Tag::of(start, self.reader.array()?);
            let credible = match &tag {
                Some(tag) => tag.end <= self.reader.end() && (tag.stream == 0 || self.is_confirmed(tag)?),
                None => false,
            };
            if let Some(tag) = tag.as_ref().filter(|_| credible) {
                self.tag(tag)?;
                self.reader.seek(tag.end + BACK_POINTER_BYTES);
            } else if !self.resynchronise(start, tag.as_ref())? {
                return Ok(());
            }
        }
    }

    /// Whether the size behind a tag is its size.
    fn is_confirmed(&mut self, tag: &Tag) -> io::Result<bool> {
        self.reader.seek(tag.end);
        match self.reader.array::<4>() {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            size => Ok(big(&size?) == tag.end - tag.body + TAG_HEADER_BYTES),
        }
    }

    /// Goes to the next tag behind `start`, where there is none, or `tag`, which reaches too far. Whether there is one.
    fn resynchronise(&mut self, start: u64, tag: Option<&Tag>) -> io::Result<bool> {
        self.reader.seek(start + 1);
        while self.reader.find(|header| Tag::of(0, *header).is_some_and(|tag| tag.stream == 0))? {
            let place = self.reader.at();
            let Some(guesses) = self.guesses.checked_sub(1) else { break };
            self.guesses = guesses;
            let confirmed = match Tag::of(place, self.reader.array()?) {
                Some(tag) => self.is_confirmed(&tag)?,
                None => false,
            };
            if confirmed {
                self.broken += 1;
                self.reader.seek(place);
                return Ok(true);
            }
            self.reader.seek(place + 1);
        }
        match tag {
            // The file is cut in it.
            Some(tag) if tag.end > self.reader.end() => self.tag(tag)?,
            _ => self.broken += 1,
        }
        Ok(false)
    }

    fn tag(&mut self, tag: &Tag) -> io::Result<()> {
        self.reader.seek(tag.body);
        let media = |kind| Media { kind, track: 0, time_ms: i64::from(tag.time_ms), end: tag.end };
        // Encrypted ones have a bit more.
        match tag.kind & 0x1f {
            8 => self.audio(media(Kind::Audio)),
            9 => self.video(media(Kind::Video)),
            _ => self.script(tag),
        }
    }

    /// E.4.2.
    fn audio(&mut self, media: Media) -> io::Result<()> {
        let Some(flags) = self.byte(&media)? else { return Ok(()) };
        match flags >> 4 {
            9 => return self.extended(media, flags & 15),
            // AAC: 0 is its configuration.
            10 if self.byte(&media)? != Some(1) => return Ok(()),
            _ => {}
        }
        self.count(&media);
        Ok(())
    }

    /// E.4.3.
    fn video(&mut self, mut media: Media) -> io::Result<()> {
        let Some(flags) = self.byte(&media)? else { return Ok(()) };
        match (flags >> 4 & 7, flags & 15) {
            // A command of the server.
            (5, _) => return Ok(()),
            (_, packet) if flags & 0x80 != 0 => return self.extended(media, packet),
            // H.264, and H.265 as it was before it had a FourCC: 1 is a picture, others are its configuration and the end.
            (_, 7 | 12) => {
                if self.byte(&media)? != Some(1) {
                    return Ok(());
                }
                self.delay(&mut media)?;
            }
            // VP6: cropping.
            (_, 4 | 5) => drop(self.byte(&media)?),
            _ => {}
        }
        self.count(&media);
        Ok(())
    }

    /// Enhanced RTMP 2: `ExVideoTagHeader`, `ExAudioTagHeader`.
    fn extended(&mut self, mut media: Media, mut packet: u8) -> io::Result<()> {
        // Something that changes what follows, once or several times.
        while packet == 7 {
            let Some(size) = self.byte(&media)? else { return Ok(()) };
            let size = if size == 255 { big(&self.reader.array::<2>()?) } else { u64::from(size) } + 1;
            self.reader.seek(self.reader.at() + size);
            let Some(next) = self.byte(&media)? else { return Ok(()) };
            packet = next & 15;
        }
        if packet != (if media.kind == Kind::Video { 6 } else { 5 }) {
            let codec = self.reader.array()?;
            return self.coded(media, packet, codec);
        }
        let Some(form) = self.byte(&media)? else { return Ok(()) };
        // 0: one track; 1: several of one codec; 2: several of several codecs.
        let (form, packet) = (form >> 4, form & 15);
        let mut codec = if form == 2 { [0; 4] } else { self.reader.array()? };
        let end = media.end;
        while self.reader.at() < end {
            if form == 2 {
                codec = self.reader.array()?;
            }
            let [track] = self.reader.array()?;
            let size = if form == 0 { end.saturating_sub(self.reader.at()) } else { big(&self.reader.array::<3>()?) };
            let next = (self.reader.at() + size).min(end);
            media = Media { track: u64::from(track), end: next, ..media };
            self.coded(Media { ..media }, packet, codec)?;
            self.reader.seek(next);
        }
        Ok(())
    }

    fn coded(&mut self, mut media: Media, packet: u8, codec: [u8; 4]) -> io::Result<()> {
        match (media.kind, packet) {
            (Kind::Video, 1) if [b"avc1", b"hvc1", b"vvc1"].contains(&&codec) => self.delay(&mut media)?,
            (_, 1) | (Kind::Video, 3) => {}
            // Configurations and ends.
            _ => return Ok(()),
        }
        self.count(&media);
        Ok(())
    }

    /// Adds the composition time.
    fn delay(&mut self, media: &mut Media) -> io::Result<()> {
        let [high, middle, low] = self.reader.array()?;
        media.time_ms += i64::from(i32::from_be_bytes([high, middle, low, 0]) >> 8);
        Ok(())
    }

    fn byte(&mut self, media: &Media) -> io::Result<Option<u8>> {
        if self.reader.at() >= media.end {
            return Ok(None);
        }
        let [byte] = self.reader.array()?;
        Ok(Some(byte))
    }

    /// Counts what there is from the position of the reader on.
    fn count(&mut self, media: &Media) {
        let known = self.tracks.iter().position(|track| track.kind == media.kind && track.id == media.track);
        let place = match known {
            Some(place) => place,
            None if self.tracks.len() < MAX_TRACKS => {
                self.tracks.push(TrackLedger::new(media.kind, media.track));
                self.tracks.len() - 1
            }
            None => return,
        };
        let track = &mut self.tracks[place];
        if media.end > self.reader.end() {
            track.absent += 1;
            return;
        }
        track.count(1, media.end.saturating_sub(self.reader.at()));
        let time = to_ns(media.time_ms, 1, 1000);
        track.shown(time, time);
    }

    /// E.4.4 and E.5: the length in `onMetaData`, a name and a number (0) of AMF 0.
    fn script(&mut self, tag: &Tag) -> io::Result<()> {
        let mut content = self.reader.part(tag.body, tag.end.min(tag.body + MAX_SCRIPT_BYTES));
        if self.said_ns.is_none() && content.find(|bytes| bytes == b"\0\x08duration\0")? {
            content.seek(content.at() + 11);
            let seconds = f64::from_be_bytes(content.array()?);
            self.said_ns = Some((seconds * NS_PER_SECOND as f64) as u64).filter(|ns| *ns > 0);
        }
        Ok(())
    }
}

impl Tag {
    fn of(start: u64, header: [u8; TAG_HEADER_BYTES as usize]) -> Option<Self> {
        let [kind, size @ .., a, b, c, high, d, e, f] = header;
        let body = start + TAG_HEADER_BYTES;
        [8, 9, 18].contains(&(kind & 0xdf)).then(|| Self {
            kind,
            time_ms: i32::from_be_bytes([high, a, b, c]),
            body,
            end: body + big(&size),
            stream: big(&[d, e, f]),
        })
    }
}

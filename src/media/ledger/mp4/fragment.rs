//! `moof`: the samples of a fragment (ISO/IEC 14496-12, 8.8.4 to 8.8.12).

use std::io;

use super::super::reader::{Reader, big, to_end};
use super::boxes::{Boxes, Header, child};
use super::movie::Movie;
use super::track::{Defaults, Run, Track};

/// Counts the samples of a fragment of `movie`. Those of tracks that it does not have are not counted.
pub(super) fn read(movie: &mut Movie, reader: &mut Reader<'_>, outer: &Header) -> io::Result<()> {
    // Where the media of a track begins that says nothing else: at the fragment, or behind those of the one before.
    let mut base = outer.start;
    let mut boxes = Boxes::of(outer);
    while let Some(found) = boxes.next(reader)? {
        if &found.kind == b"traf" {
            to_end(of_track(movie, reader, &found, outer.start, &mut base))?;
        }
    }
    Ok(())
}

fn of_track(
    movie: &mut Movie,
    reader: &mut Reader<'_>,
    outer: &Header,
    fragment: u64,
    base: &mut u64,
) -> io::Result<()> {
    let Some(header) = child(reader, outer, b"tfhd")? else { return Ok(()) };
    let mut content = header.content(reader);
    let flags = big(&content.array::<4>()?);
    let id = big(&content.array::<4>()?);
    let Some(track) = movie.tracks.iter_mut().find(|track| track.ledger.id == id) else { return Ok(()) };
    let given = if flags & 1 != 0 { Some(big(&content.array::<8>()?)) } else { None };
    if flags & 2 != 0 {
        content.array::<4>()?;
    }
    let mut defaults = track.defaults;
    if flags & 8 != 0 {
        defaults.duration = u32::from_be_bytes(content.array()?);
    }
    if flags & 0x10 != 0 {
        defaults.size = u32::from_be_bytes(content.array()?);
    }
    if let Some(time) = child(reader, outer, b"tfdt")? {
        track.next_decode = decode_time(time.content(reader))?;
    }
    let start = given.unwrap_or(if flags & 0x2_0000 != 0 { fragment } else { *base });
    let mut run = TrackRun { track, defaults, start, place: start, file_end: reader.end() };
    let mut boxes = Boxes::of(outer);
    while let Some(found) = boxes.next(reader)? {
        if &found.kind == b"trun" {
            to_end(run.read(found.content(reader)))?;
        }
    }
    *base = run.place;
    Ok(())
}

/// 8.8.12.
fn decode_time(mut content: Reader<'_>) -> io::Result<i64> {
    let [version, ..] = content.array::<4>()?;
    let time = if version == 1 { big(&content.array::<8>()?) } else { big(&content.array::<4>()?) };
    Ok(i64::try_from(time).unwrap_or(i64::MAX))
}

struct TrackRun<'a> {
    track: &'a mut Track,
    defaults: Defaults,
    start: u64,
    // Where the next sample lies.
    place: u64,
    file_end: u64,
}

impl TrackRun<'_> {
    /// 8.8.8.
    fn read(&mut self, mut content: Reader<'_>) -> io::Result<()> {
        let flags = big(&content.array::<4>()?);
        let mut left = big(&content.array::<4>()?);
        if flags & 1 != 0 {
            let offset = i64::from(i32::from_be_bytes(content.array()?));
            self.place = self.start.saturating_add_signed(offset);
        }
        if flags & 4 != 0 {
            content.array::<4>()?;
        }
        let read = self.samples(&mut content, flags, &mut left);
        // Said, and not described.
        self.count(left, self.defaults.duration, 0, None);
        read
    }

    fn samples(&mut self, content: &mut Reader<'_>, flags: u64, left: &mut u64) -> io::Result<()> {
        let has = |bit: u64| flags & bit != 0;
        while *left > 0 {
            let (mut duration, mut size, mut delay) = (self.defaults.duration, self.defaults.size, 0);
            if has(0x100) {
                duration = u32::from_be_bytes(content.array()?);
            }
            if has(0x200) {
                size = u32::from_be_bytes(content.array()?);
            }
            if has(0x400) {
                content.array::<4>()?;
            }
            if has(0x800) {
                delay = i32::from_be_bytes(content.array()?);
            }
            // With no field of their own all are alike.
            let count = if has(0xf00) { 1 } else { *left };
            self.count(count, duration, delay, Some(size));
            *left -= count;
        }
        Ok(())
    }

    fn count(&mut self, count: u64, duration: u32, delay: i32, size: Option<u32>) {
        let bytes = count.saturating_mul(u64::from(size.unwrap_or(0)));
        let start = self.track.next_decode.saturating_add(i64::from(delay));
        let step = i64::from(duration);
        self.track.count(Run { count, bytes, place: size.map(|_| self.place), start, step }, self.file_end);
        self.place = self.place.saturating_add(bytes);
        let ticks = i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(step);
        self.track.next_decode = self.track.next_decode.saturating_add(ticks);
    }
}

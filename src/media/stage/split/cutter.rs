//! Cuts a video track into chunk sources, in one pass and in decoding order.
//!
//! A source begins at a random access point; the time of that picture is the boundary. The source in front of it goes
//! on receiving units until everything shown before the boundary surely is in it: at once where nothing behind the
//! access point is shown before it, else until decoding times or a run of later pictures say so. What the new source
//! gets that is shown before its boundary (leading pictures of an open GOP) belongs to the source in front and is left
//! out. Must never look into the bytes: [`super::access`] does.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::plan::{ChunkFacts, Window, chunk_target, windows};
use gstreamer as gst;

use super::unit::Unit;
use crate::media::codec::bitstream::Access;
use crate::media::gdp::{GdpWriter, NO_OFFSET, to_file_time};

/// Pictures in a row behind a boundary after which, without decoding times, nothing in front of it can follow:
/// one more than the deepest reordering of H.264 and H.265.
const REORDER: u32 = 17;

/// Cuts one track.
pub struct Cutter {
    directory: PathBuf,
    target_ns: u64,
    num_sources: u32,
    // In the order of their beginnings; the last one has no end yet.
    open: Vec<Source>,
    chunks: Vec<ChunkFacts>,
    cuttable: bool,
    edited: bool,
}

struct Source {
    name: String,
    writer: GdpWriter,
    start: i64,
    end: Option<i64>,
    latest: i64,
    beyond: u32,
    times: Vec<u64>,
    // Whether nothing is shown in front of it.
    first: bool,
}

impl Cutter {
    /// A cutter for a track of `duration_ns`, where that is known.
    pub fn new(directory: &Path, duration_ns: Option<u64>, chunk_seconds: u32) -> Self {
        Self {
            directory: directory.to_owned(),
            target_ns: chunk_target(duration_ns, chunk_seconds),
            num_sources: 0,
            open: Vec::new(),
            chunks: Vec::new(),
            cuttable: true,
            edited: false,
        }
    }

    /// From here on no new source is begun: neither times nor access points of the units can be relied on.
    pub fn stop_cutting(&mut self) {
        self.cuttable = false;
    }

    /// Another edit begins with the next unit, a random access point, and has a source of its own: its times begin where those
    /// of the edit before end, but for what both decode and do not show.
    pub fn begin_edit(&mut self) {
        self.edited = self.has_begun();
    }

    /// Whether the first random access point was seen.
    pub fn has_begun(&self) -> bool {
        self.num_sources > 0
    }

    /// Takes the next unit in decoding order; the first one has to be a random access point.
    ///
    /// # Errors
    /// `retryable` where a source cannot be written.
    pub fn push(&mut self, unit: &Unit, access: Access, caps: &gst::Caps) -> Result<(), Failure> {
        if self.open.is_empty() {
            self.begin(unit.time.max(0), caps)?;
        } else if std::mem::take(&mut self.edited) && self.open.last().is_some_and(|last| last.latest >= 0) {
            let end = self.open.last().map_or(0, |last| last.latest + 1);
            if let Some(last) = self.open.last_mut() {
                last.end = Some(end);
            }
            self.close_ready(|_| true)?;
            self.begin(end, caps)?;
        } else if self.begins_source(unit, access) {
            if let Some(last) = self.open.last_mut() {
                last.end = Some(unit.time);
            }
            if access == Access::Closed {
                self.close_ready(|_| true)?;
            }
            self.begin(unit.time, caps)?;
        }
        let newest = self.open.len() - 1;
        for (index, source) in self.open.iter_mut().enumerate() {
            // The first source of all takes its leading pictures; the caller left out what cannot be decoded.
            if index < newest || self.num_sources == 1 || unit.hidden || unit.time >= source.start {
                source.take(unit)?;
            }
        }
        self.close_ready(Source::is_complete)
    }

    fn begins_source(&self, unit: &Unit, access: Access) -> bool {
        let Some(last) = self.open.last() else { return true };
        let due = last.start.saturating_add_unsigned(self.target_ns);
        self.cuttable
            && matches!(access, Access::Open | Access::Closed)
            && !unit.hidden
            && unit.time >= due
            // Where times run backwards the boundary would divide what was decoded together.
            && unit.time > last.latest
    }

    fn begin(&mut self, start: i64, caps: &gst::Caps) -> Result<(), Failure> {
        let name = format!("v{:05}.gdp", self.num_sources);
        let writer = GdpWriter::source(&self.directory.join(&name), caps)?;
        let first = self.num_sources == 0;
        self.open.push(Source {
            name,
            writer,
            start,
            end: None,
            latest: i64::MIN,
            beyond: 0,
            times: Vec::new(),
            first,
        });
        self.num_sources += 1;
        Ok(())
    }

    /// Closes, from the oldest on, the sources that have an end and are `ready`.
    fn close_ready(&mut self, ready: impl Fn(&Source) -> bool) -> Result<(), Failure> {
        while let Some(end) = self.open.first().filter(|source| ready(source)).and_then(|source| source.end) {
            let source = self.open.remove(0);
            self.close(source, end)?;
        }
        Ok(())
    }

    fn close(&mut self, source: Source, end: i64) -> Result<(), Failure> {
        let (start_ns, end_ns) = (nanoseconds(source.start), nanoseconds(end));
        let mut times = source.times;
        times.retain(|time| *time < end_ns);
        times.sort_unstable();
        source.writer.finish()?;
        let start_ns = if self.chunks.is_empty() { 0 } else { start_ns };
        for window in windows(&times, start_ns, end_ns, self.target_ns) {
            // Two frames can have one time; the boundary is a time, and counts for both.
            let before = |at: u64| times.partition_point(|time| *time < at);
            let frames = u32::try_from(before(window.end_ns) - before(window.start_ns)).unwrap_or(u32::MAX);
            if frames > 0 {
                self.chunks.push(ChunkFacts { source: source.name.clone(), window: Window { frames, ..window } });
            } else if let Some(last) = self.chunks.last_mut() {
                last.window.end_ns = window.end_ns;
            }
        }
        Ok(())
    }

    /// Ends the track at `end_ns`, the end of its last frame, and gives the chunks.
    ///
    /// # Errors
    /// `retryable` where a source cannot be written.
    pub fn finish(mut self, end_ns: u64) -> Result<Vec<ChunkFacts>, Failure> {
        for source in std::mem::take(&mut self.open) {
            let end = source.end.unwrap_or(i64::try_from(end_ns).unwrap_or(i64::MAX));
            self.close(source, end)?;
        }
        Ok(self.chunks)
    }
}

/// What is hidden is shown a day before the film: the time that it would have may be that of what is shown.
const HIDDEN_NS: i64 = 24 * 3600 * 1_000_000_000;

impl Source {
    fn take(&mut self, unit: &Unit) -> Result<(), Failure> {
        // Another source may hold the same buffer: its bytes are shared, its times are not.
        let mut buffer = unit.buffer.copy();
        {
            let fields = buffer.make_mut();
            // A time that is a guess in decoding order is left out: the decoder knows the order better.
            let time = if unit.hidden { unit.time.saturating_sub(HIDDEN_NS) } else { unit.time };
            fields.set_pts(unit.timed.then(|| to_file_time(time)));
            fields.set_dts(unit.dts.map(to_file_time));
            fields.set_offset(NO_OFFSET);
            fields.set_offset_end(NO_OFFSET);
            fields.unset_flags(gst::BufferFlags::DISCONT | gst::BufferFlags::RESYNC | gst::BufferFlags::TAG_MEMORY);
            if unit.hidden {
                fields.set_flags(gst::BufferFlags::DECODE_ONLY);
            }
        }
        self.writer.write(buffer)?;
        if unit.hidden {
            return Ok(());
        }
        self.latest = self.latest.max(unit.time);
        // Leading pictures of the first source are not shown before its boundary, but before its first picture.
        if (unit.time >= self.start || self.first) && self.end.is_none_or(|end| unit.time < end) {
            self.times.push(nanoseconds(unit.time));
        }
        if let Some(end) = self.end {
            let beyond = unit.dts.map_or(unit.time >= end, |dts| dts >= end);
            self.beyond = match (beyond, unit.dts) {
                (true, Some(_)) => REORDER,
                (true, None) => self.beyond + 1,
                (false, _) => 0,
            };
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.beyond >= REORDER
    }
}

/// A time that is shown; these are never negative.
fn nanoseconds(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

#[cfg(test)]
mod tests;

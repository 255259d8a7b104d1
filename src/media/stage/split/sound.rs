//! The audio track that was chosen: from its packets to one audio source and [`AudioFacts`].

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::plan::AudioFacts;
use gstreamer as gst;

use super::aes3::{AES3_RATE, Aes3};
use super::unit::Unit;
use crate::media::gdp::{GdpWriter, NO_OFFSET, to_file_time};

/// File name of the audio source.
const SOURCE: &str = "audio.gdp";

/// Packets follow one another where their times say so but for rounding to milliseconds: the end of the last one counts from
/// the end of the one before. Times that are nearer than the first of these are not rounded.
const EXACT_NS: u64 = 1_000;
const ROUNDED_NS: u64 = 1_000_001;

/// An audio track that is being written.
pub struct AudioTrack {
    caps: gst::Caps,
    writer: GdpWriter,
    heard: Option<(i64, i64)>,
    // Rate and channels, where the packets say them and the caps do not.
    form: Option<(u32, u32)>,
}

impl AudioTrack {
    /// A track with these caps.
    ///
    /// # Errors
    /// `retryable` where the source cannot be written.
    pub fn new(directory: &Path, caps: gst::Caps) -> Result<Self, Failure> {
        let writer = GdpWriter::source(&directory.join(SOURCE), &caps)?;
        Ok(Self { caps, writer, heard: None, form: None })
    }

    /// Takes the next packet.
    ///
    /// # Errors
    /// `retryable` where the source cannot be written.
    pub fn push(&mut self, unit: &Unit) -> Result<(), Failure> {
        let (from, to) = unit.heard;
        // In front of the first edit a decoder needs the packets that are not heard; between edits there is no place
        // for them, and behind the last one no use.
        if unit.hidden && self.heard.is_some() {
            return Ok(());
        }
        if !unit.hidden {
            let (start, end) = self.heard.unwrap_or((from, from));
            let rounded = (EXACT_NS..ROUNDED_NS).contains(&from.abs_diff(end));
            let to = if rounded { end.saturating_add(to - from) } else { to };
            self.heard = Some((start.min(from), end.max(to)));
        }
        let mut buffer = unit.buffer.copy();
        if self.form.is_none()
            && let Ok(bytes) = buffer.map_readable()
        {
            self.form = Aes3::of(&bytes, &self.caps).map(|block| (AES3_RATE, block.channels));
        }
        {
            let fields = buffer.make_mut();
            fields.set_pts(to_file_time(unit.time));
            fields.set_dts(gst::ClockTime::NONE);
            fields.set_offset(NO_OFFSET);
            fields.set_offset_end(NO_OFFSET);
            fields.unset_flags(gst::BufferFlags::RESYNC | gst::BufferFlags::TAG_MEMORY);
        }
        self.writer.write(buffer)
    }

    /// Ends the track; `None` where nothing of it is heard.
    ///
    /// # Errors
    /// `permanent` where the caps say no rate or channels, `retryable` where the source cannot be written.
    pub fn finish(self) -> Result<Option<AudioFacts>, Failure> {
        self.writer.finish()?;
        let Some((start, end)) = self.heard.filter(|(start, end)| start < end) else { return Ok(None) };
        let structure = self.caps.structure(0);
        let number = |name| structure.and_then(|s| s.get::<i32>(name).ok()).and_then(|n| u32::try_from(n).ok());
        let Some((sample_rate, channels)) = number("rate").zip(number("channels")).or(self.form) else {
            return Err(Failure::permanent(format!("the audio track says no rate or channels: {}", self.caps)));
        };
        Ok(Some(AudioFacts {
            source: SOURCE.into(),
            caps: self.caps.to_string(),
            sample_rate,
            channels,
            start_ns: u64::try_from(start).unwrap_or(0),
            end_ns: u64::try_from(end).unwrap_or(0),
            account: None,
        }))
    }
}

//! The audio track that was chosen: from its packets to one audio source and [`AudioFacts`].

use std::path::Path;

use actors::failure::Failure;
use actors::plan::AudioFacts;
use gstreamer as gst;

use super::stream::Unit;
use crate::media::gdp::{GdpWriter, NO_OFFSET, to_file_time};

/// File name of the audio source.
const SOURCE: &str = "audio.gdp";

/// An audio track that is being written.
pub struct AudioTrack {
    caps: gst::Caps,
    writer: GdpWriter,
    heard: Option<(i64, i64)>,
}

impl AudioTrack {
    /// A track with these caps.
    ///
    /// # Errors
    /// `retryable` where the source cannot be written.
    pub fn new(directory: &Path, caps: gst::Caps) -> Result<Self, Failure> {
        let writer = GdpWriter::source(&directory.join(SOURCE), &caps)?;
        Ok(Self { caps, writer, heard: None })
    }

    /// Takes the next packet.
    ///
    /// # Errors
    /// `retryable` where the source cannot be written.
    pub fn push(&mut self, unit: &Unit) -> Result<(), Failure> {
        let (from, to) = unit.heard;
        let silent = unit.clipped && from >= to;
        // In front of the first edit a decoder needs the packets that are not heard; between edits there is no place
        // for them, and behind the last one no use: such units were moved away.
        if silent && unit.time != unit.at {
            return Ok(());
        }
        if !silent {
            let (start, end) = self.heard.unwrap_or((from, to));
            self.heard = Some((start.min(from), end.max(to)));
        }
        let mut buffer = unit.buffer.copy();
        {
            let fields = buffer.make_mut();
            fields.set_pts(to_file_time(unit.at));
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
        let (Some(sample_rate), Some(channels)) = (number("rate"), number("channels")) else {
            return Err(Failure::permanent(format!("the audio track says no rate or channels: {}", self.caps)));
        };
        Ok(Some(AudioFacts {
            source: SOURCE.into(),
            caps: self.caps.to_string(),
            sample_rate,
            channels,
            start_ns: u64::try_from(start).unwrap_or(0),
            end_ns: u64::try_from(end).unwrap_or(0),
        }))
    }
}

//! The audio track that was chosen: from its packets to one audio source and [`AudioFacts`].

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::plan::AudioFacts;
use gstreamer as gst;

use super::unit::Unit;
use crate::media::gdp::{GdpWriter, NO_OFFSET, to_file_time};

/// File name of the audio source.
const SOURCE: &str = "audio.gdp";

/// Packets follow one another where their times say so but for rounding to milliseconds: the end of the last one counts from
/// the end of the one before. Times that are nearer than the first of these are not rounded.
const EXACT_NS: u64 = 1_000;
const ROUNDED_NS: u64 = 1_000_001;

/// Samples per second of SMPTE 302M, the only rate that it has.
const AES3_RATE: u32 = 48_000;

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
        }))
    }
}

/// How long a packet lasts whose container does not say it: that of SMPTE 302M.
pub fn length_ns(bytes: &[u8], caps: &gst::Caps) -> Option<u64> {
    let block = Aes3::of(bytes, caps)?;
    Some(block.samples as u64 * 1_000_000_000 / u64::from(AES3_RATE))
}

/// What a packet of uncompressed sound in MPEG-TS says of itself (SMPTE 302M, 5.3).
#[derive(Debug, PartialEq, Eq)]
struct Aes3 {
    channels: u32,
    samples: usize,
}

impl Aes3 {
    fn of(packet: &[u8], caps: &gst::Caps) -> Option<Self> {
        let is_aes3 = caps.structure(0)?.name() == "audio/x-smpte-302m";
        packet.first_chunk::<4>().filter(|_| is_aes3).map(|header| Self::read(*header))
    }

    /// Bytes of the packet in 16 bits, pairs of channels in 2, a number in 8, and bits of a sample in 2; each sample has
    /// four bits more.
    fn read(header: [u8; 4]) -> Self {
        let bytes = usize::from(header[0]) << 8 | usize::from(header[1]);
        let channels = 2 * (usize::from(header[2] >> 6) + 1);
        let bits = 16 + 4 * usize::from(header[3] >> 4 & 3);
        Self { channels: channels as u32, samples: bytes * 8 / (channels * (bits + 4)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_smpte_302m_says_its_channels_and_its_length() {
        // 1024 samples: six channels of 24 bits, two of 16.
        assert_eq!(Aes3::read([0x54, 0x00, 0x80, 0x20]), Aes3 { channels: 6, samples: 1024 });
        assert_eq!(Aes3::read([0x14, 0x00, 0x00, 0x00]), Aes3 { channels: 2, samples: 1024 });
    }
}

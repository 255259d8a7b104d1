//! What comes out of the two halves of the audio pipeline: samples, which go on the grid, and packets, which are
//! written with times of our own.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use gstreamer as gst;

use super::grid::Grid;
use crate::media::codec::aac::{packet_ns, packets_for};
use crate::media::encoder::avenc_aac::PRIMING_SAMPLES;
use crate::media::gdp::{GdpWriter, Written, presentation_ns, to_file_time};

/// Bytes of a sample of one channel: F32LE.
const SAMPLE_BYTES: usize = 4;
/// The most samples of silence in one buffer, so that a gap of hours needs no memory: each buffer shares the same one.
const SILENCE_SAMPLES: u64 = 48_000;

/// Decoded samples on their way to the encoder.
#[derive(Debug)]
pub struct Decoded {
    grid: Grid,
    frame_bytes: usize,
    silence: gst::Buffer,
    sound: bool,
}

impl Decoded {
    /// For samples of so many channels.
    pub fn new(grid: Grid, channels: u32) -> Self {
        let frame_bytes = SAMPLE_BYTES * channels as usize;
        let silence = gst::Buffer::from_slice(vec![0; frame_bytes * SILENCE_SAMPLES as usize]);
        Self { grid, frame_bytes, silence, sound: false }
    }

    /// Samples that went to the encoder.
    pub fn filled(&self) -> u64 {
        self.grid.filled()
    }

    /// Whether anything was decoded.
    pub fn has_sound(&self) -> bool {
        self.sound
    }

    /// What goes to the encoder for a decoded buffer.
    pub fn place(&mut self, sample: &gst::Sample) -> Vec<gst::Buffer> {
        let Some(buffer) = sample.buffer() else { return Vec::new() };
        self.sound = true;
        let count = (buffer.size() / self.frame_bytes) as u64;
        let placed = self.grid.place(buffer.pts().map(presentation_ns), count);
        let mut buffers = self.silence(placed.silence);
        // A block is in memory, so its samples are counted in a usize.
        let (skip, take) = (placed.skip as usize * self.frame_bytes, placed.take as usize * self.frame_bytes);
        if take > 0 {
            buffers.extend(buffer.copy_region(gst::BufferCopyFlags::MEMORY, skip..skip + take));
        }
        buffers
    }

    /// What is missing at the end.
    pub fn finish(&mut self) -> Vec<gst::Buffer> {
        let rest = self.grid.finish();
        self.silence(rest)
    }

    fn silence(&self, samples: u64) -> Vec<gst::Buffer> {
        let whole = samples / SILENCE_SAMPLES;
        let rest = (samples % SILENCE_SAMPLES) as usize * self.frame_bytes;
        let cut = || self.silence.copy_region(gst::BufferCopyFlags::MEMORY, 0..rest).ok();
        let rest = (rest > 0).then(cut).flatten();
        (0..whole).map(|_| self.silence.copy()).chain(rest).collect()
    }
}

/// Encoded packets on their way to the part.
pub struct Packets {
    target: PathBuf,
    start_ns: i64,
    rate: u32,
    // Packets that hold what is heard; what the encoder gives after them is its own end.
    needed: u32,
    writer: Option<GdpWriter>,
    count: u32,
}

impl Packets {
    /// For a track of so many heard samples, the first one at `start_ns`.
    pub fn new(target: &Path, start_ns: u64, rate: u32, samples: u64) -> Self {
        // Ends of films are far from 292 years.
        let start_ns = i64::try_from(start_ns).unwrap_or(i64::MAX);
        let needed = u32::try_from(packets_for(PRIMING_SAMPLES, samples)).unwrap_or(u32::MAX);
        Self { target: target.to_owned(), start_ns, rate, needed, writer: None, count: 0 }
    }

    /// Writes a packet of the encoder.
    ///
    /// # Errors
    /// `retryable` where the disk does not take it.
    pub fn write(&mut self, sample: &gst::Sample) -> Result<(), Failure> {
        if self.count == self.needed {
            return Ok(());
        }
        let (Some(caps), Some(bytes)) =
            (sample.caps_owned(), sample.buffer().and_then(|buffer| buffer.map_readable().ok()))
        else {
            return Err(Failure::retryable("the audio encoder gave a packet that cannot be read"));
        };
        let mut packet = gst::Buffer::from_slice(bytes.to_vec());
        let time = |number| packet_ns(self.start_ns, self.rate, PRIMING_SAMPLES, u64::from(number));
        let (begin, end) = (time(self.count), time(self.count + 1));
        let writable = packet.make_mut();
        writable.set_pts(to_file_time(begin));
        writable.set_duration(gst::ClockTime::from_nseconds(begin.abs_diff(end)));
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let mut caps = caps;
                // What muxers want to know and the encoder does not say: each buffer is one packet.
                caps.make_mut().set("framed", true);
                none.insert(GdpWriter::part(&self.target, &caps)?)
            }
        };
        writer.write(packet)?;
        self.count += 1;
        Ok(())
    }

    /// Ends the part; gives the file and its packets.
    ///
    /// # Errors
    /// `retryable` where there is no packet or the disk does not take the end.
    pub fn finish(&mut self) -> Result<(Written, u32), Failure> {
        let short = || {
            let (count, needed) = (self.count, self.needed);
            Failure::retryable(format!("the audio encoder gave {count} packets where {needed} are needed"))
        };
        let writer = self.writer.take().filter(|_| self.count == self.needed).ok_or_else(short)?;
        Ok((writer.finish()?, self.count))
    }
}

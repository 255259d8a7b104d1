//! What is expected of an output, compared with what is read, one access unit after another. Pure: knows no
//! pipeline. The first difference is kept; what comes after it no longer matters.
//!
//! A transport stream has no zero of its own: the first access unit that is read, of either track, sets it, and all
//! others of both tracks are compared relative to that. So a track that is shifted against the other is found.

use std::sync::Arc;

use actors::domain::checkpoint::Verification;

use super::form::Form;
use crate::media::codec::aac::PACKET_SAMPLES;
use crate::media::parts::audio::AudioTrack;
use crate::media::parts::timing::{CLOCK_90K, FrameTimes, to_ns};
use crate::media::parts::tracks::Tracks;
use crate::media::parts::video::VideoTrack;

/// A frame that was read. Times are running times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFrame {
    /// When it is shown.
    pub pts_ns: i64,
    /// When it is decoded, where the demuxer tells.
    pub dts_ns: Option<i64>,
    /// Whether its slices are those of a random access point.
    pub key: bool,
    /// Of its slices.
    pub digest: u64,
}

/// A packet of audio that was read. Times are running times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPacket {
    /// When it begins.
    pub pts_ns: i64,
    /// Of its bytes.
    pub digest: u64,
    /// What the container lets one hear: beginning, and end where it says.
    pub heard_ns: (i64, Option<i64>),
}

/// What is expected, and how much of it was found.
#[derive(Debug)]
pub struct Comparison {
    form: Form,
    video: Arc<VideoTrack>,
    times: Arc<FrameTimes>,
    audio: Option<Arc<AudioTrack>>,
    // Running time of the presentation time 0.
    zero_ns: Option<i64>,
    frames: usize,
    keys: usize,
    last_dts_ns: Option<i64>,
    // Frames as the index of the container has them, and how many of them it marks as random access points.
    marked: (u32, usize),
    packets: Option<Packets>,
    difference: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Packets {
    first: usize,
    next: usize,
    heard_ns: (i64, Option<i64>),
}

impl Comparison {
    /// With what `tracks` say.
    pub fn new(tracks: &Tracks, form: Form) -> Self {
        Self {
            form,
            video: Arc::clone(&tracks.video),
            times: Arc::clone(&tracks.times),
            audio: tracks.audio.clone(),
            // The time line of edit lists is ours.
            zero_ns: form.has_edits.then_some(0),
            frames: 0,
            keys: 0,
            last_dts_ns: None,
            marked: (0, 0),
            packets: None,
            difference: None,
        }
    }

    /// Whether a difference was found: reading on is of no use.
    pub fn is_decided(&self) -> bool {
        self.difference.is_some()
    }

    /// A difference that was found elsewhere.
    pub fn differs(&mut self, how: impl Into<String>) {
        self.difference.get_or_insert(how.into());
    }

    /// The next entry for a frame in the container's index, in decode order: whether it says that it is a random
    /// access point.
    pub fn indexed(&mut self, key: bool) {
        let (number, found) = self.marked;
        self.marked = (number + 1, found + usize::from(key));
        if key != self.video.keys.binary_search(&number).is_ok() {
            self.differs(format!("the index is wrong about frame {number} being a random access point"));
        }
    }

    /// The next frame in decode order.
    pub fn frame(&mut self, read: ReadFrame) {
        let number = self.frames;
        self.frames += 1;
        if let Err(difference) = self.check_frame(number, read) {
            self.differs(format!("frame {number} {difference}"));
        }
    }

    fn check_frame(&mut self, number: usize, read: ReadFrame) -> Result<(), String> {
        let Some((&digest, &pts)) = self.video.digests.get(number).zip(self.times.pts.get(number)) else {
            return Err("is one too many".into());
        };
        let key = u32::try_from(number).is_ok_and(|number| self.video.keys.binary_search(&number).is_ok());
        if read.digest != digest || read.key != key {
            return Err("has another content".into());
        }
        self.keys += usize::from(key);
        let timescale = self.times.timescale;
        let pts_ns = to_ns(pts, timescale);
        self.check_time(read.pts_ns, pts_ns, timescale)?;
        let Some(dts_ns) = read.dts_ns else { return Ok(()) };
        let dts = self.times.dts.get(number).copied().unwrap_or(pts);
        self.check_time(dts_ns, to_ns(dts, timescale), timescale)
            .map_err(|how| format!("is decoded wrong: it {how}"))?;
        let before = self.last_dts_ns.replace(dts_ns);
        if dts_ns > read.pts_ns || before.is_some_and(|before| before >= dts_ns) {
            return Err(format!("is decoded at {dts_ns} ns, out of order"));
        }
        Ok(())
    }

    /// Compares a running time with a presentation time, within one tick.
    fn check_time(&mut self, read_ns: i64, expected_ns: i64, timescale: u32) -> Result<(), String> {
        let zero = *self.zero_ns.get_or_insert(read_ns - expected_ns);
        let found = read_ns - zero;
        if (found - expected_ns).abs() > to_ns(1, timescale) {
            return Err(format!("is at {found} ns where {expected_ns} ns is right"));
        }
        Ok(())
    }

    /// The next packet of audio.
    pub fn packet(&mut self, read: ReadPacket) {
        let Some(audio) = self.audio.clone() else { return self.differs("there is audio that was not asked for") };
        let found = self.packets.map_or_else(|| self.first_packet(&audio, read), Ok);
        let checked = found.and_then(|mut packets| {
            let number = packets.next;
            packets.next += 1;
            self.packets = Some(packets);
            if audio.digests.get(number) != Some(&read.digest) {
                return Err(format!("audio packet {number} has another content"));
            }
            let expected = audio.packet_ns(number as u64);
            let tick = self.audio_timescale(&audio);
            self.check_time(read.pts_ns, expected, tick).map_err(|how| format!("audio packet {number} {how}"))
        });
        if let Err(difference) = checked {
            self.differs(difference);
        }
    }

    /// A demuxer that knows edit lists may begin with the packet in which something is heard.
    fn first_packet(&self, audio: &AudioTrack, read: ReadPacket) -> Result<Packets, String> {
        let hidden = match self.form.has_edits {
            true => usize::try_from(u64::from(audio.priming) / PACKET_SAMPLES).unwrap_or_default(),
            false => 0,
        };
        let first = (0..=hidden).find(|&number| audio.digests.get(number) == Some(&read.digest));
        let first = first.ok_or("the first audio packet has another content")?;
        Ok(Packets { first, next: first, heard_ns: read.heard_ns })
    }

    fn audio_timescale(&self, audio: &AudioTrack) -> u32 {
        if self.form.has_edits { audio.rate } else { CLOCK_90K }
    }

    /// What was found, once everything was read.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn finish(&self) -> Result<Verification, String> {
        if let Some(difference) = &self.difference {
            return Err(difference.clone());
        }
        let expected = self.times.pts.len();
        if self.frames != expected {
            return Err(format!("it has {} frames and not {expected}", self.frames));
        }
        if self.marked.0 > 0 && self.marked != (u32::try_from(expected).unwrap_or(u32::MAX), self.video.keys.len()) {
            return Err(format!("its index has {} frames and {} random access points", self.marked.0, self.marked.1));
        }
        let audio_samples = self.audio.as_ref().map_or(Ok(0), |audio| self.heard(audio))?;
        let video_start = to_ns(self.times.start, self.times.timescale);
        let av_offset_ns = self.audio.as_ref().map_or(0, |audio| audio.start_ns - video_start);
        Ok(Verification {
            damaged_frames: self.video.damaged,
            frames: self.frames as u64,
            key_frames: self.keys as u64,
            audio_samples,
            // Every time was compared with this within a tick.
            av_offset_ns,
            ..Verification::default()
        })
    }

    fn heard(&self, audio: &AudioTrack) -> Result<u64, String> {
        let Some(packets) = self.packets else { return Err("it has no audio".into()) };
        if packets.next < audio.digests.len() {
            let (found, right) = (packets.next - packets.first, audio.digests.len() - packets.first);
            return Err(format!("it has {found} audio packets and not {right}"));
        }
        if !self.form.has_edits {
            // Such a file cannot say which samples of a packet are heard: all packets are there.
            return Ok(audio.samples);
        }
        let (start, end) = packets.heard_ns;
        let end = end.ok_or("its edit list does not say where the audio ends")?;
        let rate = i128::from(audio.rate);
        let samples = (i128::from(end - start) * rate + 500_000_000).div_euclid(1_000_000_000);
        if samples != i128::from(audio.samples) || (start - audio.start_ns).abs() > to_ns(1, audio.rate) {
            return Err(format!("{samples} samples of audio are heard from {start} ns on, not {}", audio.samples));
        }
        Ok(audio.samples)
    }
}

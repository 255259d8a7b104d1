//! A packet of a container: compressed data of one track with the times that the container gives it, in nanoseconds.

use ffmpeg_the_third::codec::Id;
use ffmpeg_the_third::packet::{Flags, Ref as _};
use ffmpeg_the_third::{self as av, ffi};

use super::track::Track;

/// Bytes of the side data that says how many samples are not heard: two numbers, and the reasons.
const SKIP_BYTES: usize = 10;

/// What is beside a block is its alpha channel (WebM container guidelines, `BlockAddID` 1).
const ALPHA: [u8; 8] = 1u64.to_be_bytes();

/// A packet. Its times are those of the container: they begin anywhere.
pub struct Packet {
    /// Which track it belongs to: its place in [`super::Reader::tracks`].
    pub track: usize,
    /// Presentation time.
    pub pts: Option<i64>,
    /// Decoding time.
    pub dts: Option<i64>,
    /// Length, where the container says it.
    pub duration: Option<u64>,
    /// Whether the container calls it a random access point.
    pub key: bool,
    /// Whether an edit list hides it: it is decoded and not shown.
    pub hidden: bool,
    /// Whether the container found it damaged.
    pub corrupt: bool,
    /// Samples that are not heard at its beginning and at its end (priming, padding).
    pub skipped: (u32, u32),
    raw: av::Packet,
}

impl Packet {
    pub(super) fn new(raw: av::Packet, track: &Track) -> Self {
        let ns = |ticks: i64| track.ns(ticks);
        let flags = raw.flags();
        let said = u64::try_from(ns(raw.duration())).ok().filter(|duration| *duration > 0);
        // The flag is not among those that the crate knows.
        // SAFETY: the packet is alive.
        let hidden = unsafe { (*raw.as_ptr()).flags } & ffi::AV_PKT_FLAG_DISCARD != 0;
        Self {
            track: raw.stream(),
            pts: raw.pts().map(ns),
            dts: raw.dts().map(ns),
            duration: track.exact_ns(raw.data().unwrap_or_default(), said),
            key: flags.contains(Flags::KEY),
            hidden,
            corrupt: flags.contains(Flags::CORRUPT),
            skipped: skipped(&raw).unwrap_or_default(),
            raw,
        }
    }

    /// Takes what it holds of the `left` samples of priming.
    pub(super) fn prime(&mut self, track: &Track, left: &mut u64) {
        if *left == 0 {
            return;
        }
        let rate = u64::from(track.parameters().sample_rate().max(1));
        // Times in milliseconds are rounded, and a packet has a whole number of samples.
        let samples = self.duration.map_or(*left, |ns| (ns * rate).div_ceil(1_000_000_000));
        let taken = samples.min(*left);
        *left -= taken;
        self.skipped.0 = self.skipped.0.max(u32::try_from(taken).unwrap_or(u32::MAX));
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.raw.data().unwrap_or_default()
    }

    /// For the decoder of libavcodec.
    pub const fn raw(&self) -> &av::Packet {
        &self.raw
    }

    /// Moves it in time.
    pub fn shift(&mut self, by_ns: i64) {
        self.pts = self.pts.map(|time| time.saturating_add(by_ns));
        self.dts = self.dts.map(|time| time.saturating_add(by_ns));
    }

    /// From when to when it is seen or heard: without what is skipped of it. The end is not before the beginning, where its
    /// length is not known.
    pub fn heard(&self, track: &Track) -> Option<(i64, i64)> {
        let begin = self.pts.or(self.dts)?;
        let rate = i64::from(track.parameters().sample_rate().max(1));
        let ns = |samples: u32| i64::from(samples) * 1_000_000_000 / rate;
        let (front, back) = self.skipped;
        let from = begin.saturating_add(ns(front));
        let to = begin.saturating_add_unsigned(self.duration.unwrap_or(0)).saturating_sub(ns(back));
        Some((from, to.max(from)))
    }

    /// Whether a key is needed.
    pub fn is_encrypted(&self) -> bool {
        side_data(&self.raw, ffi::AVPacketSideDataType::ENCRYPTION_INFO).is_some()
    }

    /// Its alpha channel, where that is coded apart: what WebM has beside a block of VP8 or VP9.
    pub fn alpha(&self, codec: Id) -> Option<&[u8]> {
        if !matches!(codec, Id::VP8 | Id::VP9) {
            return None;
        }
        let (kind, bytes) =
            side_data(&self.raw, ffi::AVPacketSideDataType::MATROSKA_BLOCKADDITIONAL)?.split_at_checked(8)?;
        (kind == ALPHA).then_some(bytes)
    }

    /// A configuration that takes the place of that of the track from here on.
    pub fn new_configuration(&self) -> Option<&[u8]> {
        side_data(&self.raw, ffi::AVPacketSideDataType::NEW_EXTRADATA)
    }
}

fn skipped(raw: &av::Packet) -> Option<(u32, u32)> {
    let bytes = side_data(raw, ffi::AVPacketSideDataType::SKIP_SAMPLES)?.get(..SKIP_BYTES)?;
    let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    Some((number(0), number(4)))
}

fn side_data(raw: &av::Packet, kind: ffi::AVPacketSideDataType) -> Option<&[u8]> {
    let mut size = 0;
    // SAFETY: what is found belongs to the packet and lives as long as it.
    unsafe {
        let data = ffi::av_packet_get_side_data(raw.as_ptr(), kind, &mut size);
        (!data.is_null()).then(|| std::slice::from_raw_parts(data, size))
    }
}

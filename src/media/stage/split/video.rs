//! The video track that was chosen: from its units to chunk sources and [`VideoFacts`].

use std::path::Path;
use std::str::FromStr as _;

use actors::domain::failure::Failure;
use actors::domain::geometry::Orientation;
use actors::domain::plan::VideoFacts;
use gstreamer as gst;

use super::access::{Coding, access, carried, has_closed_gop, leading_decodes, with_carried};
use super::cadence::Cadence;
use super::cutter::Cutter;
use super::unit::Unit;
use crate::media::codec::bitstream::Access;
use crate::media::libav::described;

/// Length of the last frame where nothing tells it, in nanoseconds: that of 25 frames a second.
const FRAME_NS: u64 = 40_000_000;

/// A video track that is being cut.
pub struct VideoTrack {
    coding: Coding,
    caps: gst::Caps,
    cutter: Cutter,
    cadence: Cadence,
    first: Option<First>,
    latest: Option<(i64, Option<u64>)>,
    one_frame_per_unit: bool,
    configured: bool,
    // What the first unit tells decoders, for later random access points.
    carried: Option<Vec<u8>>,
    // Whether units are followed by their alpha channel.
    alpha: bool,
    decoding_order: bool,
}

/// The random access point that the track begins with.
struct First {
    time: i64,
    closed: bool,
}

impl VideoTrack {
    /// A track with these caps. `decoding_order` says that the container's times are those of decoding.
    pub fn new(
        directory: &Path,
        mut caps: gst::Caps,
        duration_ns: Option<u64>,
        chunk_seconds: u32,
        decoding_order: bool,
    ) -> Self {
        let coding = coding_of(&caps);
        let interlaced = is_interlaced(&caps);
        let mut cutter = Cutter::new(directory, duration_ns, chunk_seconds);
        let decoding_order = decoding_order && !matches!(coding, Coding::Intra | Coding::Hidden | Coding::Mpeg2);
        if decoding_order {
            cutter.stop_cutting();
            described::set_decoding_order(caps.make_mut());
        }
        Self {
            coding,
            configured: caps.structure(0).is_some_and(|structure| structure.has_field("codec_data")),
            carried: None,
            alpha: false,
            caps,
            cutter,
            cadence: Cadence::default(),
            first: None,
            latest: None,
            // A unit can hold one field of an interlaced picture.
            one_frame_per_unit: !(coding.hides_pictures() || interlaced || decoding_order),
            decoding_order,
        }
    }

    /// All chunks are decoded from the beginning of the film.
    pub fn decode_from_start(&mut self) {
        self.cutter.stop_cutting();
    }

    /// Whether the times of its units are those of decoding, and others than those of presentation.
    pub const fn is_in_decoding_order(&self) -> bool {
        self.decoding_order
    }

    /// New caps in the middle of the track.
    pub fn set_caps(&mut self, mut caps: gst::Caps) {
        self.one_frame_per_unit &= !is_interlaced(&caps);
        if !self.cutter.has_begun() {
            described::copy(&self.caps, caps.make_mut());
            self.caps = caps;
        }
    }

    /// Another edit begins with the next unit: what is decoded before it is of no use to it.
    pub fn begin_edit(&mut self) {
        self.cutter.begin_edit();
    }

    /// Takes the next unit in decoding order.
    ///
    /// # Errors
    /// `retryable` where a source cannot be written.
    pub fn push(&mut self, unit: &Unit) -> Result<(), Failure> {
        let map = unit.buffer.map_readable();
        let bytes = map.as_ref().map_or(&[][..], |map| map.as_slice());
        let delta = unit.buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let mut access = access(self.coding, bytes, delta, self.configured);
        if !self.cutter.has_begun() && unit.alpha.is_some() && !self.alpha {
            self.alpha = true;
            described::set_alpha(self.caps.make_mut());
        } else if unit.alpha.as_ref().is_some_and(|alpha| !is_key(&self.caps, alpha)) {
            // Its alpha channel cannot be decoded from here on.
            access = Access::None;
        }
        match &self.first {
            None if access == Access::None => return Ok(()),
            None => {
                let closed = access == Access::Closed || has_closed_gop(bytes);
                self.first = Some(First { time: unit.time, closed });
                self.carried = carried(self.coding, bytes);
            }
            // Shown before the first picture that can be decoded.
            Some(first)
                if !unit.hidden && unit.time < first.time && !leading_decodes(self.coding, bytes, first.closed) =>
            {
                return Ok(());
            }
            Some(_) => {}
        }
        let with_more = match (&self.carried, access) {
            (Some(nal), Access::Closed | Access::Open) if self.cutter.has_begun() => Some(with_carried(bytes, nal)),
            _ if self.alpha => Some(described::with_alpha(bytes, unit.alpha.as_deref().unwrap_or_default())),
            _ => None,
        };
        drop(map);
        let told = with_more.map(|bytes| unit.with_bytes(bytes));
        let unit = told.as_ref().unwrap_or(unit);
        if !unit.timed {
            self.cutter.stop_cutting();
            self.one_frame_per_unit = false;
        }
        if access == Access::Poor && !self.cutter.has_begun() {
            self.one_frame_per_unit = false;
        }
        if !unit.hidden {
            self.cadence.note(unit.time);
            if self.latest.is_none_or(|(time, _)| unit.time >= time) {
                self.latest = Some((unit.time, unit.duration.filter(|duration| *duration > 0)));
            }
        }
        self.cutter.push(unit, access, &self.caps)
    }

    /// Ends the track.
    ///
    /// # Errors
    /// `permanent` where it has no frame that can be shown, `retryable` where a source cannot be written.
    pub fn finish(mut self, orientation: Orientation) -> Result<VideoFacts, Failure> {
        let structure = self.caps.structure(0);
        let said = structure.and_then(|structure| structure.get::<gst::Fraction>("framerate").ok());
        let frame_rate = self.cadence.rate(said);
        let Some((last, duration)) = self.latest else {
            return Err(Failure::permanent("the video track has no frame that can be decoded, upload another file"));
        };
        let by_rate = match frame_rate {
            (0, _) => FRAME_NS,
            (num, den) => u64::from(den) * 1_000_000_000 / u64::from(num),
        };
        let end_ns = u64::try_from(last).unwrap_or(0) + duration.unwrap_or(by_rate);
        let number = |name| structure.and_then(|s| s.get::<i32>(name).ok()).and_then(|n| u32::try_from(n).ok());
        let (Some(width), Some(height)) = (number("width"), number("height")) else {
            return Err(Failure::permanent(format!("the video track says no picture size: {}", self.caps)));
        };
        let aspect = structure.and_then(|structure| structure.get::<gst::Fraction>("pixel-aspect-ratio").ok());
        let aspect = aspect.and_then(|a| Some((u32::try_from(a.numer()).ok()?, u32::try_from(a.denom()).ok()?)));
        Ok(VideoFacts {
            caps: self.caps.to_string(),
            width,
            height,
            pixel_aspect: aspect.filter(|(num, den)| *num > 0 && *den > 0).unwrap_or((1, 1)),
            frame_rate,
            bit_depth: bit_depth(&self.caps),
            interlaced: is_interlaced(&self.caps),
            orientation,
            one_frame_per_unit: self.one_frame_per_unit,
            end_ns,
            chunks: self.cutter.finish(end_ns)?,
            account: None,
        })
    }
}

fn coding_of(caps: &gst::Caps) -> Coding {
    caps.structure(0).map_or(Coding::Other, |s| Coding::of(s.name(), s.get::<i32>("mpegversion").ok()))
}

/// Whether a frame of VP8 (RFC 6386, 9.1) or VP9 (bitstream specification, 7.2) is a key frame.
fn is_key(caps: &gst::Caps, frame: &[u8]) -> bool {
    let Some(&first) = frame.first() else { return false };
    if caps.structure(0).is_some_and(|fields| fields.name() == "video/x-vp8") {
        return first & 1 == 0;
    }
    // Marker, profile (of which the last has a bit more), whether a known frame is shown, type.
    let profile = first >> 4 & 3;
    let at = if profile == 3 { 2 } else { 3 };
    first >> 6 == 2 && first >> at & 1 == 0 && first >> (at - 1) & 1 == 0
}

fn is_interlaced(caps: &gst::Caps) -> bool {
    let Some(structure) = caps.structure(0) else { return false };
    let says = |name: &str| structure.get::<String>(name).ok();
    // `h264parse` has no interlace mode, but says whether the coded pictures may be fields.
    says("interlace-mode").is_some_and(|mode| mode != "progressive")
        || says("coded-picture-structure").is_some_and(|coded| coded != "frame")
}

fn bit_depth(caps: &gst::Caps) -> u8 {
    let Some(structure) = caps.structure(0) else { return 8 };
    if let Some(depth) = structure.get::<u32>("bit-depth-luma").ok().and_then(|depth| u8::try_from(depth).ok()) {
        return depth;
    }
    if structure.name() == "video/x-raw" {
        let format = structure.get::<String>("format").unwrap_or_default();
        let format = gstreamer_video::VideoFormat::from_str(&format).unwrap_or(gstreamer_video::VideoFormat::Unknown);
        let info = gstreamer_video::VideoFormatInfo::from_format(format);
        return info.depth().first().and_then(|depth| u8::try_from(*depth).ok()).unwrap_or(8);
    }
    // ProRes has at least ten bits in all its kinds.
    if structure.name() == "video/x-prores" { 10 } else { 8 }
}

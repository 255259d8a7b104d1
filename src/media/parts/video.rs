//! The first pass over video parts: what has to be known of every access unit before the first one is written, and whether
//! the parts are what the plan asked for. Holds some tens of bytes for each unit, never the unit.

use actors::domain::failure::Failure;
use actors::domain::job::VideoCodec;
use actors::domain::part::{MediaStats, VideoStats};
use actors::domain::plan::{VideoPlan, Window};
use gstreamer as gst;

use super::mismatch::mismatch;
use super::reader::{Joined, Unit};
use crate::media::codec;
use crate::media::codec::bitstream::{ParameterSets, Summary};
use crate::protocol::PartSource;

/// The frames of an output, in decode order.
#[derive(Debug)]
pub struct VideoTrack {
    /// The codec.
    pub codec: VideoCodec,
    /// The caps of the first part.
    pub caps: gst::Caps,
    /// The first access unit, from which a parser tells the decoder configuration.
    pub first: gst::Buffer,
    /// All parameter sets of the first part.
    pub parameters: ParameterSets,
    /// Whether a part has other parameter sets than the first.
    pub parameters_change: bool,
    /// Presentation times in nanoseconds.
    pub pts_ns: Vec<i64>,
    /// Size of each frame as a sample of an MP4 file.
    pub sizes: Vec<u32>,
    /// Of the slices of each frame.
    pub digests: Vec<u64>,
    /// Indexes of the random access points.
    pub keys: Vec<u32>,
    /// Frames of the source that were damaged.
    pub damaged: u64,
    /// The chunks that have them.
    pub damaged_in: Vec<Window>,
}

/// Reads the video parts of one rendition.
///
/// # Errors
/// `retryable` where parts and plan do not belong together: a chunk has to be encoded again.
pub fn scan(plan: &VideoPlan, rendition: usize, parts: &[PartSource]) -> Result<VideoTrack, Failure> {
    let Some(rendition) = plan.renditions.get(rendition) else {
        return Err(mismatch(format!("the plan has no video rendition {rendition}")));
    };
    if parts.len() != plan.chunks.len() {
        return Err(mismatch(format!("there are {} video parts for {} chunks", parts.len(), plan.chunks.len())));
    }
    let codec = codec::of(rendition.codec);
    let mut joined = Joined::new(parts);
    let mut scan = VideoScan::default();
    let mut counts = vec![(0u32, 0u32); parts.len()];
    while let Some(unit) = joined.next()? {
        let window = plan.chunks[unit.part].window;
        let time = u64::try_from(unit.pts_ns).unwrap_or(u64::MAX);
        if !(window.start_ns..window.end_ns).contains(&time) {
            return Err(mismatch(format!(
                "chunk {} has a frame at {} ns, which is not its own",
                unit.part, unit.pts_ns
            )));
        }
        let summary = codec.scan(&unit.bytes()?);
        let count = &mut counts[unit.part];
        if count.0 == 0 && !summary.key {
            return Err(mismatch(format!("chunk {} does not begin with a random access point", unit.part)));
        }
        count.0 += 1;
        count.1 += u32::from(summary.key);
        scan.add(&unit, summary, joined.caps(), count.0 == 1)?;
    }
    let (mut all_damaged, mut damaged_in) = (0, Vec::new());
    for ((part, chunk), (units, keys)) in parts.iter().zip(&plan.chunks).zip(counts) {
        let name = &part.part.file.name;
        let MediaStats::Video(VideoStats { access_units, key_units, damaged }) = part.part.media else {
            return Err(mismatch(format!("part {name} is recorded as one of sound")));
        };
        all_damaged += u64::from(damaged);
        damaged_in.extend((damaged > 0).then_some(chunk.window));
        if (access_units, key_units) != (units, keys) {
            return Err(mismatch(format!(
                "part {name} has {units} frames, {keys} of them random access points, where its record says \
                 {access_units} and {key_units}"
            )));
        }
    }
    Ok(VideoTrack { damaged: all_damaged, damaged_in, ..scan.finish(rendition.codec)? })
}

#[derive(Default)]
struct VideoScan {
    first: Option<(gst::Buffer, gst::Caps)>,
    parameters: ParameterSets,
    parameters_change: bool,
    pts_ns: Vec<i64>,
    sizes: Vec<u32>,
    // Index of a frame and the size of its parameter sets.
    parameter_sizes: Vec<(usize, u32)>,
    digests: Vec<u64>,
    keys: Vec<u32>,
}

impl VideoScan {
    fn add(
        &mut self,
        unit: &Unit,
        summary: Summary,
        caps: Option<&gst::Caps>,
        begins_part: bool,
    ) -> Result<(), Failure> {
        let Some(caps) = caps else { return Err(mismatch("a video part does not say what it holds")) };
        match &self.first {
            None => self.first = Some((unit.buffer.clone(), caps.clone())),
            Some((_, first)) if begins_part && picture_size(first) != picture_size(caps) => {
                return Err(mismatch(format!("the picture of chunk {} has another size", unit.part)));
            }
            Some(_) => {}
        }
        // An access unit is far from 4 GiB.
        let size = |bytes| u32::try_from(bytes).unwrap_or(u32::MAX);
        self.sizes.push(size(summary.sample_bytes));
        if summary.parameter_bytes > 0 {
            self.parameter_sizes.push((self.pts_ns.len(), size(summary.parameter_bytes)));
        }
        if unit.part == 0 {
            self.parameters.extend(summary.parameters);
        } else {
            self.parameters_change |= !summary.parameters.is_subset(&self.parameters);
        }
        if summary.key {
            // The number of frames is checked against 32 bits by the records of the parts.
            self.keys.push(u32::try_from(self.pts_ns.len()).unwrap_or(u32::MAX));
        }
        self.pts_ns.push(unit.pts_ns);
        self.digests.push(summary.digest);
        Ok(())
    }

    fn finish(mut self, codec: VideoCodec) -> Result<VideoTrack, Failure> {
        let Some((first, caps)) = self.first else { return Err(mismatch("the parts have no frame")) };
        if self.parameters.is_empty() {
            return Err(mismatch("the first part has no parameter sets"));
        }
        if self.parameters_change {
            self.parameter_sizes.iter().for_each(|&(frame, bytes)| self.sizes[frame] += bytes);
        }
        Ok(VideoTrack {
            codec,
            caps,
            first,
            parameters: self.parameters,
            parameters_change: self.parameters_change,
            pts_ns: self.pts_ns,
            sizes: self.sizes,
            digests: self.digests,
            keys: self.keys,
            damaged: 0,
            damaged_in: Vec::new(),
        })
    }
}

fn picture_size(caps: &gst::Caps) -> Option<(i32, i32)> {
    let structure = caps.structure(0)?;
    Some((structure.get("width").ok()?, structure.get("height").ok()?))
}

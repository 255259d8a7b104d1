//! The film of a trial: rings that move, with detail everywhere and in every frame, encoded by the CPU.

use std::path::Path;

use actors::domain::failure::Failure;
use actors::domain::job::Preset;
use actors::domain::plan::{VideoRendition, Window};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;

use crate::media::encoder::element::{make, output_caps};
use crate::media::encoder::settings;
use crate::media::gdp::{GdpWriter, NO_OFFSET, to_file_time};
use crate::media::pipeline::Pipeline;
use crate::media::stage::encode::layout::planar;
use crate::protocol::TrialSpec;

/// Frames per second, as a fraction.
pub const RATE: (u32, u32) = (25, 1);
/// How fast the rings follow one another at the edge of the picture, and move.
const RINGS: [(&str, i32); 3] = [("kx2", 12), ("ky2", 12), ("kt", 2)];
/// No frame of a generated film takes so long.
const FRAME_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(30);

/// Writes the film of `spec` as a chunk source, encoded as `rendition` says, and fast; gives the window of its frames.
///
/// # Errors
/// `permanent` where GStreamer lacks an element, `retryable` where the disk does not take it.
pub fn write(spec: &TrialSpec, rendition: VideoRendition, path: &Path) -> Result<Window, Failure> {
    let pipeline = Pipeline::new("film");
    let pictures = pipeline.add("videotestsrc")?;
    pictures.set_property("num-buffers", i32::try_from(spec.frames).unwrap_or(i32::MAX));
    pictures.set_property_from_str("pattern", "zone-plate");
    RINGS.iter().for_each(|(name, value)| pictures.set_property(name, value));
    let side = |side| i32::try_from(side).unwrap_or(i32::MAX);
    let form = pipeline.add("capsfilter")?;
    let caps = gst::Caps::builder("video/x-raw")
        .field("format", planar(spec.bit_depth))
        .field("width", side(spec.size.0))
        .field("height", side(spec.size.1))
        .field("framerate", gst::Fraction::new(side(RATE.0), side(RATE.1)))
        .field("colorimetry", "bt709");
    form.set_property("caps", caps.build());
    let rate = rendition.rate;
    let settings = settings(&VideoRendition { preset: Preset::Ultrafast, ..rendition }, rate)?;
    let encoder = make(&settings)?;
    pipeline.put(&encoder)?;
    let sink = AppSink::builder().caps(&output_caps(spec.codec, &settings)).sync(false).max_buffers(1).build();
    pipeline.put(&sink)?;
    pipeline.link(&[&pictures, &form, &encoder, sink.upcast_ref()])?;
    pipeline.start()?;
    take(&pipeline, &sink, path)?;
    let end_ns = u64::from(spec.frames) * 1_000_000_000 * u64::from(RATE.1) / u64::from(RATE.0);
    Ok(Window { start_ns: 0, end_ns, frames: spec.frames })
}

fn take(pipeline: &Pipeline, sink: &AppSink, path: &Path) -> Result<(), Failure> {
    let stopped = || pipeline.first_failure().unwrap_or_else(|| Failure::retryable("the film of a trial stopped"));
    let mut writer = None;
    while let Some(sample) = sink.try_pull_sample(FRAME_TIMEOUT) {
        let (Some(mut buffer), Some(caps)) = (sample.buffer_owned(), sample.caps_owned()) else {
            return Err(stopped());
        };
        let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let time = segment.and_then(|segment| segment.to_running_time(buffer.pts())).ok_or_else(stopped)?;
        let fields = buffer.make_mut();
        fields.set_pts(to_file_time(i64::try_from(time.nseconds()).unwrap_or(i64::MAX)));
        fields.set_dts(gst::ClockTime::NONE);
        fields.set_offset(NO_OFFSET);
        fields.set_offset_end(NO_OFFSET);
        if writer.is_none() {
            writer = Some(GdpWriter::source(path, &caps)?);
        }
        if let Some(writer) = &mut writer {
            writer.write(buffer)?;
        }
    }
    let Some(writer) = writer.filter(|_| sink.is_eos()) else { return Err(stopped()) };
    writer.finish().map(|_| ())
}

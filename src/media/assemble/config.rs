//! Asks a parser of GStreamer for the decoder configuration of a video track, which MP4 has in its index.

use actors::domain::failure::Failure;
use actors::domain::job::VideoCodec;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video as gst_video;

use super::tracks::VideoTrack;
use crate::media::mp4::entry::{Colour, VideoEntry};
use crate::media::pipeline::Pipeline;

/// One access unit goes through a parser; this is for a machine that does nothing else meanwhile.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// The parser of a codec, and the stream format that MP4 wants of it.
pub const fn parser(codec: VideoCodec) -> (&'static str, &'static str, &'static str) {
    match codec {
        VideoCodec::H264 => ("h264parse", "video/x-h264", "avc"),
        VideoCodec::H265 => ("h265parse", "video/x-h265", "hvc1"),
    }
}

/// The sample entry of a track.
///
/// # Errors
/// `retryable` where the first frame cannot be parsed.
pub fn video_entry(track: &VideoTrack) -> Result<VideoEntry, Failure> {
    let caps = parsed_caps(track)?;
    let entry = caps.structure(0).and_then(|structure| {
        let size = |name| structure.get::<i32>(name).ok().and_then(|size| u16::try_from(size).ok());
        let configuration = structure.get::<gst::Buffer>("codec_data").ok()?;
        let configuration = configuration.map_readable().ok()?.to_vec();
        let aspect = structure.get::<gst::Fraction>("pixel-aspect-ratio").ok();
        let aspect = aspect.and_then(|aspect| Some((aspect.numer().try_into().ok()?, aspect.denom().try_into().ok()?)));
        let colour = structure.get::<String>("colorimetry").ok().and_then(|text| colour(&text));
        Some(VideoEntry {
            codec: track.codec,
            configuration,
            parameters_in_band: track.parameters_change,
            width: size("width")?,
            height: size("height")?,
            pixel_aspect: aspect.unwrap_or((1, 1)),
            colour,
        })
    });
    entry.ok_or_else(|| Failure::retryable(format!("the parser does not say enough of the video: {caps}")))
}

fn colour(text: &str) -> Option<Colour> {
    let colour: gst_video::VideoColorimetry = text.parse().ok()?;
    let code = |value: u32| u16::try_from(value).ok();
    Some(Colour {
        primaries: code(colour.primaries().to_iso())?,
        transfer: code(colour.transfer().to_iso())?,
        matrix: code(colour.matrix().to_iso())?,
        full_range: colour.range() == gst_video::VideoColorRange::Range0_255,
    })
}

/// `first access unit ─► parser ─► caps with codec_data`
fn parsed_caps(track: &VideoTrack) -> Result<gst::Caps, Failure> {
    let pipeline = Pipeline::new("configuration");
    let (parser, media, format) = parser(track.codec);
    let source = AppSrc::builder().caps(&track.caps).format(gst::Format::Time).build();
    let wanted = gst::Caps::builder(media).field("stream-format", format).field("alignment", "au").build();
    let sink = AppSink::builder().caps(&wanted).sync(false).build();
    pipeline.put(&source)?;
    let parser = pipeline.add(parser)?;
    pipeline.put(&sink)?;
    pipeline.link(&[source.upcast_ref(), &parser, sink.upcast_ref()])?;
    pipeline.start()?;
    let fed = source.push_buffer(track.first.clone()).and_then(|_| source.end_of_stream());
    let sample = fed.ok().and_then(|_| sink.try_pull_sample(TIMEOUT));
    let caps = sample.and_then(|sample| sample.caps_owned());
    caps.ok_or_else(|| {
        let failure = pipeline.first_failure();
        failure.unwrap_or_else(|| Failure::retryable("the first frame cannot be parsed")).context("reading the parts")
    })
}

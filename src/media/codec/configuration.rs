//! Asks a parser of GStreamer for the decoder configuration of a video track, which containers have in their index.

use actors::domain::failure::Failure;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::VideoColorimetry;

use super::bitstream::Bitstream;
use crate::media::pipeline::Pipeline;

/// One access unit goes through a parser; this is for a machine that does nothing else meanwhile.
const TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// What a track is, for a container that says so in front.
#[derive(Clone, Debug)]
pub struct Configuration {
    /// The configuration record, such as the content of `avcC` or `hvcC`.
    pub record: Vec<u8>,
    /// Width of the coded picture in pixels.
    pub width: u16,
    /// Height of the coded picture in pixels.
    pub height: u16,
    /// Shape of a pixel, width to height.
    pub pixel_aspect: (u32, u32),
    /// Colour, where it is known.
    pub colour: Option<VideoColorimetry>,
}

impl Configuration {
    /// Of a track of these caps that begins with this access unit.
    ///
    /// # Errors
    /// `retryable` where the access unit cannot be parsed.
    pub fn of(codec: &dyn Bitstream, caps: &gst::Caps, first: &gst::Buffer) -> Result<Self, Failure> {
        let caps = parsed_caps(codec, caps, first)?;
        let configuration = caps.structure(0).and_then(|structure| {
            let size = |name| structure.get::<i32>(name).ok().and_then(|size| u16::try_from(size).ok());
            let parsed = structure.get::<gst::Buffer>("codec_data").ok();
            let parsed = parsed.and_then(|record| Some(record.map_readable().ok()?.to_vec()));
            let record = codec.configuration(&first.map_readable().ok()?, parsed)?;
            let aspect = structure.get::<gst::Fraction>("pixel-aspect-ratio").ok();
            let aspect =
                aspect.and_then(|aspect| Some((aspect.numer().try_into().ok()?, aspect.denom().try_into().ok()?)));
            Some(Self {
                record,
                width: size("width")?,
                height: size("height")?,
                pixel_aspect: aspect.unwrap_or((1, 1)),
                colour: structure.get::<String>("colorimetry").ok().and_then(|text| text.parse().ok()),
            })
        });
        configuration.ok_or_else(|| Failure::retryable(format!("the parser does not say enough of the video: {caps}")))
    }
}

/// `first access unit ─► parser ─► caps with codec_data`
fn parsed_caps(codec: &dyn Bitstream, caps: &gst::Caps, first: &gst::Buffer) -> Result<gst::Caps, Failure> {
    let pipeline = Pipeline::new("configuration");
    let source = AppSrc::builder().caps(caps).format(gst::Format::Time).build();
    let sink = AppSink::builder().caps(&codec.sample_caps()).sync(false).build();
    pipeline.put(&source)?;
    let parser = pipeline.add(codec.parser())?;
    pipeline.put(&sink)?;
    pipeline.link(&[source.upcast_ref(), &parser, sink.upcast_ref()])?;
    pipeline.start()?;
    let fed = source.push_buffer(first.clone()).and_then(|_| source.end_of_stream());
    let sample = fed.ok().and_then(|_| sink.try_pull_sample(TIMEOUT));
    let caps = sample.and_then(|sample| sample.caps_owned());
    caps.ok_or_else(|| {
        let failure = pipeline.first_failure();
        failure.unwrap_or_else(|| Failure::retryable("the first frame cannot be parsed")).context("reading the parts")
    })
}

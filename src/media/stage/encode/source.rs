//! From a chunk source to the frames of the chunk: access units are read when the decoder's thread wants one, decoded
//! once, and every frame outside the window is dropped by its exact time. Once a frame behind the window was seen
//! nothing more is read. The CPU decodes with libavcodec ([`super::pictures`]); an element of GStreamer does where a device
//! decodes, where there is nothing to decode, and for sources that an earlier version cut.

use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::VideoFacts;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};

use super::frames::{Frames, Planned};
use super::pictures::Pictures;
use crate::media::decoder;
use crate::media::gdp::GdpReader;
use crate::media::libav::described;
use crate::media::pipeline::{Pipeline, element};

/// Adds source and decoder to the pipeline; gives the element that the frames come out of. The decoder is `device`, where
/// there is one. `on_caps` is called with the caps of the frames before the first of them passes.
///
/// # Errors
/// `retryable` where the source cannot be read, `permanent` where nothing decodes it.
pub fn build(
    pipeline: &Pipeline,
    mut reader: GdpReader,
    device: Option<&'static str>,
    facts: &VideoFacts,
    frames: &Arc<Frames>,
    on_caps: impl Fn(&gst::Caps) + Send + Sync + 'static,
) -> Result<gst::Element, Failure> {
    let Some(first) = reader.next()? else {
        return Err(Failure::retryable("the chunk source is empty, make it again"));
    };
    let Some(caps) = first.caps_owned() else { return Err(Failure::retryable("the chunk source has no caps")) };
    let source = AppSrc::builder().format(gst::Format::Time).stream_type(gstreamer_app::AppStreamType::Stream);
    if device.is_none()
        && let Some(parameters) = described::parameters(&caps)
    {
        let pictures = Pictures::new(reader, first, parameters, facts, Arc::clone(frames))?;
        let source = source.callbacks(pictures.feed(on_caps)).build();
        pipeline.put(&source)?;
        return Ok(source.upcast());
    }
    let source = source.caps(&caps).callbacks(feed(reader, first, Arc::clone(frames))).build();
    pipeline.put(&source)?;
    let decoder = device.map_or_else(|| software(&caps), element)?;
    settle(&decoder);
    pipeline.put(&decoder)?;
    pipeline.link(&[source.upcast_ref(), &decoder])?;
    watch(&decoder, facts, frames, on_caps);
    Ok(decoder)
}

/// One access unit each time that the decoder's thread has none left.
fn feed(mut reader: GdpReader, first: gst::Sample, frames: Arc<Frames>) -> AppSrcCallbacks {
    let mut next = Some(first);
    AppSrcCallbacks::builder()
        .need_data(move |source, _| {
            frames.move_on();
            let sample = match next.take() {
                _ if frames.is_beyond() => None,
                Some(sample) => Some(sample),
                None => reader.next().unwrap_or_else(|failure| {
                    frames.fail(failure);
                    None
                }),
            };
            // Both can only fail while the pipeline is being stopped.
            let _ = match sample.and_then(|sample| sample.buffer_owned()) {
                Some(buffer) => source.push_buffer(without_decoding_time(buffer)),
                None => source.end_of_stream(),
            };
        })
        .build()
}

/// `GstVideoDecoder` mistrusts presentation times where decoding times repeat, as those of FLV do, and moves frames. Where they
/// are all there is, it makes those of presentation of them.
fn without_decoding_time(mut buffer: gst::Buffer) -> gst::Buffer {
    if buffer.pts().is_some() && buffer.pts() != buffer.dts() {
        buffer.make_mut().set_dts(None::<gst::ClockTime>);
    }
    buffer
}

fn software(caps: &gst::Caps) -> Result<gst::Element, Failure> {
    let name = caps.structure(0).map(|structure| structure.name().to_string()).unwrap_or_default();
    if name == "video/x-raw" {
        return element("identity");
    }
    let factory =
        decoder::of_video(caps).ok_or_else(|| Failure::permanent(format!("no decoder here can read {name}")))?;
    element(&factory.name())
}

fn settle(decoder: &gst::Element) {
    // One thread: the encoders keep the other cores busy, and a thread holds frames in memory.
    for property in ["max-threads", "threads"] {
        if decoder.has_property(property) {
            decoder.set_property_from_str(property, "1");
        }
    }
    if decoder.has_property("max-errors") {
        // It goes on after damage; what is missing is counted.
        decoder.set_property("max-errors", -1i32);
    }
    if decoder.has_property("qos") {
        decoder.set_property("qos", false);
    }
}

/// Drops the frames that are not in the window, and says to all behind the decoder what the plan knows.
fn watch(
    decoder: &gst::Element,
    facts: &VideoFacts,
    frames: &Arc<Frames>,
    on_caps: impl Fn(&gst::Caps) + Send + Sync + 'static,
) {
    let Some(pad) = decoder.static_pad("src") else { return };
    let frames = Arc::clone(frames);
    let planned = Planned::new(facts);
    let kind = gst::PadProbeType::BUFFER | gst::PadProbeType::EVENT_DOWNSTREAM;
    pad.add_probe(kind, move |_, info| {
        if let Some(gst::PadProbeData::Buffer(buffer)) = &mut info.data
            && !frames.keeps(buffer)
        {
            return gst::PadProbeReturn::Drop;
        }
        if let Some(gst::PadProbeData::Event(event)) = &mut info.data
            && let gst::EventView::Caps(caps) = event.view()
        {
            let caps = planned.caps(caps.caps_owned());
            on_caps(&caps);
            *event = gst::event::Caps::new(&caps);
        }
        gst::PadProbeReturn::Ok
    });
}

//! From a chunk source to the frames of the chunk: access units are read when the decoder's thread wants one, decoded
//! once, and every frame outside the window is dropped by its exact time. Once a frame behind the window was seen
//! nothing more is read.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::plan::{VideoFacts, Window};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};

use super::picture::colours;
use crate::media::decoder;
use crate::media::gdp::{GdpReader, presentation_ns, to_file_time};
use crate::media::pipeline::{Nudge, Pipeline, element};

/// Distance of frames where nothing tells it, in nanoseconds: that of 25 a second.
const FRAME_NS: i64 = 40_000_000;

/// What is known of the frames while they pass.
pub struct Frames {
    window: Window,
    nudge: Nudge,
    beyond: AtomicBool,
    kept: AtomicU32,
    corrupted: AtomicU32,
    seen: AtomicU64,
    media_ns: AtomicU64,
    // The latest frame, and its distance from the one before.
    latest: Mutex<Option<(i64, i64)>>,
    failure: Mutex<Option<Failure>>,
}

impl Frames {
    /// Nothing yet of the frames in `window`.
    pub fn new(window: Window, nudge: Nudge) -> Arc<Self> {
        Arc::new(Self {
            window,
            nudge,
            beyond: AtomicBool::new(false),
            kept: AtomicU32::new(0),
            corrupted: AtomicU32::new(0),
            seen: AtomicU64::new(0),
            media_ns: AtomicU64::new(0),
            latest: Mutex::new(None),
            failure: Mutex::new(None),
        })
    }

    /// Frames in the window so far.
    pub fn kept(&self) -> u32 {
        self.kept.load(Ordering::Relaxed)
    }

    /// Frames in the window that the decoder had to guess in part.
    pub fn corrupted(&self) -> u32 {
        self.corrupted.load(Ordering::Relaxed)
    }

    /// Changes with every access unit and every frame.
    pub fn movement(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Media time in the window that was decoded, in nanoseconds.
    pub fn media_ns(&self) -> u64 {
        self.media_ns.load(Ordering::Relaxed)
    }

    /// What went wrong here.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn fail(&self, failure: Failure) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
        self.nudge.send();
    }

    /// When a decoded frame is shown. One without a time follows the one before as that did.
    fn time(&self, buffer: &mut gst::Buffer) -> Option<i64> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let said = buffer.pts().map(presentation_ns);
        let time = said.or_else(|| latest.map(|(time, distance)| time.saturating_add(distance)))?;
        if said.is_none() {
            buffer.make_mut().set_pts(to_file_time(time));
        }
        let usual = buffer.duration().and_then(|length| i64::try_from(length.nseconds()).ok()).unwrap_or(FRAME_NS);
        let distance = latest.map_or(usual, |(before, _)| time.saturating_sub(before));
        *latest = Some((time, if distance > 0 { distance } else { usual }));
        Some(time)
    }

    /// Whether a decoded frame belongs to the chunk.
    fn keeps(&self, buffer: &mut gst::Buffer) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let Some(time) = self.time(buffer) else {
            self.fail(Failure::permanent("the decoder gave a frame without a time"));
            return false;
        };
        let Ok(time) = u64::try_from(time) else { return false };
        if time >= self.window.end_ns {
            self.beyond.store(true, Ordering::Relaxed);
            return false;
        }
        if time < self.window.start_ns {
            return false;
        }
        self.kept.fetch_add(1, Ordering::Relaxed);
        if buffer.flags().contains(gst::BufferFlags::CORRUPTED) {
            self.corrupted.fetch_add(1, Ordering::Relaxed);
        }
        self.media_ns.fetch_max(time - self.window.start_ns, Ordering::Relaxed);
        true
    }
}

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
    let source =
        AppSrc::builder().caps(&caps).format(gst::Format::Time).stream_type(gstreamer_app::AppStreamType::Stream);
    let source = source.callbacks(feed(reader, first, Arc::clone(frames))).build();
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
            frames.seen.fetch_add(1, Ordering::Relaxed);
            let sample = match next.take() {
                _ if frames.beyond.load(Ordering::Relaxed) => None,
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

/// Drops the frames that are not in the window, and says to all behind the decoder the rate that the plan knows.
fn watch(
    decoder: &gst::Element,
    facts: &VideoFacts,
    frames: &Arc<Frames>,
    on_caps: impl Fn(&gst::Caps) + Send + Sync + 'static,
) {
    let Some(pad) = decoder.static_pad("src") else { return };
    let frames = Arc::clone(frames);
    let interlaced = facts.interlaced;
    let (num, den) = facts.frame_rate;
    let rate = gst::Fraction::new(i32::try_from(num).unwrap_or(0), i32::try_from(den).unwrap_or(1).max(1));
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
            let mut caps = caps.caps_owned();
            let colours = colours(&caps);
            let fields = caps.make_mut();
            fields.set("framerate", rate);
            if let Some(colours) = colours {
                fields.set("colorimetry", colours);
            }
            if !interlaced {
                // What the container and the stream do not announce is not deinterlaced, nor encoded as fields.
                fields.set("interlace-mode", "progressive");
                fields.iter_mut().for_each(|structure| structure.remove_field("field-order"));
            }
            on_caps(&caps);
            *event = gst::event::Caps::new(&caps);
        }
        gst::PadProbeReturn::Ok
    });
}

//! The pipeline that reads an output back.
//!
//! ```text
//!                       ┌─ video pad ─ h264parse / h265parse ─ appsink (byte stream)
//! filesrc ─ demuxer ────┤
//!                       └─ audio pad ─ aacparse ─ appsink (raw packets)
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::failure::Failure;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use super::compare::{Comparison, ReadFrame, ReadPacket};
use super::form::Form;
use crate::media::codec::aac::{self, packet_digest};
use crate::media::codec::{self, Bitstream};
use crate::media::parts::tracks::Tracks;
use crate::media::pipeline::{BusEvent, Pipeline};

/// Reads the whole file, unless it is decided earlier that it differs.
///
/// # Errors
/// `retryable` where it cannot be read.
pub fn run(tracks: &Tracks, form: Form, comparison: &Arc<Mutex<Comparison>>) -> Result<(), Failure> {
    let target = &tracks.spec.target;
    let pipeline = Pipeline::new("read back");
    let file = pipeline.add("filesrc")?;
    file.set_property("location", target);
    let demuxer = pipeline.add(form.demuxer)?;
    pipeline.link(&[&file, &demuxer])?;
    let read = Arc::new(AtomicU64::new(0));
    let video = video_branch(&pipeline, codec::of(tracks.video.codec), comparison, &read)?;
    let audio = tracks.audio.as_ref().map(|_| audio_branch(&pipeline, comparison, &read)).transpose()?;
    match form.has_edits {
        true => watch_index(&video, comparison),
        false => [Some(&video), audio.as_ref()].into_iter().flatten().for_each(show_everything),
    }
    let branches: Vec<_> = [Some(video.clone()), audio.clone()].into_iter().flatten().collect();
    demuxer.connect_no_more_pads(move |_| {
        // A branch without a stream would wait for its end for good; the comparison says what is missing.
        for entry in branches.iter().filter(|entry| !entry.is_linked()) {
            entry.send_event(gst::event::Eos::new());
        }
    });
    demuxer.connect_pad_added(move |_, pad| {
        let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
        let is_video = caps.structure(0).is_some_and(|structure| structure.name().starts_with("video/"));
        let entry = if is_video { Some(&video) } else { audio.as_ref() };
        if let Some(entry) = entry.filter(|entry| !entry.is_linked()) {
            // A pad that does not fit gives nothing, and the comparison says what is missing.
            let _ = pad.link(entry);
        }
    });
    pipeline.start()?;
    let movement = || read.load(Ordering::Relaxed);
    let mut tick = || !lock(comparison).is_decided();
    let mut heard = |event| {
        if let BusEvent::Warned(warning) = event {
            lock(comparison).differs(format!("reading it gives a warning ({warning})"));
        }
    };
    let waited = pipeline.wait(&movement, &mut tick, &mut heard);
    // Whatever it says: what we wrote must be readable, so it is no fault of the input.
    waited.map(|_| ()).map_err(|failure| {
        Failure::retryable(format!("reading {} back: {}; assemble it again", target.display(), failure.message))
    })
}

fn video_branch(
    pipeline: &Pipeline,
    codec: &'static dyn Bitstream,
    comparison: &Arc<Mutex<Comparison>>,
    read: &Arc<AtomicU64>,
) -> Result<gst::Pad, Failure> {
    branch(pipeline, codec.parser(), &codec.caps(), comparison, read, move |comparison, sample| {
        let unit = sample.buffer().and_then(|buffer| buffer.map_readable().ok());
        let times = sample.buffer().and_then(|buffer| Some((running_ns(sample, buffer.pts())?, buffer.dts())));
        let (Some(unit), Some((pts_ns, dts))) = (unit, times) else {
            return comparison.differs("a frame has no time");
        };
        let summary = codec.scan(&unit);
        let dts_ns = running_ns(sample, dts);
        comparison.frame(ReadFrame { pts_ns, dts_ns, key: summary.key, digest: summary.digest });
    })
}

fn audio_branch(
    pipeline: &Pipeline,
    comparison: &Arc<Mutex<Comparison>>,
    read: &Arc<AtomicU64>,
) -> Result<gst::Pad, Failure> {
    let caps = gst::Caps::builder("audio/mpeg").field("stream-format", "raw").build();
    branch(pipeline, aac::PARSER, &caps, comparison, read, |comparison, sample| {
        let packet = sample.buffer().and_then(|buffer| Some((running_ns(sample, buffer.pts())?, buffer)));
        let Some((pts_ns, buffer)) = packet else { return comparison.differs("an audio packet has no time") };
        let Ok(bytes) = buffer.map_readable() else { return comparison.differs("an audio packet cannot be mapped") };
        let segment = sample.segment().and_then(|segment| segment.downcast_ref::<gst::ClockTime>());
        let start = segment.and_then(|segment| running_ns(sample, segment.start()));
        let end = segment.and_then(|segment| running_ns(sample, segment.stop()));
        comparison.packet(ReadPacket {
            pts_ns,
            digest: packet_digest(&bytes),
            heard_ns: (start.unwrap_or_default(), end),
        });
    })
}

/// `parser ─ appsink`, and the pad to link to it.
fn branch(
    pipeline: &Pipeline,
    parser: &str,
    caps: &gst::Caps,
    comparison: &Arc<Mutex<Comparison>>,
    read: &Arc<AtomicU64>,
    compare: impl Fn(&mut Comparison, &gst::Sample) + Send + 'static,
) -> Result<gst::Pad, Failure> {
    let (comparison, read) = (Arc::clone(comparison), Arc::clone(read));
    let sink = AppSink::builder().caps(caps).sync(false).async_(false).build();
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        read.fetch_add(1, Ordering::Relaxed);
        compare(&mut lock(&comparison), &sample);
        Ok(gst::FlowSuccess::Ok)
    };
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
    let parser = pipeline.add(parser)?;
    pipeline.put(&sink)?;
    pipeline.link(&[&parser, sink.upcast_ref()])?;
    parser.static_pad("sink").ok_or_else(|| Failure::permanent(format!("`{}` has no input", parser.name())))
}

/// Tells the comparison what the index of the container says of each frame.
fn watch_index(video: &gst::Pad, comparison: &Arc<Mutex<Comparison>>) {
    let comparison = Arc::clone(comparison);
    video.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        if let Some(buffer) = info.buffer() {
            lock(&comparison).indexed(!buffer.flags().contains(gst::BufferFlags::DELTA_UNIT));
        }
        gst::PadProbeReturn::Ok
    });
}

/// `tsdemux` lets a presentation begin with the first frame, and parsers throw away what comes before it: the first
/// packets of the audio. Here all of the time line is shown.
fn show_everything(pad: &gst::Pad) {
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, |_, info| {
        if let Some(gst::EventView::Segment(_)) = info.event().map(|event| event.view()) {
            let whole = gst::FormattedSegment::<gst::ClockTime>::new();
            info.data = Some(gst::PadProbeData::Event(gst::event::Segment::new(&whole)));
        }
        gst::PadProbeReturn::Ok
    });
}

/// A time of a buffer as running time, which may be negative.
fn running_ns(sample: &gst::Sample, time: Option<gst::ClockTime>) -> Option<i64> {
    let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
    let signed = |time: gst::ClockTime| i64::try_from(time.nseconds()).ok();
    match segment.to_running_time_full(time?)? {
        gst::Signed::Positive(time) => signed(time),
        gst::Signed::Negative(time) => signed(time).map(|time| -time),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

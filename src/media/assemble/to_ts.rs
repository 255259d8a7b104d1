//! Joins parts into an MPEG transport stream.
//!
//! ```text
//! parts ─► appsrc ─┐
//!                  ├─ mpegtsmux ─ filesink
//! part ──► appsrc ─┘
//! ```
//!
//! The sources are asked for data one by one, so that the muxer alone decides the order, from the times, and
//! the same parts give the same bytes. Times are converted to the 90 kHz clock here, because the muxer cuts them off.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use actors::failure::Failure;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSrc, AppSrcCallbacks};

use super::Source;
use super::annexb;
use super::parts::Joined;
use super::timing::{CLOCK_90K, to_ns, to_ticks};
use crate::media::pipeline::{Pipeline, Wait};

/// Program identifiers of the streams; 0x100 and up is where most muxers begin.
const VIDEO_PAD: &str = "sink_256";
const AUDIO_PAD: &str = "sink_257";
/// Bytes written at once: a multiple of a packet.
const WRITE_BYTES: u32 = 188 * 1024;

/// Ticks that all times are shifted by, so that none is negative: decode times and the priming of the audio
/// come before the first frame is shown.
pub fn shift(source: &Source) -> i64 {
    let video = source.times.dts.first().copied().unwrap_or_default();
    let audio = source.audio.as_ref().map_or(0, |audio| to_ticks(audio.packet_ns(0), CLOCK_90K));
    -video.min(audio).min(0)
}

/// Writes the file.
///
/// # Errors
/// `retryable` where the disk does not take it or a part cannot be read.
pub fn run(source: &Source, target: &Path, progress: &dyn Fn(u64)) -> Result<(), Failure> {
    let pipeline = Pipeline::new("transport stream");
    let muxer = pipeline.add("mpegtsmux")?;
    let sink = pipeline.add("filesink")?;
    sink.set_property("location", target);
    sink.set_property("buffer-size", WRITE_BYTES);
    pipeline.link(&[&muxer, &sink])?;
    let state = Arc::new(State::default());
    let shift = shift(source);
    connect(&pipeline, &muxer, VIDEO_PAD, &source.video.caps, video_feed(source, shift), &state)?;
    if let Some(audio) = &source.audio {
        connect(&pipeline, &muxer, AUDIO_PAD, &audio.caps, audio_feed(source, shift), &state)?;
    }
    pipeline.start()?;
    let movement = || state.fed.load(Ordering::Relaxed);
    let mut tick = || {
        progress(state.media_ns.load(Ordering::Relaxed));
        state.failure().is_none()
    };
    let waited = pipeline.wait(&movement, &mut tick, &mut |_| {});
    match (state.failure(), waited) {
        (Some(failure), _) | (None, Err(failure)) => Err(failure),
        (None, Ok(Wait::Ended)) => Ok(()),
        (None, Ok(Wait::Stopped)) => Err(Failure::retryable("the muxer was stopped")),
    }
}

#[derive(Default)]
struct State {
    fed: AtomicU64,
    media_ns: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

impl State {
    fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Gives the next buffer of a stream; `None` after the last.
type Feed = Box<dyn FnMut(&State) -> Result<Option<gst::Buffer>, Failure> + Send>;

fn connect(
    pipeline: &Pipeline,
    muxer: &gst::Element,
    pad: &str,
    caps: &gst::Caps,
    mut feed: Feed,
    state: &Arc<State>,
) -> Result<(), Failure> {
    let source = AppSrc::builder().caps(caps).format(gst::Format::Time).build();
    let state = Arc::clone(state);
    let need_data = move |source: &AppSrc, _| match feed(&state) {
        Ok(Some(buffer)) => {
            state.fed.fetch_add(1, Ordering::Relaxed);
            // Refused only while the pipeline ends.
            let _ = source.push_buffer(buffer);
        }
        Ok(None) => {
            let _ = source.end_of_stream();
        }
        Err(failure) => {
            state.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
            let _ = source.end_of_stream();
        }
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(need_data).build());
    pipeline.put(&source)?;
    let joined = muxer.request_pad_simple(pad).zip(source.static_pad("src"));
    let linked = joined.is_some_and(|(sink, source)| source.link(&sink).is_ok());
    if linked { Ok(()) } else { Err(Failure::permanent(format!("`mpegtsmux` does not take {caps}"))) }
}

fn video_feed(source: &Source, shift: i64) -> Feed {
    let mut joined = Joined::new(&source.spec.video);
    let (video, times) = (Arc::clone(&source.video), Arc::clone(&source.times));
    let mut frames = 0usize..;
    Box::new(move |state| {
        let Some(unit) = joined.next()? else { return Ok(None) };
        let frame = frames.next().unwrap_or(usize::MAX);
        let Some((&pts, &dts)) = times.pts.get(frame).zip(times.dts.get(frame)) else {
            return Err(Failure::retryable("a part changed while it was read, another attempt reads it again"));
        };
        state.media_ns.fetch_max(u64::try_from(unit.pts_ns).unwrap_or_default(), Ordering::Relaxed);
        let complete = annexb::self_contained(video.codec, &unit.bytes()?, &video.parameters);
        let buffer = complete.map_or(unit.buffer, gst::Buffer::from_slice);
        let key = u32::try_from(frame).is_ok_and(|frame| video.keys.binary_search(&frame).is_ok());
        let flags = if key { gst::BufferFlags::empty() } else { gst::BufferFlags::DELTA_UNIT };
        Ok(Some(stamped(buffer, pts + shift, dts + shift, flags)))
    })
}

fn audio_feed(source: &Source, shift: i64) -> Feed {
    let mut joined = Joined::new(source.spec.audio.as_slice());
    let audio = source.audio.clone();
    let mut packets = 0u64..;
    Box::new(move |_| {
        let (Some(unit), Some(packet), Some(audio)) = (joined.next()?, packets.next(), &audio) else { return Ok(None) };
        let tick = to_ticks(audio.packet_ns(packet), CLOCK_90K) + shift;
        Ok(Some(stamped(unit.buffer, tick, tick, gst::BufferFlags::empty())))
    })
}

/// The buffer with times in ticks and nothing that it was marked with before.
fn stamped(mut buffer: gst::Buffer, pts: i64, dts: i64, flags: gst::BufferFlags) -> gst::Buffer {
    let time = |ticks| gst::ClockTime::from_nseconds(u64::try_from(to_ns(ticks, CLOCK_90K)).unwrap_or_default());
    let writable = buffer.make_mut();
    writable.set_pts(time(pts));
    writable.set_dts(time(dts));
    writable.unset_flags(gst::BufferFlags::all());
    writable.set_flags(flags);
    buffer
}

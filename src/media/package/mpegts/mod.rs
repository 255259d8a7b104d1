//! MPEG transport streams.
//!
//! ```text
//! parts ─► appsrc ─┐
//!                  ├─ mpegtsmux ─ appsink ─► clock ─► file
//! part ──► appsrc ─┘
//! ```
//!
//! The sources are asked for data one by one, so that the muxer alone decides the order, from the times, and
//! the same parts give the same bytes. Times are converted to the 90 kHz clock here, because the muxer cuts them off.

mod clock;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;
use actors::domain::job::AudioCodec;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks, AppSrc, AppSrcCallbacks};

use super::packager::Packager;
use super::verify::{self, Form};
use crate::media::codec;
use crate::media::gdp::write_failure;
use crate::media::parts::reader::Joined;
use crate::media::parts::timing::{CLOCK_90K, to_ns, to_ticks};
use crate::media::parts::tracks::Tracks;
use crate::media::pipeline::{Pipeline, Wait};
use clock::Clock;

/// Packet identifiers of the streams; 0x100 and up is where most muxers begin.
const VIDEO_PID: u16 = 256;
const AUDIO_PID: u16 = 257;
/// Number of the only program.
const PROGRAM: i32 = 1;
/// How far `mpegtsmux` has the PCR before the decode time, in ticks: an eighth of a second.
const PCR_AHEAD: u64 = 11_250;
/// Bytes written at once.
const BLOCK_BYTES: usize = 256 * 1024;

/// The package.
pub struct MpegTs;

impl Packager for MpegTs {
    fn name(&self) -> &'static str {
        "a transport stream"
    }

    fn takes_audio(&self, codec: AudioCodec) -> bool {
        match codec {
            AudioCodec::Aac => true,
        }
    }

    fn timescale(&self, _: &[i64], _: (u32, u32)) -> u32 {
        CLOCK_90K
    }

    fn write(&self, tracks: &Tracks, progress: &dyn Fn(u64)) -> Result<Vec<PathBuf>, Failure> {
        let target = &tracks.spec.target;
        write(tracks, target, progress).map(|()| vec![target.clone()])
    }

    fn verify(&self, tracks: &Tracks) -> Result<Verification, Failure> {
        verify::run(tracks, Form { demuxer: "tsdemux", has_edits: false })
    }
}

/// Ticks that all times are shifted by, so that none is negative: decode times and the priming of the audio
/// come before the first frame is shown.
fn shift(tracks: &Tracks) -> i64 {
    -first_video(tracks).min(first_audio(tracks).unwrap_or_default()).min(0)
}

fn first_video(tracks: &Tracks) -> i64 {
    tracks.times.dts.first().copied().unwrap_or_default()
}

fn first_audio(tracks: &Tracks) -> Option<i64> {
    tracks.audio.as_ref().map(|audio| to_ticks(audio.packet_ns(0), CLOCK_90K))
}

/// The stream that comes first has the PCR: the muxer writes the tables that name the streams with its packets, and
/// what comes before them is lost on receivers.
fn clock_pid(tracks: &Tracks) -> u16 {
    if first_audio(tracks).is_some_and(|audio| audio < first_video(tracks)) { AUDIO_PID } else { VIDEO_PID }
}

/// Which stream has the PCR, in the words of `mpegtsmux`.
fn program_map(clock_pid: u16) -> gst::Structure {
    gst::Structure::builder("program_map")
        .field(pad_name(VIDEO_PID), PROGRAM)
        .field(pad_name(AUDIO_PID), PROGRAM)
        .field(format!("PCR_{PROGRAM}"), pad_name(clock_pid))
        .build()
}

fn pad_name(pid: u16) -> String {
    format!("sink_{pid}")
}

fn write(tracks: &Tracks, target: &Path, progress: &dyn Fn(u64)) -> Result<(), Failure> {
    let pipeline = Pipeline::new("transport stream");
    let muxer = pipeline.add("mpegtsmux")?;
    let clock_pid = clock_pid(tracks);
    muxer.set_property("prog-map", program_map(clock_pid));
    let state = Arc::new(State::default());
    let file = File::create(target).map_err(|error| write_failure(target, &error))?;
    let output = Arc::new(Mutex::new(Output {
        file: BufWriter::with_capacity(BLOCK_BYTES, file),
        clock: Clock::new(clock_pid, PCR_AHEAD),
    }));
    let sink = sink(target, &output, &state);
    pipeline.put(&sink)?;
    pipeline.link(&[&muxer, sink.upcast_ref()])?;
    let shift = shift(tracks);
    connect(&pipeline, &muxer, VIDEO_PID, &tracks.video.caps, video_feed(tracks, shift), &state)?;
    if let Some(audio) = &tracks.audio {
        connect(&pipeline, &muxer, AUDIO_PID, &audio.caps, audio_feed(tracks, shift), &state)?;
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
        (None, Ok(Wait::Ended)) => lock(&output).file.flush().map_err(|error| write_failure(target, &error)),
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
    /// The first failure counts.
    fn fail(&self, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
    }

    fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }
}

struct Output {
    file: BufWriter<File>,
    clock: Clock,
}

fn sink(target: &Path, output: &Arc<Mutex<Output>>, state: &Arc<State>) -> AppSink {
    let (target, output, state) = (target.to_owned(), Arc::clone(output), Arc::clone(state));
    let take = move |sink: &AppSink| {
        let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
        let packets = sample.buffer().and_then(|buffer| buffer.map_readable().ok()).ok_or(gst::FlowError::Error)?;
        let Output { file, clock } = &mut *lock(&output);
        clock.pass(&packets, file).map(|()| gst::FlowSuccess::Ok).map_err(|error| {
            state.fail(write_failure(&target, &error));
            gst::FlowError::Error
        })
    };
    let sink = AppSink::builder().sync(false).async_(false).build();
    sink.set_callbacks(AppSinkCallbacks::builder().new_sample(take).build());
    sink
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the next buffer of a stream; `None` after the last.
type Feed = Box<dyn FnMut(&State) -> Result<Option<gst::Buffer>, Failure> + Send>;

fn connect(
    pipeline: &Pipeline,
    muxer: &gst::Element,
    pid: u16,
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
            state.fail(failure);
            let _ = source.end_of_stream();
        }
    };
    source.set_callbacks(AppSrcCallbacks::builder().need_data(need_data).build());
    pipeline.put(&source)?;
    let joined = muxer.request_pad_simple(&pad_name(pid)).zip(source.static_pad("src"));
    let linked = joined.is_some_and(|(sink, source)| source.link(&sink).is_ok());
    if linked { Ok(()) } else { Err(Failure::permanent(format!("`mpegtsmux` does not take {caps}"))) }
}

fn video_feed(tracks: &Tracks, shift: i64) -> Feed {
    let mut joined = Joined::new(tracks.video_parts);
    let (video, times) = (Arc::clone(&tracks.video), Arc::clone(&tracks.times));
    let mut frames = 0usize..;
    Box::new(move |state| {
        let Some(unit) = joined.next()? else { return Ok(None) };
        let frame = frames.next().unwrap_or(usize::MAX);
        let Some((&pts, &dts)) = times.pts.get(frame).zip(times.dts.get(frame)) else {
            return Err(Failure::retryable("a part changed while it was read, another attempt reads it again"));
        };
        state.media_ns.fetch_max(u64::try_from(unit.pts_ns).unwrap_or_default(), Ordering::Relaxed);
        let complete = codec::of(video.codec).in_band(&unit.bytes()?, &video.parameters);
        let buffer = complete.map_or(unit.buffer, gst::Buffer::from_slice);
        let key = u32::try_from(frame).is_ok_and(|frame| video.keys.binary_search(&frame).is_ok());
        let flags = if key { gst::BufferFlags::empty() } else { gst::BufferFlags::DELTA_UNIT };
        Ok(Some(stamped(buffer, pts + shift, dts + shift, flags)))
    })
}

fn audio_feed(tracks: &Tracks, shift: i64) -> Feed {
    let mut joined = Joined::new(tracks.audio_parts);
    let audio = tracks.audio.clone();
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

//! Which streams of a file are used: the first video track that can be decoded and is no cover picture, and the first
//! audio track that can be decoded. Says what is wrong with a file that has none.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::domain::failure::Failure;
use actors::domain::geometry::Orientation;
use actors::domain::plan::SourceFacts;
use gstreamer as gst;
use gstreamer::prelude::*;

use super::demux::{Kind, Receiver};
use super::sound::{self, AudioTrack};
use super::stream::Timeline;
use super::video::{VideoTrack, orientation};
use crate::media::decoder::has_decoder;
use crate::media::pipeline::Nudge;
use crate::protocol::SplitSpec;

/// Containers without edit lists, whose demuxer sends segments that say nothing: they are read by the times of the file
/// alone. That of FLV sends a second one where the first sound lies in front of the first picture, and the pictures
/// before it got other times (21 ms).
const UNEDITED: [&str; 5] = ["video/x-matroska", "video/webm", "audio/x-matroska", "audio/webm", "video/x-flv"];
/// A file whose first time is later than this was cut out of something longer.
const LATE_NS: u64 = 1_000_000_000;

struct Stream {
    kind: Kind,
    caps: gst::Caps,
    timeline: Timeline,
    orientation: Option<Orientation>,
    ended: bool,
}

impl Stream {
    fn name(&self) -> String {
        self.caps.structure(0).map_or_else(|| "an unknown stream".into(), |structure| structure.name().to_string())
    }

    fn is_cover(&self) -> bool {
        self.name().starts_with("image/")
    }
}

#[derive(Default)]
struct State {
    container: Option<String>,
    streams: Vec<Stream>,
    complete: bool,
    duration_ns: Option<u64>,
    // Start of the first segment of the file.
    base_ns: Option<u64>,
    video: Option<(usize, VideoTrack)>,
    audio: Option<(usize, AudioTrack)>,
    failure: Option<Failure>,
}

/// Receives the streams of a file and cuts those that are used.
pub struct Splitter {
    directory: PathBuf,
    chunk_seconds: u32,
    wants_audio: bool,
    nudge: Nudge,
    buffers: AtomicU64,
    media_ns: AtomicU64,
    state: Mutex<State>,
}

impl Splitter {
    /// A splitter; `nudge` wakes the one who waits for the pipeline, `duration_ns` is the length of the film where it is
    /// known beforehand and the demuxer shall not be asked.
    pub fn new(spec: &SplitSpec, nudge: Nudge, duration_ns: Option<u64>) -> Self {
        Self {
            directory: spec.directory.clone(),
            chunk_seconds: spec.chunk_seconds,
            wants_audio: spec.audio,
            nudge,
            buffers: AtomicU64::new(0),
            media_ns: AtomicU64::new(0),
            state: Mutex::new(State { duration_ns, ..State::default() }),
        }
    }

    /// Changes with every buffer.
    pub fn movement(&self) -> u64 {
        self.buffers.load(Ordering::Relaxed)
    }

    /// Media time of the video that was read, in nanoseconds.
    pub fn media_ns(&self) -> u64 {
        self.media_ns.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to come: all streams ended, or something failed.
    pub fn is_over(&self) -> bool {
        let state = self.lock();
        state.failure.is_some() || (!state.streams.is_empty() && state.streams.iter().all(|stream| stream.ended))
    }

    /// What went wrong here.
    pub fn failure(&self) -> Option<Failure> {
        self.lock().failure.clone()
    }

    /// The finding that the file ends more than `slack_ns` before the end that it announces, if it does.
    pub fn truncation(&self, slack_ns: u64) -> Option<Failure> {
        let state = self.lock();
        let announced = state.duration_ns.filter(|_| self.movement() > 0)?;
        // These count their length from zero, wherever the first unit lies.
        let announced = announced.saturating_sub(if state.is_unedited() { state.late_ns() } else { 0 });
        let end = state.streams.iter().map(|stream| stream.timeline.end).max().unwrap_or(0);
        let end = u64::try_from(end).unwrap_or(0);
        if announced.saturating_sub(end) <= slack_ns.max(announced / 50) {
            return None;
        }
        // Tenths of a second are enough for a reader.
        let (announced, end) = (announced as f64 / 1e9, end as f64 / 1e9);
        Some(Failure::permanent(format!(
            "the file says {announced:.1} s but ends at {end:.1} s; it is truncated, upload it again"
        )))
    }

    /// Puts what is known of the file in front of an error of the demuxer.
    pub fn explain(&self, failure: Failure) -> Failure {
        let state = self.lock();
        match (&state.container, state.streams.is_empty()) {
            (None, true) => {
                Failure::permanent(format!("the file is no video file that is known ({})", failure.message))
            }
            (Some(name), true) => failure.context(format!("the file ({name}) has no track that can be read")),
            _ => failure,
        }
    }

    /// Ends the tracks. Call it when the pipeline is gone.
    ///
    /// # Errors
    /// `permanent` where there is no video, `retryable` where a source cannot be written.
    pub fn finish(&self) -> Result<SourceFacts, Failure> {
        let mut state = self.lock();
        let Some((index, video)) = state.video.take() else { return Err(state.no_video()) };
        let orientation = state.streams.get(index).and_then(|stream| stream.orientation).unwrap_or_default();
        let audio = state.audio.take().map(|(_, track)| track.finish()).transpose()?.flatten();
        Ok(SourceFacts { video: video.finish(orientation)?, audio })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, state: &mut State, failure: Failure) {
        state.failure.get_or_insert(failure);
        self.nudge.send();
    }

    fn take(&self, state: &mut State, id: usize, pad: &gst::Pad, buffer: gst::Buffer) -> Result<(), Failure> {
        if state.duration_ns.is_none() {
            let duration = pad.peer_query_duration::<gst::ClockTime>().map(gst::ClockTime::nseconds);
            state.duration_ns = duration.filter(|duration| *duration > 0);
        }
        self.choose(state, id, pad)?;
        let Some(stream) = state.streams.get_mut(id) else { return Ok(()) };
        let unit = stream.timeline.unit(sound::lasting(buffer, &stream.caps));
        if let Some((_, track)) = state.video.as_mut().filter(|(chosen, _)| *chosen == id) {
            self.media_ns.fetch_max(u64::try_from(unit.time).unwrap_or(0), Ordering::Relaxed);
            return track.push(&unit);
        }
        match state.audio.as_mut().filter(|(chosen, _)| *chosen == id) {
            Some((_, track)) => track.push(&unit),
            None => Ok(()),
        }
    }

    fn choose(&self, state: &mut State, id: usize, pad: &gst::Pad) -> Result<(), Failure> {
        let kind = state.streams.get(id).map(|stream| stream.kind);
        if kind == Some(Kind::Video) && state.video.is_none() && state.best_video()? == id {
            let caps = pad.current_caps().unwrap_or_else(|| state.streams[id].caps.clone());
            // AVI has one time for each unit, and they count in decoding order.
            let decoding_order = state.container.as_deref() == Some("video/x-msvideo");
            let duration = state.duration_ns;
            let track = VideoTrack::new(&self.directory, caps, duration, self.chunk_seconds, decoding_order);
            state.video = Some((id, track));
        }
        if self.wants_audio && kind == Some(Kind::Audio) && state.audio.is_none() && state.best_audio()? == id {
            let caps = pad.current_caps().unwrap_or_else(|| state.streams[id].caps.clone());
            state.audio = Some((id, AudioTrack::new(&self.directory, caps)?));
        }
        Ok(())
    }
}

impl State {
    fn is_unedited(&self) -> bool {
        self.container.as_deref().is_some_and(|name| UNEDITED.contains(&name))
    }

    /// Where the time of a recording begins that was cut out of something longer. An offset of a few frames is none: it is
    /// the distance between picture and sound.
    fn late_ns(&self) -> u64 {
        self.base_ns.filter(|base| *base >= LATE_NS).unwrap_or(0)
    }

    fn segment(&mut self, index: usize, segment: &gst::Segment) {
        let start = segment.downcast_ref::<gst::ClockTime>().and_then(|segment| segment.start());
        self.base_ns.get_or_insert(start.map_or(0, gst::ClockTime::nseconds));
        let (unedited, late_ns) = (self.is_unedited(), self.late_ns());
        let Some(stream) = self.streams.get_mut(index) else { return };
        if !unedited {
            stream.timeline.segment(segment);
        } else if stream.timeline.is_new() {
            stream.timeline = Timeline::unedited(late_ns);
        }
    }

    /// The first video track that can be decoded, films before covers.
    fn best_video(&self) -> Result<usize, Failure> {
        let usable = |cover: bool| {
            self.streams.iter().position(|stream| {
                stream.kind == Kind::Video && stream.is_cover() == cover && has_decoder(&stream.caps)
            })
        };
        usable(false).or_else(|| usable(true)).ok_or_else(|| self.no_video())
    }

    fn best_audio(&self) -> Result<usize, Failure> {
        let mut tracks = self.streams.iter().enumerate().filter(|(_, stream)| stream.kind == Kind::Audio);
        let usable = tracks.clone().find(|(_, stream)| has_decoder(&stream.caps)).map(|(index, _)| index);
        usable.ok_or_else(|| {
            let caps = tracks.next().map(|(_, stream)| stream.name()).unwrap_or_default();
            Failure::permanent(format!("the audio track is {caps}, which no decoder here can read; convert it first"))
        })
    }

    /// Why there is no video track.
    fn no_video(&self) -> Failure {
        let mut names: Vec<String> = self.streams.iter().map(Stream::name).collect();
        names.dedup();
        let found = if names.is_empty() { "no stream at all".into() } else { names.join(", ") };
        if self.streams.iter().any(|stream| stream.kind == Kind::Encrypted) {
            return Failure::permanent("the file is encrypted and its key is not known, upload it without encryption");
        }
        let unknown = self.streams.iter().find(|stream| stream.kind == Kind::Video && !has_decoder(&stream.caps));
        Failure::permanent(match unknown {
            Some(stream) => {
                format!("the video track is {}, which no decoder here can read; convert it first", stream.name())
            }
            None => format!("the file has no video track, found: {found}"),
        })
    }
}

impl Receiver for Splitter {
    fn container(&self, caps: &gst::Caps) {
        self.lock().container = caps.structure(0).map(|structure| structure.name().to_string());
    }

    fn stream(&self, kind: Kind, caps: &gst::Caps) -> usize {
        let mut state = self.lock();
        let stream =
            Stream { kind, caps: caps.clone(), timeline: Timeline::default(), orientation: None, ended: false };
        state.streams.push(stream);
        state.streams.len() - 1
    }

    fn unreadable(&self, caps: &gst::Caps) {
        let name = caps.structure(0).map_or_else(|| "unknown".into(), |structure| structure.name().to_string());
        let failure = Failure::permanent(format!("the file is {name}, which is no film, upload a video file"));
        self.fail(&mut self.lock(), failure);
    }

    fn event(&self, stream: usize, event: &gst::Event) {
        let mut state = self.lock();
        match event.view() {
            gst::EventView::Caps(caps) => {
                if let Some((_, track)) = state.video.as_mut().filter(|(chosen, _)| *chosen == stream) {
                    track.set_caps(caps.caps_owned());
                }
            }
            gst::EventView::Segment(segment) => state.segment(stream, segment.segment()),
            gst::EventView::Tag(tags) => {
                if let (Some(stream), Some(found)) = (state.streams.get_mut(stream), orientation(tags.tag())) {
                    stream.orientation = Some(found);
                }
            }
            gst::EventView::Eos(_) => {
                if let Some(stream) = state.streams.get_mut(stream) {
                    stream.ended = true;
                }
                self.nudge.send();
            }
            _ => {}
        }
    }

    fn buffer(&self, stream: usize, pad: &gst::Pad, buffer: gst::Buffer) -> Result<(), gst::FlowError> {
        self.buffers.fetch_add(1, Ordering::Relaxed);
        let mut state = self.lock();
        if state.failure.is_some() {
            return Err(gst::FlowError::Error);
        }
        self.take(&mut state, stream, pad, buffer).map_err(|failure| {
            self.fail(&mut state, failure);
            gst::FlowError::Error
        })
    }

    fn all_streams(&self) {
        let mut state = self.lock();
        state.complete = true;
        if let Err(failure) = state.best_video() {
            self.fail(&mut state, failure);
        }
    }
}

//! What an output is made of, as the first pass over the parts found it.

use std::sync::Arc;

use actors::domain::job::Container;

use super::audio::AudioTrack;
use super::timing::{FrameTimes, to_ns};
use super::video::VideoTrack;
use crate::protocol::{AssembleSpec, PartSource};

/// The tracks of an output.
#[derive(Debug)]
pub struct Tracks<'a> {
    /// What was asked.
    pub spec: &'a AssembleSpec,
    /// What they are written into.
    pub package: Container,
    /// The parts with the frames, in order.
    pub video_parts: &'a [PartSource],
    /// The frames.
    pub video: Arc<VideoTrack>,
    /// When they are decoded and shown, in ticks of the package.
    pub times: Arc<FrameTimes>,
    /// The part with the sound; empty without.
    pub audio_parts: &'a [PartSource],
    /// The sound.
    pub audio: Option<Arc<AudioTrack>>,
}

impl Tracks<'_> {
    /// When the presentation ends, in nanoseconds.
    pub fn end_ns(&self) -> i64 {
        let video = to_ns(self.times.end, self.times.timescale);
        let audio = self.audio.as_ref().map_or(0, |audio| audio.end_ns());
        video.max(audio)
    }
}

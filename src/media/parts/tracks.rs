//! What an output is made of, as the first pass over the parts found it.

use std::sync::Arc;

use super::audio::AudioTrack;
use super::timing::{FrameTimes, to_ns};
use super::video::VideoTrack;
use crate::protocol::AssembleSpec;

/// The tracks of an output.
#[derive(Debug)]
pub struct Tracks<'a> {
    /// What was asked.
    pub spec: &'a AssembleSpec,
    /// The frames.
    pub video: Arc<VideoTrack>,
    /// When they are decoded and shown, in ticks of the package.
    pub times: Arc<FrameTimes>,
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

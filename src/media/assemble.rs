//! Joins the parts of one output, without decoding, and reads the result back before it calls it done.
//!
//! 1. every part is compared with its record; what is missing or damaged is the result ([`Joined::PartsLost`])
//! 2. a first pass over the parts makes tables of times and sizes ([`tracks`], [`timing`])
//! 3. a second pass copies the access units ([`to_mp4`], [`to_ts`])
//! 4. the file is made durable, read back and compared ([`super::verify`]); one that differs is removed
//!
//! Memory holds some tens of bytes for each frame and one access unit, never the media.

pub mod clock;
pub mod parts;
pub mod timing;
pub mod to_mp4;
pub mod to_ts;
pub mod tracks;

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use actors::failure::Failure;
use actors::job::Container;

use super::gdp::write_failure;
use super::verify;
use crate::digest;
use crate::stage::Progress;
use crate::stage::protocol::{AssembleSpec, Assembled, Joined};
use timing::{CLOCK_90K, FrameTimes, choose_timescale};
use tracks::{AudioTrack, VideoTrack};

/// Progress is told each time that so much media was written, in nanoseconds.
const PROGRESS_NS: u64 = 10_000_000_000;

/// What an output is made of.
#[derive(Debug)]
pub struct Source<'a> {
    /// What was asked.
    pub spec: &'a AssembleSpec,
    /// The frames.
    pub video: Arc<VideoTrack>,
    /// When they are decoded and shown, in ticks of the container.
    pub times: Arc<FrameTimes>,
    /// The sound.
    pub audio: Option<Arc<AudioTrack>>,
}

/// Runs the stage.
///
/// # Errors
/// `retryable` where a file cannot be read or written, where parts and plan do not belong together, and where the
/// output is not what it should be. The target is removed then.
pub fn run(spec: &AssembleSpec, progress: Progress<'_>) -> Result<Joined, Failure> {
    let names = parts::lost(spec.video.iter().chain(&spec.audio))?;
    if !names.is_empty() {
        return Ok(Joined::PartsLost(names));
    }
    let source = Source::scan(spec)?;
    progress(0);
    let assembled = write(&source, progress).and_then(|()| finish(&source));
    if assembled.is_err() {
        // What is left of it must not be taken for an output; where it cannot be removed its name still says temporary.
        let _ = std::fs::remove_file(&spec.target);
    }
    assembled.map(Joined::Assembled)
}

impl<'a> Source<'a> {
    /// The first pass over the parts.
    ///
    /// # Errors
    /// `retryable` where parts and plan do not belong together or a part cannot be read; `permanent` where the parts of an MP4
    /// file were made by several encoder families.
    pub fn scan(spec: &'a AssembleSpec) -> Result<Self, Failure> {
        let plan = &spec.plan;
        let Some(output) = plan.outputs.get(spec.output) else {
            return Err(Failure::permanent(format!("the plan has no output {}", spec.output)));
        };
        if spec.container == Container::Mp4 {
            parts::of_one_family(&spec.video)?;
        }
        let video = tracks::scan_video(&plan.video, output.video, &spec.video)?;
        let audio = match (output.audio, &plan.audio, &spec.audio) {
            (None, _, None) => None,
            (Some(rendition), Some(plan), Some(part)) => Some(tracks::scan_audio(plan, rendition, part)?),
            _ => {
                return Err(Failure::retryable("the plan asks for audio and there is no audio part, or the other way"));
            }
        };
        let timescale = match spec.container {
            Container::Mpegts => CLOCK_90K,
            Container::Mp4 => choose_timescale(&video.pts_ns, plan.video.facts.frame_rate),
        };
        let end_ns = i64::try_from(plan.video.facts.end_ns).unwrap_or(i64::MAX);
        let times = FrameTimes::new(&video.pts_ns, end_ns, timescale);
        Ok(Self { spec, video: Arc::new(video), times: Arc::new(times), audio: audio.map(Arc::new) })
    }

    /// When the presentation ends, in nanoseconds.
    pub fn end_ns(&self) -> i64 {
        let video = timing::to_ns(self.times.end, self.times.timescale);
        let audio = self.audio.as_ref().map_or(0, |audio| audio.end_ns());
        video.max(audio)
    }
}

fn write(source: &Source, progress: Progress<'_>) -> Result<(), Failure> {
    let told = Cell::new(0);
    let progress = |media_ns: u64| {
        if media_ns >= told.get() + PROGRESS_NS {
            told.set(media_ns);
            progress(media_ns);
        }
    };
    match source.spec.container {
        Container::Mpegts => to_ts::run(source, &source.spec.target, &progress),
        Container::Mp4 => to_mp4::run(source, &source.spec.target, &progress),
    }
}

fn finish(source: &Source) -> Result<Assembled, Failure> {
    let target = &source.spec.target;
    let failed = |error: std::io::Error| write_failure(target, &error);
    sync(target).map_err(failed)?;
    let verification = verify::run(source)?;
    let (bytes, sha256) = digest::of_file(target).map_err(failed)?;
    let duration_ns = u64::try_from(source.end_ns()).unwrap_or_default();
    Ok(Assembled { bytes, sha256, duration_ns, verification })
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

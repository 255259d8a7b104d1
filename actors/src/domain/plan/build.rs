//! Makes the plan of a job from what its input is.

use super::facts::{AudioFacts, SourceFacts, SourceIdentity, VideoFacts};
use super::family::Families;
use super::model::{AudioPlan, Chunk, OutputPlan, PLAN_FORMAT, Plan, Track, VideoPlan};
use super::rendition::{AudioRendition, VideoRendition};
use super::versions::EncoderVersions;
use crate::domain::failure::Failure;
use crate::domain::geometry::{display_size, rendition_size};
use crate::domain::job::{AudioSpec, GpuMode, JobSpec, Rate, VideoSpec};
use crate::domain::track::{RenditionId, TrackId};

/// Distance of key frames in seconds: what HLS and DASH packagers expect.
const KEYFRAME_SECONDS: u32 = 2;
/// Frames per second assumed for the key frame distance where the rate varies.
const VARIABLE_RATE_FRAMES: u32 = 30;
/// Sample rates of AAC-LC up to 48 kHz (ISO/IEC 14496-3, table 1.18); others are resampled to 48 kHz.
const AAC_SAMPLE_RATES: [u32; 9] = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];
/// AAC encoders of GStreamer take up to 5.1.
const MAX_AUDIO_CHANNELS: u32 = 6;

impl Plan {
    /// Makes the plan of `job` for an input with these `facts`, with devices out of `families`.
    ///
    /// # Errors
    /// `permanent` where the facts cannot be made into an output (no frame at all), or the job requires a GPU and none of
    /// `families` makes what it asks for.
    pub fn build(
        job: JobSpec,
        source: SourceIdentity,
        mut facts: SourceFacts,
        parallelism: u32,
        families: &Families,
    ) -> Result<Self, Failure> {
        if facts.video.chunks.iter().all(|chunk| chunk.window.frames == 0) {
            return Err(Failure::permanent("the video track has no frame that can be shown"));
        }
        let mut video = Vec::new();
        let mut audio = Vec::new();
        let outputs = job.outputs.iter().map(|output| {
            let place = position_of(&mut video, video_rendition(&output.video, &facts.video, families));
            let sound = output.audio.as_ref().zip(facts.audio.as_ref());
            let sound = sound.map(|(asked, facts)| position_of(&mut audio, audio_rendition(asked, facts)));
            let sound = sound.map(|place| RenditionId::new(TrackId::Audio(0), place));
            let members = std::iter::once(RenditionId::new(TrackId::Video, place)).chain(sound).collect();
            OutputPlan { package: output.container, members, root: output.uri.clone() }
        });
        let outputs: Vec<_> = outputs.collect();
        check_sizes(&video)?;
        if job.gpu == GpuMode::Require {
            check_devices(&video)?;
        }
        let rates: Vec<Rate> = video.iter().map(|rendition| rendition.rate).collect();
        let chunks = std::mem::take(&mut facts.video.chunks).into_iter().zip(0..).map(|(chunk, index)| Chunk {
            index,
            source: chunk.source,
            window: chunk.window,
            rates: rates.clone(),
        });
        let video = Track::Video(VideoPlan { chunks: chunks.collect(), facts: facts.video, renditions: video });
        let sound = facts.audio.filter(|_| !audio.is_empty());
        let sound = sound.map(|facts| Track::Audio(AudioPlan { facts, renditions: audio }));
        let mut plan = Self {
            format: PLAN_FORMAT,
            created_unix: source.modified_unix_ns / 1_000_000_000,
            job,
            source,
            parallelism: parallelism.max(1),
            tracks: std::iter::once(video).chain(sound).collect(),
            outputs,
            from_start: false,
            versions: EncoderVersions::default(),
        };
        plan.versions = families.versions.only(plan.uses());
        Ok(plan)
    }

    /// The plan of a film that was cut so.
    #[must_use]
    pub fn decoded_from_start(self, from_start: bool) -> Self {
        Self { from_start, ..self }
    }
}

/// The place of `item` in the list, where it is put if it is not there. Outputs of a job are few.
fn position_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> u16 {
    let known = list.iter().position(|known| *known == item);
    let place = known.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    u16::try_from(place).unwrap_or(u16::MAX)
}

/// A small source, or one that is much wider than high, can give pictures that the codec does not have.
fn check_sizes(renditions: &[VideoRendition]) -> Result<(), Failure> {
    let too_small = |one: &&VideoRendition| one.width.min(one.height) < one.codec.least_size();
    let Some(VideoRendition { codec, width, height, .. }) = renditions.iter().find(too_small) else { return Ok(()) };
    let (name, least) = (codec.as_str(), codec.least_size());
    Err(Failure::permanent(format!(
        "{name} has no pictures of {width}x{height}, both have to be {least} at least; ask for more with upscale, or for \
         another codec"
    )))
}

/// A job that requires a GPU is not made by the CPU.
fn check_devices(renditions: &[VideoRendition]) -> Result<(), Failure> {
    let Some(without) = renditions.iter().find(|rendition| !rendition.encoder.is_device()) else { return Ok(()) };
    let VideoRendition { codec, width, height, bit_depth, .. } = without;
    Err(Failure::permanent(format!(
        "gpu: the job requires a GPU, and no living worker has one that encodes {} at {width}x{height} with {bit_depth} \
         bits; make it smaller, or ask for auto or off",
        codec.as_str()
    )))
}

fn video_rendition(asked: &VideoSpec, facts: &VideoFacts, families: &Families) -> VideoRendition {
    let shown = display_size(facts.width, facts.height, facts.pixel_aspect, facts.orientation);
    let size = rendition_size(shown, asked);
    let bit_depth = asked.codec.bit_depth(facts.bit_depth);
    let keyframe_interval = match facts.frame_rate {
        (0, _) | (_, 0) => VARIABLE_RATE_FRAMES * KEYFRAME_SECONDS,
        (num, den) => (KEYFRAME_SECONDS * num).div_ceil(den).max(1),
    };
    VideoRendition {
        codec: asked.codec,
        encoder: families.choose(asked.codec, bit_depth, size.width, size.height),
        width: size.width,
        height: size.height,
        bit_depth,
        preset: asked.preset,
        rate: asked.rate(),
        keyframe_interval,
    }
}

fn audio_rendition(asked: &AudioSpec, facts: &AudioFacts) -> AudioRendition {
    let channels = facts.channels.clamp(1, MAX_AUDIO_CHANNELS);
    AudioRendition {
        codec: asked.codec,
        bitrate: asked.rate(channels),
        sample_rate: if AAC_SAMPLE_RATES.contains(&facts.sample_rate) { facts.sample_rate } else { 48_000 },
        channels,
    }
}

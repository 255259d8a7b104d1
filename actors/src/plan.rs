//! The plan of a job: everything that affects the bytes, fixed once when the job is split.
//! Times are nanoseconds on the presentation timeline (running time after edit lists).
//! Must never depend on the worker that reads it: two workers with different settings do the same work.

mod chains;
mod cut;
mod family;
mod needs;
mod pinned;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod versions;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::geometry::{Orientation, display_size, rendition_size};
use crate::job::{AudioCodec, AudioSpec, Bitrate, GpuMode, JobSpec, Preset, Rate, VideoCodec, VideoSpec};
use crate::task::WorkUnit;

pub use cut::{MAX_WINDOWS_PER_SOURCE, Window, chunk_target, windows};
pub use family::{EncoderFamily, Families, FamilyOffer};
pub use pinned::PinnedPlan;
pub use versions::{AAC_ENCODER, EncoderVersions, GSTREAMER};

/// Grows when a plan of an older worker can no longer be carried out; part of every fingerprint.
pub const PLAN_FORMAT: u32 = 1;

/// Hash of job, input identity and plan: parts live under it, and parts of two fingerprints never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub String);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What tells one input from another under the same URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourceIdentity {
    /// Size in bytes.
    pub bytes: u64,
    /// Last change, in nanoseconds since 1970.
    pub modified_unix_ns: u64,
    /// The storage's own version tag, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// What the split stage learned about the video track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// The caps of the access units, for logs and for the choice of a decoder.
    pub caps: String,
    /// Width of the coded picture in pixels.
    pub width: u32,
    /// Height of the coded picture in pixels.
    pub height: u32,
    /// Shape of a pixel, width to height.
    pub pixel_aspect: (u32, u32),
    /// Frames per second as a fraction; `(0, 1)` where the distances of the frames differ.
    pub frame_rate: (u32, u32),
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Whether pictures consist of two fields.
    pub interlaced: bool,
    /// How to turn the picture upright.
    pub orientation: Orientation,
    /// Whether each access unit gives exactly one frame (VP8, VP9 and AV1 have hidden ones).
    pub one_frame_per_unit: bool,
    /// End of the last frame.
    pub end_ns: u64,
    /// The chunks, in order, without gap or overlap.
    pub chunks: Vec<ChunkFacts>,
}

/// A chunk as the split stage cut it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkFacts {
    /// File name of the chunk source. Chunks that share one long GOP share its source.
    pub source: String,
    /// The frames of the chunk.
    pub window: Window,
}

/// What the split stage learned about the audio track.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFacts {
    /// File name of the audio source.
    pub source: String,
    /// The caps of the access units.
    pub caps: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels of the source.
    pub channels: u32,
    /// Time of the first sample that is heard.
    pub start_ns: u64,
    /// End of the last sample that is heard.
    pub end_ns: u64,
}

/// What the split stage learned about the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// The video track.
    pub video: VideoFacts,
    /// The first audio track, if there is one and an output wants it.
    pub audio: Option<AudioFacts>,
}

/// A chunk of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Position, from 0.
    pub index: u32,
    /// File name of the chunk source.
    pub source: String,
    /// The frames of the chunk.
    pub window: Window,
    /// Rate of each rendition in this chunk, in the order of [`VideoPlan::renditions`].
    pub rates: Vec<Rate>,
}

/// One encoded version of the video. Outputs that ask for the same share it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoRendition {
    /// The codec.
    pub codec: VideoCodec,
    /// The encoder.
    pub encoder: EncoderFamily,
    /// Width in square pixels.
    pub width: u32,
    /// Height in square pixels.
    pub height: u32,
    /// Bits of a luma sample, 8 or 10.
    pub bit_depth: u8,
    /// Effort.
    pub preset: Preset,
    /// The rate of the whole rendition; what a chunk gets stands in the chunk.
    pub rate: Rate,
    /// The most frames from one IDR to the next.
    pub keyframe_interval: u32,
}

impl VideoRendition {
    /// The family that makes it: the planned one, or with `on_cpu` that of the CPU where a device was planned.
    pub const fn made_by(&self, on_cpu: bool) -> EncoderFamily {
        if on_cpu && self.encoder.is_device() { EncoderFamily::cpu_family(self.codec) } else { self.encoder }
    }
}

/// One encoded version of the audio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioRendition {
    /// The codec.
    pub codec: AudioCodec,
    /// Bits per second of the track.
    pub bitrate: Bitrate,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels, 1 to 6.
    pub channels: u32,
}

/// The video part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// What is known of the source; its chunks are moved to `chunks`.
    pub facts: VideoFacts,
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// What is made of each chunk.
    pub renditions: Vec<VideoRendition>,
}

/// The audio part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// What is known of the source.
    pub facts: AudioFacts,
    /// What is made of the track.
    pub renditions: Vec<AudioRendition>,
}

/// Which renditions an output of the job holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    /// Index into [`VideoPlan::renditions`].
    pub video: usize,
    /// Index into [`AudioPlan::renditions`].
    pub audio: Option<usize>,
}

/// The plan of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`PLAN_FORMAT`] of the worker that made it.
    pub format: u32,
    /// The job.
    pub job: JobSpec,
    /// The input that was split.
    pub source: SourceIdentity,
    /// How many chunk tasks of the job may be in the queue. Not part of the fingerprint: it does not affect the bytes.
    pub parallelism: u32,
    /// Creation time in the headers of the containers, in seconds since 1970: that of the input, so that the same job gives the same bytes.
    pub created_unix: u64,
    /// The video.
    pub video: VideoPlan,
    /// The audio, if source and job have it.
    pub audio: Option<AudioPlan>,
    /// One for each output of the job, in its order.
    pub outputs: Vec<OutputPlan>,
    /// The versions of what decides about its bytes. None in plans of workers that knew none: anybody carries those out.
    #[serde(default, skip_serializing_if = "EncoderVersions::is_empty")]
    pub versions: EncoderVersions,
}

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
        let outputs = job.outputs.iter().map(|output| OutputPlan {
            video: position_of(&mut video, video_rendition(&output.video, &facts.video, families)),
            audio: output
                .audio
                .as_ref()
                .zip(facts.audio.as_ref())
                .map(|(asked, facts)| position_of(&mut audio, audio_rendition(asked, facts))),
        });
        let outputs: Vec<_> = outputs.collect();
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
        let chunks = chunks.collect();
        let mut plan = Self {
            format: PLAN_FORMAT,
            created_unix: source.modified_unix_ns / 1_000_000_000,
            job,
            source,
            parallelism: parallelism.max(1),
            video: VideoPlan { facts: facts.video, chunks, renditions: video },
            audio: facts.audio.filter(|_| !audio.is_empty()).map(|facts| AudioPlan { facts, renditions: audio }),
            outputs,
            versions: EncoderVersions::default(),
        };
        plan.versions = families.versions.only(plan.uses());
        Ok(plan)
    }

    /// Frames of the whole video.
    pub fn frames(&self) -> u64 {
        self.video.chunks.iter().map(|chunk| u64::from(chunk.window.frames)).sum()
    }

    /// Length of the presentation: the end of the longest track.
    pub fn duration_ns(&self) -> u64 {
        let audio = self.audio.as_ref().map_or(0, |audio| audio.facts.end_ns);
        self.video.facts.end_ns.max(audio)
    }

    /// The units of work, each of which needs a part: the audio track if there is one, and the chunks.
    pub fn units(&self) -> impl Iterator<Item = WorkUnit> + use<> {
        let audio = self.audio.is_some().then_some(WorkUnit::Audio);
        audio.into_iter().chain((0..self.num_chunks()).map(WorkUnit::Chunk))
    }

    /// How many units there are.
    pub fn num_units(&self) -> u32 {
        self.num_chunks() + u32::from(self.audio.is_some())
    }

    /// Whether a device makes a rendition.
    pub fn uses_device(&self) -> bool {
        self.video.renditions.iter().any(|rendition| rendition.encoder.is_device())
    }

    /// The renditions that may not have parts of two families ([`crate::job::Container::is_of_one_family`]).
    pub fn of_one_family(&self) -> impl Iterator<Item = usize> + '_ {
        let outputs = self.job.outputs.iter().zip(&self.outputs);
        outputs.filter(|(output, _)| output.container.is_of_one_family()).map(|(_, planned)| planned.video)
    }

    /// The devices and versions that this plan uses, so that its input, when it is cut again, gives the same plan.
    pub fn families(&self) -> Families {
        let devices = self.video.renditions.iter().filter(|rendition| rendition.encoder.is_device());
        let offer = |rendition: &VideoRendition| FamilyOffer {
            codec: rendition.codec,
            bit_depth: rendition.bit_depth,
            family: rendition.encoder,
            max_size: Some((rendition.width, rendition.height)),
        };
        Families { offers: devices.map(offer).collect(), versions: self.versions.clone() }
    }

    /// Number of chunks.
    pub fn num_chunks(&self) -> u32 {
        u32::try_from(self.video.chunks.len()).unwrap_or(u32::MAX)
    }
}

fn position_of<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    if let Some(index) = list.iter().position(|known| *known == item) {
        return index;
    }
    list.push(item);
    list.len() - 1
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
    let bit_depth = match asked.codec {
        // High 10 plays nearly nowhere.
        VideoCodec::H264 => 8,
        VideoCodec::H265 => {
            if facts.bit_depth > 8 {
                10
            } else {
                8
            }
        }
    };
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
    AudioRendition {
        codec: asked.codec,
        bitrate: asked.bitrate,
        sample_rate: if AAC_SAMPLE_RATES.contains(&facts.sample_rate) { facts.sample_rate } else { 48_000 },
        channels: facts.channels.clamp(1, MAX_AUDIO_CHANNELS),
    }
}

#[cfg(test)]
mod tests;

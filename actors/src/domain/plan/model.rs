//! The plan itself.

use serde::{Deserialize, Serialize};

use super::cut::Window;
use super::facts::{AudioFacts, SourceIdentity, VideoFacts};
use super::family::{Families, FamilyOffer};
use super::rendition::{AudioRendition, VideoRendition};
use super::versions::EncoderVersions;
use crate::domain::job::{JobSpec, Rate};
use crate::domain::unit::UnitId;

/// Grows when a plan of an older worker can no longer be carried out; part of every fingerprint.
pub const PLAN_FORMAT: u32 = 1;

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

impl Plan {
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
    pub fn units(&self) -> impl Iterator<Item = UnitId> + use<> {
        let audio = self.audio.is_some().then_some(UnitId::Audio);
        audio.into_iter().chain((0..self.num_chunks()).map(UnitId::Chunk))
    }

    /// How many units there are.
    pub fn num_units(&self) -> u32 {
        self.num_chunks() + u32::from(self.audio.is_some())
    }

    /// Whether a device makes a rendition.
    pub fn uses_device(&self) -> bool {
        self.video.renditions.iter().any(|rendition| rendition.encoder.is_device())
    }

    /// The renditions that may not have parts of two families ([`crate::domain::job::Container::is_of_one_family`]).
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

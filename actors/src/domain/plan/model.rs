//! The plan itself.

use serde::{Deserialize, Serialize};

use super::cut::Window;
use super::facts::{AudioFacts, SourceIdentity, VideoFacts};
use super::family::{Families, FamilyOffer};
use super::rendition::{AudioRendition, VideoRendition};
use super::versions::EncoderVersions;
use crate::domain::job::{Container, JobSpec, MediaUri, Rate};
use crate::domain::track::{RenditionId, TrackId};
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

/// The video track, and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VideoPlan {
    /// What is known of the source; its chunks are moved to `chunks`.
    pub facts: VideoFacts,
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// What is made of each chunk.
    pub renditions: Vec<VideoRendition>,
}

/// An audio track, and what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioPlan {
    /// What is known of the source.
    pub facts: AudioFacts,
    /// What is made of the track.
    pub renditions: Vec<AudioRendition>,
}

/// A track of the input that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Track {
    /// The video.
    Video(VideoPlan),
    /// Sound.
    Audio(AudioPlan),
}

/// An output of the job: which renditions lie in which package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputPlan {
    /// The package.
    pub package: Container,
    /// What it holds, in the order of the tracks.
    pub members: Vec<RenditionId>,
    /// The name of the file that players open.
    pub root: MediaUri,
}

/// The plan of a job. It is written and read in its [stored form](super::stored).
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What is used of the input, the video first.
    pub tracks: Vec<Track>,
    /// One for each output of the job, in its order.
    pub outputs: Vec<OutputPlan>,
    /// Whether each chunk is decoded from the beginning of the film: what was made from the access point in front of each one was not
    /// what the input shows.
    pub from_start: bool,
    /// The versions of what decides about its bytes. None in plans of workers that knew none: anybody carries those out.
    pub versions: EncoderVersions,
}

impl Track {
    /// Where its presentation ends.
    pub const fn end_ns(&self) -> u64 {
        match self {
            Self::Video(video) => video.facts.end_ns,
            Self::Audio(audio) => audio.facts.end_ns,
        }
    }

    /// How many renditions are made of it.
    pub fn num_renditions(&self) -> usize {
        match self {
            Self::Video(video) => video.renditions.len(),
            Self::Audio(audio) => audio.renditions.len(),
        }
    }
}

impl Plan {
    /// A track.
    pub fn track(&self, id: TrackId) -> Option<&Track> {
        match id {
            TrackId::Video => self.tracks.iter().find(|track| matches!(track, Track::Video(_))),
            TrackId::Audio(number) => {
                self.tracks.iter().filter(|track| matches!(track, Track::Audio(_))).nth(usize::from(number))
            }
        }
    }

    /// The video track.
    pub fn video(&self) -> Option<&VideoPlan> {
        match self.track(TrackId::Video) {
            Some(Track::Video(video)) => Some(video),
            _ => None,
        }
    }

    /// An audio track, by its number.
    pub fn audio(&self, number: u16) -> Option<&AudioPlan> {
        match self.track(TrackId::Audio(number)) {
            Some(Track::Audio(audio)) => Some(audio),
            _ => None,
        }
    }

    /// How many audio tracks there are.
    pub fn num_audio(&self) -> u16 {
        let audio = self.tracks.iter().filter(|track| matches!(track, Track::Audio(_))).count();
        u16::try_from(audio).unwrap_or(u16::MAX)
    }

    /// What is made of each chunk.
    pub fn video_renditions(&self) -> &[VideoRendition] {
        self.video().map_or(&[], |video| &video.renditions)
    }

    /// The chunks, in order.
    pub fn chunks(&self) -> &[Chunk] {
        self.video().map_or(&[], |video| &video.chunks)
    }

    /// The chunk that a unit is; `None` for whole tracks, and for units of another plan.
    pub fn chunk(&self, unit: UnitId) -> Option<&Chunk> {
        let UnitId::Chunk(index) = unit else { return None };
        self.chunks().get(index as usize)
    }

    /// How many renditions a unit is made into.
    pub fn num_renditions(&self, unit: UnitId) -> usize {
        self.track(unit.track()).map_or(0, Track::num_renditions)
    }

    /// Frames of the whole video.
    pub fn frames(&self) -> u64 {
        self.chunks().iter().map(|chunk| u64::from(chunk.window.frames)).sum()
    }

    /// Length of the presentation: the end of the longest track.
    pub fn duration_ns(&self) -> u64 {
        self.tracks.iter().map(Track::end_ns).max().unwrap_or(0)
    }

    /// The units of work, each of which needs its parts: the audio tracks and the chunks.
    pub fn units(&self) -> impl Iterator<Item = UnitId> + use<> {
        (0..self.num_audio()).map(UnitId::Audio).chain((0..self.num_chunks()).map(UnitId::Chunk))
    }

    /// How many units there are.
    pub fn num_units(&self) -> u32 {
        self.num_chunks().saturating_add(u32::from(self.num_audio()))
    }

    /// The units that are pieces of one track, in their order.
    pub fn units_of(&self, track: TrackId) -> impl Iterator<Item = UnitId> + use<> {
        self.units().filter(move |unit| unit.track() == track)
    }

    /// Whether a device makes a rendition.
    pub fn uses_device(&self) -> bool {
        self.video_renditions().iter().any(|rendition| rendition.encoder.is_device())
    }

    /// The video renditions that may not have parts of two families ([`Container::is_of_one_family`]), by their places.
    pub fn of_one_family(&self) -> impl Iterator<Item = usize> + '_ {
        let strict = self.outputs.iter().filter(|output| output.package.is_of_one_family());
        let members = strict.flat_map(|output| &output.members);
        members.filter(|member| member.track == TrackId::Video).map(|member| member.place())
    }

    /// The devices and versions that this plan uses, so that its input, when it is cut again, gives the same plan.
    pub fn families(&self) -> Families {
        let devices = self.video_renditions().iter().filter(|rendition| rendition.encoder.is_device());
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
        u32::try_from(self.chunks().len()).unwrap_or(u32::MAX)
    }
}

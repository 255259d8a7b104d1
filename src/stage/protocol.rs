//! What the worker and a stage process say to each other: one JSON spec on the child's standard input, then
//! one JSON event a line on its standard output. The last event is `done` or `failed`; a child that ends without
//! one has crashed. Standard error is for logs. All paths are local: the runner fetches inputs before and
//! publishes files after; a stage never knows a URI's storage.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use actors::checkpoint::{PartFile, Verification};
use actors::failure::Failure;
use actors::job::Container;
use actors::plan::{AudioPlan, Chunk, Plan, SourceFacts, VideoFacts, VideoRendition};

/// What a child has to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum StageSpec {
    /// Cut an input.
    Split(SplitSpec),
    /// Encode a chunk.
    Encode(Box<EncodeSpec>),
    /// Encode an audio track.
    Audio(Box<AudioSpec>),
    /// Join parts into one output.
    Assemble(Box<AssembleSpec>),
    /// Find out which encoders work.
    Probe,
}

impl StageSpec {
    /// The name used in logs and messages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Split(_) => "split",
            Self::Encode(_) => "encode",
            Self::Audio(_) => "audio",
            Self::Assemble(_) => "assemble",
            Self::Probe => "probe",
        }
    }
}

/// Cut `input` into chunk sources and an audio source in `directory`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SplitSpec {
    /// The input.
    pub input: PathBuf,
    /// An empty directory for the sources.
    pub directory: PathBuf,
    /// `CHUNK_SECONDS`.
    pub chunk_seconds: u32,
    /// Whether an output wants audio.
    pub audio: bool,
}

/// Encode the frames of `chunk` into one file for each rendition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncodeSpec {
    /// The chunk source.
    pub source: PathBuf,
    /// What is known of the track.
    pub facts: VideoFacts,
    /// The chunk.
    pub chunk: Chunk,
    /// What to make, with `chunk.rates` in the same order.
    pub renditions: Vec<VideoRendition>,
    /// Where to write each rendition.
    pub targets: Vec<PathBuf>,
}

/// Encode an audio source into one file for each rendition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AudioSpec {
    /// The audio source.
    pub source: PathBuf,
    /// What is known of the track, and what to make.
    pub plan: AudioPlan,
    /// Where to write each rendition.
    pub targets: Vec<PathBuf>,
}

/// Join the parts of one output and read the result back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AssembleSpec {
    /// The plan.
    pub plan: Plan,
    /// Which output of the plan.
    pub output: usize,
    /// Its container.
    pub container: Container,
    /// The video parts in order, with what their records say.
    pub video: Vec<PartSource>,
    /// The audio part, with what its record says.
    pub audio: Option<PartSource>,
    /// Where to write the output (a temporary name).
    pub target: PathBuf,
}

/// A part and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartSource {
    /// Where it is.
    pub path: PathBuf,
    /// What its record says.
    pub file: PartFile,
}

/// What a child says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum StageEvent {
    /// Media time done, in nanoseconds from the beginning of the work of this stage.
    Progress {
        /// Nanoseconds.
        media_ns: u64,
    },
    /// The stage is done; nothing follows.
    Done(StageResult),
    /// The stage failed; nothing follows.
    Failed(Failure),
}

/// What a stage gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum StageResult {
    /// What the input is, and the sources that were written.
    Split(SourceFacts),
    /// One file for each rendition; `name` is left empty for the runner to fill.
    Encode {
        /// The files.
        files: Vec<PartFile>,
    },
    /// One file for each rendition; `name` is left empty for the runner to fill.
    Audio {
        /// The files.
        files: Vec<PartFile>,
    },
    /// An output that was verified.
    Assemble(Assembled),
    /// Nothing was assembled: these parts (by [`PartFile::name`]) are missing or not what their records say, and
    /// have to be encoded again.
    PartsLost {
        /// All of them, in the order of the spec.
        names: Vec<String>,
    },
    /// Nothing was encoded: the source is damaged or missing, and has to be cut again.
    SourceLost {
        /// How that was seen, one sentence.
        how: String,
    },
    /// Encoders by element name that made a picture, or the reason why not.
    Probe {
        /// Element name to reason; `None` where it works.
        elements: BTreeMap<String, Option<String>>,
    },
}

/// An output as it lies under its temporary name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Assembled {
    /// Size.
    pub bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// Length in nanoseconds.
    pub duration_ns: u64,
    /// What was read back.
    pub verification: Verification,
}

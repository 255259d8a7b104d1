//! What the worker and a stage process say to each other: one JSON [`Order`] on the child's standard input, then
//! one JSON [`StageEvent`] a line on its standard output. The last event is `done` or `failed`; a child that ends without
//! one has crashed. Standard error is for logs. All paths are local: the runner fetches inputs before and
//! publishes files after; a stage never knows a URI's storage.

mod verification;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;
use actors::domain::job::VideoCodec;
use actors::domain::part::{AudioStats, Part, VideoStats};
use actors::domain::plan::{
    AudioPlan, Chunk, EncoderFamily, EncoderVersions, Plan, SourceFacts, VideoFacts, VideoRendition,
};
use actors::domain::track::RenditionId;
pub use verification::{Compared, Verdict, VerifiedFile, VerifySpec};

/// What a child has to do, and what can come of it: a stage from end to end.
pub trait Stage: Serialize + DeserializeOwned {
    /// What comes of it, where it does not fail.
    type Output: Serialize + DeserializeOwned;
    /// The name in messages, logs and on the wire.
    const NAME: &'static str;

    /// Whether native code of a device runs in it.
    fn uses_device(&self) -> bool {
        false
    }
}

/// The first line that a child reads.
#[derive(Debug, Serialize)]
pub struct Order<'a, S> {
    stage: &'static str,
    spec: &'a S,
}

impl<'a, S: Stage> Order<'a, S> {
    /// To carry out `spec`.
    pub const fn of(spec: &'a S) -> Self {
        Self { stage: S::NAME, spec }
    }
}

/// An [`Order`] as the child reads it.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "stage", content = "spec", rename_all = "lowercase")]
pub enum StageSpec {
    /// Cut an input.
    Split(SplitSpec),
    /// Encode a chunk.
    Encode(Box<EncodeSpec>),
    /// Encode an audio track.
    Audio(Box<EncodeAudioSpec>),
    /// Join parts into one output.
    Assemble(Box<AssembleSpec>),
    /// Compare outputs with the input.
    Verify(VerifySpec),
    /// Find out which encoders of the CPU work.
    Probe(ProbeSpec),
    /// Find out which elements of devices there are.
    Devices(DevicesSpec),
    /// Try one way through a device, or through the CPU to compare with.
    Trial(TrialSpec),
}

impl Stage for SplitSpec {
    type Output = SourceFacts;
    const NAME: &'static str = "split";
}

impl Stage for EncodeSpec {
    type Output = Encoded<VideoStats>;
    const NAME: &'static str = "encode";

    fn uses_device(&self) -> bool {
        let encodes = self.renditions.iter().any(|rendition| rendition.encoder.is_device());
        encodes || self.uses_nvidia()
    }
}

impl Stage for EncodeAudioSpec {
    type Output = Encoded<AudioStats>;
    const NAME: &'static str = "audio";
}

impl Stage for AssembleSpec {
    type Output = Joined;
    const NAME: &'static str = "assemble";
}

impl Stage for VerifySpec {
    type Output = Verdict;
    const NAME: &'static str = "verify";
}

impl Stage for ProbeSpec {
    type Output = Probed;
    const NAME: &'static str = "probe";
}

impl Stage for DevicesSpec {
    type Output = DeviceElements;
    const NAME: &'static str = "devices";

    fn uses_device(&self) -> bool {
        true
    }
}

impl Stage for TrialSpec {
    type Output = Tried;
    const NAME: &'static str = "trial";

    fn uses_device(&self) -> bool {
        self.encoder.is_device() || self.device != DeviceWork::default()
    }
}

/// Encode a picture with each encoder of the CPU.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ProbeSpec {}

/// List the elements of devices. Loads their plugins and opens no device.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct DevicesSpec {}

impl EncodeSpec {
    /// Whether a device decodes, scales or encodes that is NVIDIA's.
    pub fn uses_nvidia(&self) -> bool {
        let nvidia = EncoderFamily::Nvcodec;
        let encodes = self.renditions.iter().any(|rendition| rendition.encoder == nvidia);
        encodes || self.device.decoder == Some(nvidia) || self.device.scaling == Scaling::Everything
    }
}

/// Encode a generated film one way, and compare the pictures with those of the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialSpec {
    /// Codec of the film and of what is made of it.
    pub codec: VideoCodec,
    /// Bits of a luma sample of both.
    pub bit_depth: u8,
    /// Who encodes.
    pub encoder: EncoderFamily,
    /// What a device does beside that.
    pub device: DeviceWork,
    /// Width and height of the film in pixels; it is made half as wide and high where `halved`.
    pub size: (u32, u32),
    /// Whether the pictures are made smaller on the way.
    pub halved: bool,
    /// Length of the film in frames.
    pub frames: u32,
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
    /// Whether each chunk is decoded from the beginning of the film.
    #[serde(default)]
    pub from_start: bool,
    /// Whether an output wants audio.
    pub audio: bool,
    /// How much of a track may be missing, as a share.
    #[serde(default)]
    pub max_damage: f64,
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
    /// What a device does beside encoding the renditions that are planned for it.
    #[serde(default)]
    pub device: DeviceWork,
}

/// What a device does beside encoding. The plan leaves it open: a decoder that was proven gives the pictures of the CPU's
/// to the last bit, and only renditions whose encoder is the device as well are scaled by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWork {
    /// Whose decoder; `None` for the CPU's.
    pub decoder: Option<EncoderFamily>,
    /// What it scales.
    pub scaling: Scaling,
}

/// What a device scales.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Nothing: the CPU does.
    #[default]
    Nothing,
    /// The pictures that it encodes.
    ForItsEncoder,
    /// All pictures. Gives other bytes than the CPU does, which is why no job asks for it: for measurements.
    Everything,
}

/// Encode an audio source into one file for each rendition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EncodeAudioSpec {
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
    /// The parts of each member of the output, in its order.
    pub members: Vec<Member>,
    /// Where to write the output (a temporary name).
    pub target: PathBuf,
}

/// A rendition on its way into an output.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Member {
    /// The rendition.
    pub rendition: RenditionId,
    /// Its parts in the order of their units, with what their records say.
    pub parts: Vec<PartSource>,
}

/// A part and what is known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartSource {
    /// Where it is.
    pub path: PathBuf,
    /// What its record says.
    pub part: Part,
}

/// What a child says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "of", rename_all = "lowercase")]
pub enum StageEvent<T> {
    /// Media time done, in nanoseconds from the beginning of the work of this stage.
    Progress(u64),
    /// The stage is done; nothing follows.
    Done(T),
    /// The stage failed; nothing follows.
    Failed(Failure),
}

/// What came of a source: files of the media `M`, or nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoded<M> {
    /// One file for each rendition.
    Files(Vec<EncodedFile<M>>),
    /// Nothing: it is damaged or missing, as this sentence says, and has to be cut again.
    SourceLost(String),
}

/// A file that was written for a rendition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodedFile<M> {
    /// Size.
    pub bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// What it holds.
    pub media: M,
}

/// What came of the parts of an output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Joined {
    /// An output that was verified.
    Product(Product),
    /// Nothing: these parts (by the names of their files), in the order of the spec, are missing or not what their records say,
    /// and have to be encoded again.
    PartsLost(Vec<String>),
    /// Nothing: more of the source is damaged than may be, as this sentence says.
    TooDamaged(String),
}

/// What is known of the encoders of the CPU.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Probed {
    /// Element name to the reason why it made no picture; `None` where it works.
    pub elements: BTreeMap<String, Option<String>>,
    /// What is known of versions, also of plugins that were not tried.
    pub versions: EncoderVersions,
}

/// What is installed for devices.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeviceElements {
    /// Names of the elements that are registered.
    pub elements: Vec<String>,
    /// File names of libraries of the driver that cannot be loaded.
    pub missing_libraries: Vec<String>,
    /// The major version of the NVRTC that GStreamer finds.
    pub nvrtc: Option<u32>,
}

/// A trial that went well. One whose pictures are wrong fails as `device` instead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Frames per second from the first access unit to the last.
    pub fps: f64,
    /// Luma PSNR of the worst frame against the CPU's, in dB; 100 where they are the same.
    pub worst_psnr_db: f64,
    /// The same on average.
    pub mean_psnr_db: f64,
    /// Whether all bytes are those of the CPU.
    pub same_bytes: bool,
    /// Size of what was encoded.
    pub bytes: u64,
}

/// An output as it lies under temporary names, read back and found right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// Its files, in the order in which they may appear: media first, the one that players open last.
    pub files: Vec<ProductFile>,
    /// Length in nanoseconds.
    pub duration_ns: u64,
    /// What was read back.
    pub checks: Verification,
}

/// A file of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductFile {
    /// Its temporary name.
    pub path: PathBuf,
    /// Size.
    pub bytes: u64,
    /// Of the whole file, in hex.
    pub sha256: String,
}

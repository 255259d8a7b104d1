//! What is asked for. A [`JobSpec`] that was parsed is valid: every rule that can be checked
//! without reading the input is checked here, and every error names its field.
//! Must never look at files or at the network.

mod units;

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use super::codec::{AudioCodec, VideoCodec};
pub use units::{Bitrate, Crf, Dimension, JobId, MediaUri, Share};

/// The largest job message that is looked at, in bytes. A job names media by reference; a real one has 1 to 4 kB.
pub const MAX_JOB_BYTES: usize = 256 * 1024;
/// The most outputs of one job: more than any published ladder has.
pub const MAX_OUTPUTS: usize = 32;

/// A job as the Transcoding Service asks for it: the value of a message on `KAFKA_TOPIC`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// Names the job everywhere. The same id with the same content is the same job.
    pub job_id: JobId,
    /// What to read.
    pub input: Input,
    /// What to make, 1 to 32 outputs.
    pub outputs: Vec<Output>,
    /// Whether a GPU is used.
    #[serde(default)]
    pub gpu: GpuMode,
    /// Replace outputs that exist and were not made by this job.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overwrite: bool,
}

/// Where the source is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// An absolute URI, for example `file:///media/in.mp4`.
    pub uri: MediaUri,
    /// How much of the film may be damaged; 0.02 where it is not said. With 0 the first picture that cannot be decoded fails
    /// the job, with 1 none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_damage: Option<Share>,
}

impl Input {
    /// How much may be damaged.
    pub fn max_damage(&self) -> Share {
        self.max_damage.unwrap_or(Share::DEFAULT_DAMAGE)
    }
}

/// One file to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The final name; it appears only after the output was verified.
    pub uri: MediaUri,
    /// The container format.
    pub container: Container,
    /// The video rendition.
    pub video: VideoSpec,
    /// The audio rendition. Without it the output has no audio; a source without audio gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio: Option<AudioSpec>,
}

/// How the video is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VideoSpec {
    /// The codec.
    pub codec: VideoCodec,
    /// Width of the picture in pixels, even. With `height`: the box that the picture is fitted into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<Dimension>,
    /// Height of the picture in pixels, even.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<Dimension>,
    /// Average bits per second. Not together with `crf`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<Bitrate>,
    /// Constant quality in the scale of the codec, lower is better. Not together with `bitrate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crf: Option<Crf>,
    /// Effort of the encoder.
    #[serde(default)]
    pub preset: Preset,
    /// Make the picture larger than the source where width or height ask for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upscale: bool,
}

/// How the audio is encoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioSpec {
    /// The codec.
    #[serde(default)]
    pub codec: AudioCodec,
    /// Bits per second for the whole track; 64000 for each channel if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bitrate: Option<Bitrate>,
}

impl AudioSpec {
    /// The rate of a track of so many channels. 64 kbit/s for each one are transparent for AAC-LC.
    pub const fn rate(&self, channels: u32) -> Bitrate {
        match self.bitrate {
            Some(bitrate) => bitrate,
            None => Bitrate::from_bits(64_000 * channels as u64),
        }
    }
}

/// Container formats that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Container {
    /// MPEG-2 transport stream, `.ts`.
    Mpegts,
    /// MP4 with `moov` in front (fast start), `.mp4`.
    Mp4,
}

impl Container {
    /// Whether a rendition in it may not have parts of two encoder families: MP4 has room for one set of parameters, MPEG-TS
    /// has them in front of each IDR.
    pub const fn is_of_one_family(self) -> bool {
        match self {
            Self::Mp4 => true,
            Self::Mpegts => false,
        }
    }

    /// Whether it holds pictures of this codec.
    pub const fn takes(self, codec: VideoCodec) -> bool {
        match self {
            Self::Mp4 => true,
            Self::Mpegts => codec.in_mpegts(),
        }
    }

    /// The name used in jobs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp4 => "mp4",
            Self::Mpegts => "mpegts",
        }
    }
}

/// Effort of the encoder; the names and their order are those of x264 and x265.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Least effort.
    Ultrafast,
    /// See x264.
    Superfast,
    /// See x264.
    Veryfast,
    /// See x264.
    Faster,
    /// See x264.
    Fast,
    /// The default of x264 and x265.
    #[default]
    Medium,
    /// See x264.
    Slow,
    /// See x264.
    Slower,
    /// Most effort that pays.
    Veryslow,
}

impl Preset {
    /// The name that x264 and x265 know it by.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ultrafast => "ultrafast",
            Self::Superfast => "superfast",
            Self::Veryfast => "veryfast",
            Self::Faster => "faster",
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::Slower => "slower",
            Self::Veryslow => "veryslow",
        }
    }
}

/// Whether a GPU is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GpuMode {
    /// Where one was proven to work.
    #[default]
    Auto,
    /// Never.
    Off,
    /// Only: without one the job waits for `GPU_WAIT_TIMEOUT`, then fails.
    Require,
}

/// How many bits a rendition gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rate {
    /// Average bits per second.
    Bitrate(Bitrate),
    /// Constant quality.
    Crf(Crf),
}

impl VideoSpec {
    /// The rate that was asked for. A parsed job has at most one of `bitrate` and `crf`.
    pub fn rate(&self) -> Rate {
        match (self.bitrate, self.crf) {
            (Some(bitrate), _) => Rate::Bitrate(bitrate),
            (None, crf) => Rate::Crf(crf.unwrap_or(Crf::default_of(self.codec))),
        }
    }
}

impl Output {
    /// Checks what depends on the codec; the field and what is wrong there.
    fn check_codec(&self) -> Result<(), (&'static str, String)> {
        let (video, codec) = (&self.video, self.video.codec);
        let (name, worst, least) = (codec.as_str(), codec.worst_crf(), codec.least_size());
        if !self.container.takes(codec) {
            return Err(("container", format!("{} does not hold {name}, mp4 does", self.container.as_str())));
        }
        if video.bitrate.is_some() && !codec.has_bitrate() {
            return Err(("video.bitrate", format!("{name} is made with constant quality, give crf (0 to {worst})")));
        }
        if let Some(crf) = video.crf {
            codec.check_crf(crf.value()).map_err(|problem| ("video.crf", problem))?;
        }
        for (field, asked) in [("video.width", video.width), ("video.height", video.height)] {
            if let Some(asked) = asked.filter(|asked| asked.pixels() < least) {
                return Err((
                    field,
                    format!("{} pixels are too few for {name}, which has at least {least}", asked.pixels()),
                ));
            }
        }
        Ok(())
    }
}

/// Why a message is not a valid job: one sentence that names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{problem}", field_prefix(field))]
pub struct JobError {
    /// Path of the field, for example `outputs[0].video.width`; empty for the message as a whole.
    pub field: String,
    /// What is wrong there, and what is accepted.
    pub problem: String,
    /// The job id, where one could still be read.
    pub job_id: Option<JobId>,
}

fn field_prefix(field: &str) -> String {
    if field.is_empty() { "not a valid job: ".into() } else { format!("not a valid job: {field}: ") }
}

impl JobSpec {
    /// Parses and validates a job.
    ///
    /// # Errors
    /// The first thing that is wrong, with the path of its field, and the job id where one could be read.
    pub fn parse(json: &[u8]) -> Result<Self, JobError> {
        if json.len() > MAX_JOB_BYTES {
            let problem = format!("{} bytes are too many, a job has at most {MAX_JOB_BYTES}", json.len());
            return Err(JobError { field: String::new(), problem, job_id: None });
        }
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let job: Self = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| JobError {
            field: match error.path().to_string() {
                path if path == "." => String::new(),
                path => path,
            },
            problem: error.inner().to_string(),
            job_id: salvage_job_id(json),
        })?;
        deserializer.end().map_err(|error| job.error("", format!("text after the job: {error}")))?;
        job.check()?;
        Ok(job)
    }

    /// SHA-256 of the job's canonical JSON, in hex: equal for two messages that ask for the same.
    pub fn content_digest(&self) -> String {
        // Serialising plain structs to memory cannot fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        hex(&Sha256::digest(json))
    }

    fn error(&self, field: &str, problem: impl Into<String>) -> JobError {
        JobError { field: field.into(), problem: problem.into(), job_id: Some(self.job_id.clone()) }
    }

    fn check(&self) -> Result<(), JobError> {
        if self.outputs.is_empty() || self.outputs.len() > MAX_OUTPUTS {
            return Err(
                self.error("outputs", format!("{} outputs, 1 to {MAX_OUTPUTS} are accepted", self.outputs.len()))
            );
        }
        let mut names = HashSet::new();
        for (index, output) in self.outputs.iter().enumerate() {
            let field = |name: &str| format!("outputs[{index}].{name}");
            if let Err((name, problem)) = output.check_codec() {
                return Err(self.error(&field(name), problem));
            }
            if output.video.bitrate.is_some() && output.video.crf.is_some() {
                return Err(self.error(&field("video"), "bitrate and crf exclude each other, give one of them"));
            }
            if output.uri == self.input.uri {
                return Err(self.error(&field("uri"), "is the input itself, choose another name"));
            }
            if !names.insert(&output.uri) {
                return Err(self.error(&field("uri"), format!("{} is the name of two outputs", output.uri)));
            }
        }
        Ok(())
    }
}

/// The job id of a message that is not a valid job, so that its failure can be reported.
fn salvage_job_id(json: &[u8]) -> Option<JobId> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    value.get("job_id")?.as_str()?.parse().ok()
}

/// Lower-case hex of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;

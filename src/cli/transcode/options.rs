//! The options of `transcode`, and the job that they describe.

use std::path::PathBuf;

use actors::domain::job::{
    AudioSpec, Bitrate, Crf, Dimension, GpuMode, Input, JobSpec, Output, Preset, VideoCodec, VideoSpec, hex,
};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::super::Trouble;
use super::super::submit::read_job;
use super::paths;
use crate::config::Variable;

/// Digits of the digest in a job id: 80 bits, no two commands of one machine meet by chance.
const ID_BYTES: usize = 10;

#[derive(Clone, Debug, Args)]
pub(in super::super) struct TranscodeArgs {
    /// What to read: a path or a URI
    #[arg(required_unless_present = "job", value_name = "INPUT")]
    input: Option<PathBuf>,
    /// What to make: a path or a URI; its extension (.ts, .mp4) is the container
    #[arg(required_unless_present = "job", value_name = "OUTPUT")]
    output: Option<PathBuf>,
    /// Video codec
    #[arg(long, default_value = "h264", value_parser = codec())]
    codec: VideoCodec,
    /// Width in pixels, even; alone it keeps the shape, with --height it is a box
    #[arg(long, value_name = "PIXELS", value_parser = number::<Dimension>)]
    width: Option<Dimension>,
    /// Height in pixels, even
    #[arg(long, value_name = "PIXELS", value_parser = number::<Dimension>)]
    height: Option<Dimension>,
    /// Average video bits per second, such as 5M or 800k
    #[arg(long, value_name = "BITS", value_parser = bits, conflicts_with = "crf")]
    bitrate: Option<Bitrate>,
    /// Constant quality in the scale of the codec, lower is better (h264: 0 to 51) [default: as the codec has it, h264: 23]
    #[arg(long, value_parser = number::<Crf>)]
    crf: Option<Crf>,
    /// Effort of the encoder
    #[arg(long, default_value = "medium", value_parser = one_of::<Preset>(PRESETS.iter().copied()))]
    preset: Preset,
    /// Audio bits per second, such as 128k [default: 64k for each channel]
    #[arg(long, value_name = "BITS", value_parser = bits)]
    audio_bitrate: Option<Bitrate>,
    /// Use a GPU where one works, never, or only
    #[arg(long, value_parser = one_of::<GpuMode>(["auto", "off", "require"]))]
    gpu: Option<GpuMode>,
    /// Length of a chunk: what a kill costs at most
    #[arg(long, value_name = "SECONDS")]
    chunk_seconds: Option<u32>,
    /// Encoders that work at once [default: one per core]
    #[arg(long, value_name = "ENCODERS")]
    pool_size: Option<u32>,
    /// Directory for chunks and parts [default: the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub(super) work_dir: Option<PathBuf>,
    /// A whole job as JSON, ladder included, in place of INPUT, OUTPUT and their options
    #[arg(long, value_name = "FILE.json", conflicts_with_all = ["input", "output", "codec", "width", "height",
        "bitrate", "crf", "preset", "audio_bitrate", "gpu"])]
    job: Option<PathBuf>,
    /// Replace an output that exists, and do a finished job again
    #[arg(long)]
    pub(super) force: bool,
}

const PRESETS: &[&str] =
    &["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

impl TranscodeArgs {
    /// The variables that options stand for.
    pub(super) fn overrides(&self) -> Vec<(&'static Variable, String)> {
        let options = [("CHUNK_SECONDS", self.chunk_seconds), ("ENCODER_POOL_SIZE", self.pool_size)];
        let value = |(name, option): (&str, Option<u32>)| Some((crate::config::variable(name)?, option?.to_string()));
        options.into_iter().filter_map(value).collect()
    }

    /// The job, valid.
    ///
    /// # Errors
    /// A usage error that says what to change.
    pub(super) fn job_spec(&self) -> Result<JobSpec, Trouble> {
        match (&self.job, &self.input, &self.output) {
            (Some(file), _, _) => {
                let job = read_job(file)?;
                Ok(JobSpec { overwrite: job.overwrite || self.force, ..job })
            }
            (None, Some(input), Some(output)) => self.described(input, output),
            // The parser lets nothing else through.
            (None, _, _) => Err(Trouble::usage("an INPUT and an OUTPUT are needed, or --job")),
        }
    }

    fn described(&self, input: &std::path::Path, output: &std::path::Path) -> Result<JobSpec, Trouble> {
        if let Some(crf) = self.crf {
            let wrong = |problem| Trouble::usage(format!("--crf: {problem}"));
            self.codec.check_crf(crf.value()).map_err(wrong)?;
        }
        let output = Output {
            container: paths::container(output)?,
            uri: paths::uri(output)?,
            video: VideoSpec {
                codec: self.codec,
                width: self.width,
                height: self.height,
                bitrate: self.bitrate,
                crf: self.crf,
                preset: self.preset,
                upscale: false,
            },
            audio: Some(AudioSpec { codec: Default::default(), bitrate: self.audio_bitrate }),
        };
        let job = JobSpec {
            job_id: "unnamed".parse().map_err(Trouble::Usage)?,
            input: Input { uri: paths::uri(input)?, max_damage: None },
            outputs: vec![output],
            gpu: self.gpu.unwrap_or_default(),
            overwrite: self.force,
        };
        let job_id = content_id(&job).parse().map_err(Trouble::Usage)?;
        let json = serde_json::to_vec(&JobSpec { job_id, ..job }).map_err(|error| Trouble::usage(error.to_string()))?;
        JobSpec::parse(&json).map_err(|error| Trouble::usage(error.to_string()))
    }
}

/// The same for the same command on the same file; another one as soon as the file was changed.
fn content_id(job: &JobSpec) -> String {
    let mut hash = Sha256::new();
    hash.update(job.content_digest());
    hash.update(format!("{:?}", paths::version(&job.input.uri)));
    format!("transcode-{}", hex(&hash.finalize()[..ID_BYTES]))
}

/// Bits per second with an optional k, M or G (thousands, as rates are counted).
fn bits(text: &str) -> Result<Bitrate, String> {
    let (digits, scale) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'm' | 'M')) => (&text[..at], 1e6),
        Some((at, 'g' | 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    match digits.parse::<f64>() {
        // The range of a bitrate is checked after; a float holds every number in it.
        Ok(number) if plain => Bitrate::try_from((number * scale).round() as u64),
        _ => Err("bits per second are a number such as 5000000, 800k or 2.5M".into()),
    }
}

fn number<T: TryFrom<u64, Error = String>>(text: &str) -> Result<T, String> {
    T::try_from(text.parse().map_err(|_| format!("`{text}` is not a whole number"))?)
}

/// The codecs, as the job spells them.
fn codec() -> impl TypedValueParser<Value = VideoCodec> {
    one_of(VideoCodec::all().map(VideoCodec::as_str))
}

/// The words of an enum of the job, as the job spells them.
fn one_of<T: DeserializeOwned + Clone + Send + Sync + 'static>(
    words: impl IntoIterator<Item = &'static str>,
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(words).try_map(|word| serde_json::from_value::<T>(word.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, rate) in
            [("5M", 5_000_000), ("800k", 800_000), ("2.5M", 2_500_000), ("128000", 128_000), ("1G", 1_000_000_000)]
        {
            assert_eq!(bits(text).map(Bitrate::bits_per_second), Ok(rate), "{text}");
        }
        for text in ["", "M", "5MB", "-5M", "inf", "nan", "1e9", "5 M", "0", "12", "99G", "M5", "5é"] {
            assert!(bits(text).is_err(), "{text}");
        }
    }
}

//! Tries one way through a device: a generated film goes through the encode stage as a chunk does, and once more
//! through the CPU alone; what came out of both is decoded by the CPU and compared picture by picture. That an element
//! is registered says little, and that it gave something not much more: a driver can give green pictures without an
//! error. What is decoded has to be the same bytes, what is encoded alike (`LEAST_PSNR_DB`).
//!
//! * [`film`]: the film
//! * [`compare`]: the pictures of two parts

mod compare;
mod film;

use std::path::{Path, PathBuf};

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::geometry::Orientation;
use actors::domain::job::{Preset, Rate};
use actors::domain::part::VideoStats;
use actors::domain::plan::{Chunk, EncoderFamily, VideoFacts, VideoRendition};

use super::carry_out::CarryOut;
use super::stage::encode;
use crate::process::Progress;
use crate::protocol::{DeviceWork, EncodeSpec, EncodedFile, Scaling, TrialSpec, Tried};
use compare::Likeness;

/// Quality at which both encode.
const CRF: u64 = 18;
/// What is below that is not the same picture: encoders differ by less, a wrong colour, line or frame by more.
const LEAST_PSNR_DB: f64 = 30.0;
/// Distance of key frames, so that a film has several.
const KEYFRAME_INTERVAL: u32 = 25;

impl CarryOut for TrialSpec {
    /// # Errors
    /// `device` where the pictures are not those of the CPU, and whatever the encode stage fails with.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Tried, Failure> {
        run(self, progress)
    }
}

fn run(spec: &TrialSpec, progress: Progress<'_>) -> Result<Tried, Failure> {
    let directory = tempfile::tempdir()
        .map_err(|error| Failure::retryable(format!("a trial has no place for its film: {error}; check TMPDIR")))?;
    let source = directory.path().join("film.gdp");
    let full = TrialSpec { halved: false, ..*spec };
    let window = film::write(spec, rendition(&full, spec.codec.cpu_family())?, &source)?;
    let facts = facts(spec, window.end_ns);
    let way = |name: &str, encoder, device| {
        let rendition = rendition(spec, encoder)?;
        Ok::<_, Failure>(EncodeSpec {
            source: source.clone(),
            facts: facts.clone(),
            chunk: Chunk { index: 0, source: String::new(), window, rates: vec![rendition.rate] },
            renditions: vec![rendition],
            targets: vec![directory.path().join(name)],
            device,
        })
    };
    let tried = encoded(&way("tried.gdp", spec.encoder, spec.device)?, progress)?;
    let cpu = way("cpu.gdp", spec.codec.cpu_family(), DeviceWork::default())?;
    let usual = encoded(&cpu, progress)?;
    let same_bytes = tried.file.sha256 == usual.file.sha256;
    let likeness = compare::parts(&tried.path, &usual.path)?;
    judge(spec, &likeness, same_bytes)?;
    Ok(Tried {
        fps: tried.fps.unwrap_or_default(),
        worst_psnr_db: likeness.worst_db,
        mean_psnr_db: likeness.mean_db(),
        same_bytes,
        bytes: tried.file.bytes,
    })
}

/// What one way gave.
struct Encoded {
    path: PathBuf,
    file: EncodedFile<VideoStats>,
    fps: Option<f64>,
}

fn encoded(spec: &EncodeSpec, progress: Progress<'_>) -> Result<Encoded, Failure> {
    let (mut files, fps) = encode::timed(spec, progress)?;
    let file = files.pop().ok_or_else(|| Failure::retryable("an encode gave no part"))?;
    Ok(Encoded { path: Path::to_owned(&spec.targets[0]), file, fps })
}

fn rendition(spec: &TrialSpec, encoder: EncoderFamily) -> Result<VideoRendition, Failure> {
    let crf = CRF.try_into().map_err(|error| Failure::permanent(format!("the quality of trials is wrong: {error}")))?;
    let part = if spec.halved { 2 } else { 1 };
    Ok(VideoRendition {
        codec: spec.codec,
        encoder,
        width: spec.size.0 / part,
        height: spec.size.1 / part,
        bit_depth: spec.bit_depth,
        preset: Preset::Fast,
        rate: Rate::Crf(crf),
        keyframe_interval: KEYFRAME_INTERVAL,
    })
}

fn facts(spec: &TrialSpec, end_ns: u64) -> VideoFacts {
    VideoFacts {
        caps: format!("video/x-{}", spec.codec.as_str()),
        width: spec.size.0,
        height: spec.size.1,
        pixel_aspect: (1, 1),
        frame_rate: film::RATE,
        bit_depth: spec.bit_depth,
        interlaced: false,
        orientation: Orientation::Rotate0,
        one_frame_per_unit: true,
        end_ns,
        chunks: Vec::new(),
        account: None,
    }
}

/// A decoder has to give the CPU's pictures to the last bit, or the bytes of a job would depend on where it ran; of an
/// encoder the pictures have to be alike.
fn judge(spec: &TrialSpec, likeness: &Likeness, same_bytes: bool) -> Result<(), Failure> {
    let wrong = |what: String| Err(Failure::device_fault(DeviceFault::BadOutput, what));
    if likeness.frames != spec.frames {
        return wrong(format!("it gave {} pictures of {}", likeness.frames, spec.frames));
    }
    if likeness.worst_db < LEAST_PSNR_DB {
        return wrong(format!("a picture is not what the CPU makes of it: {:.1} dB of luma PSNR", likeness.worst_db));
    }
    let only_decodes = !spec.encoder.is_device() && spec.device != DeviceWork::default();
    if only_decodes && spec.device.scaling != Scaling::Everything && !same_bytes {
        return wrong(format!("the decoded pictures are not the CPU's to the last bit ({:.1} dB)", likeness.worst_db));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

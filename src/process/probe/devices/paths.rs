//! Which paths there are through each family of devices, and what the trials of them say together. Pure.

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::job::VideoCodec;
use actors::domain::plan::EncoderFamily;
use actors::ports::{CapabilityFinding, Direction, PathCapability, Proof};

use super::advice::{self, finding};
use crate::media::encoder;
use crate::media::encoder::family::Coder;
use crate::process::proven::Proof as DeviceProof;
use crate::protocol::{DeviceElements, DeviceWork, Scaling, TrialSpec, Tried};

/// Size of the film of a trial: the least that every NVENC takes, with room to be halved.
const SIZE: (u32, u32) = (640, 360);
/// Its length: two seconds, so that key frames repeat.
const FRAMES: u32 = 50;

/// The newest NVRTC that compiles for GStreamer 1.26.2: 13 no longer knows the GPUs that it asks for.
const NEWEST_NVRTC: u32 = 12;

/// One thing that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) family: EncoderFamily,
    pub(super) codec: VideoCodec,
    pub(super) direction: Direction,
    pub(super) bit_depth: u8,
    /// Whether the device scales too.
    pub(super) scales: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) trial: Trial,
    pub(super) outcome: Result<Tried, Failure>,
}

/// All paths through a family, those that scale on the device in front of those that do without.
pub(super) fn of(family: EncoderFamily) -> Vec<Trial> {
    let known = encoder::of(family);
    let trial = |coder: &Coder, direction, scales| {
        let Coder { codec, bit_depth, .. } = *coder;
        Trial { family, codec, direction, bit_depth, scales }
    };
    if !family.is_device() {
        return Vec::new();
    }
    let scaled =
        known.encodes.iter().filter(|_| known.scaler.is_some()).map(|coder| trial(coder, Direction::Encode, true));
    let encodes = known.encodes.iter().map(|coder| trial(coder, Direction::Encode, false));
    let decodes = known.decodes.iter().map(|coder| trial(coder, Direction::Decode, false));
    scaled.chain(encodes).chain(decodes).collect()
}

/// A row of the table.
pub(super) fn row(trial: &Trial, proof: Proof) -> PathCapability {
    PathCapability {
        codec: trial.codec,
        direction: trial.direction,
        bit_depth: trial.bit_depth,
        family: trial.family,
        proof,
        max_size: None,
    }
}

impl Trial {
    pub(super) const fn spec(&self) -> TrialSpec {
        let decodes = matches!(self.direction, Direction::Decode);
        let scaling = if self.scales { Scaling::ForItsEncoder } else { Scaling::Nothing };
        TrialSpec {
            codec: self.codec,
            bit_depth: self.bit_depth,
            encoder: if decodes { self.codec.cpu_family() } else { self.family },
            device: DeviceWork { decoder: if decodes { Some(self.family) } else { None }, scaling },
            size: SIZE,
            halved: self.scales,
            frames: FRAMES,
        }
    }

    /// The elements that have to be registered for it.
    fn elements(&self) -> impl Iterator<Item = &'static str> {
        let known = encoder::of(self.family);
        let coder = match self.direction {
            Direction::Encode => known.encoder(self.codec, self.bit_depth),
            Direction::Decode => known.decoder(self.codec),
        };
        coder.into_iter().chain(known.scaler.filter(|_| self.scales))
    }

    fn name(&self) -> String {
        let (family, codec, direction) = (self.family.as_str(), self.codec.as_str(), self.direction.as_str());
        let scales = if self.scales { ", scaled on the device" } else { "" };
        format!("{direction} {codec} with {} bits by {family}{scales}", self.bit_depth)
    }

    fn same_row(&self, other: &Self) -> bool {
        Self { scales: other.scales, ..*self } == *other
    }
}

/// The paths whose elements are registered.
pub(super) fn there(nvidia: bool, va: bool, elements: &[String]) -> Vec<Trial> {
    let families = [(nvidia, EncoderFamily::Nvcodec), (va, EncoderFamily::Va)];
    let all = families.into_iter().filter(|(visible, _)| *visible).flat_map(|(_, family)| of(family));
    let has = |name: &str| elements.iter().any(|element| element == name);
    all.filter(|trial| trial.elements().all(has)).collect()
}

/// What is said where a device of NVIDIA is visible and GStreamer has nothing for it, or only a part.
pub(super) fn missing(installed: &DeviceElements) -> Vec<CapabilityFinding> {
    [missing_codecs(installed), missing_scaler(installed)].into_iter().flatten().collect()
}

fn missing_codecs(installed: &DeviceElements) -> Option<CapabilityFinding> {
    let of_nvidia = |end: &str| installed.elements.iter().any(|name| name.starts_with("nvh26") && name.ends_with(end));
    if of_nvidia("enc") && of_nvidia("dec") {
        return None;
    }
    let (what, advice) = match installed.missing_libraries.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] if of_nvidia("dec") => (
            "this GPU has a decoder and no encoder, or its driver gives none".to_owned(),
            "nothing, if it is a GPU for data centres (A100, H100 and their kind have no NVENC); otherwise update the \
             driver, 450 is the oldest that can do",
        ),
        [] => (
            "an NVIDIA device is visible and GStreamer has no element for it".to_owned(),
            "install gstreamer1.0-plugins-bad with its nvcodec plugin, and check that `nvidia-smi` works",
        ),
        ref names if names.contains(&"libcuda.so.1") => (
            format!("an NVIDIA device is visible, and {} cannot be loaded", names.join(", ")),
            "install the driver; in a container use the NVIDIA Container Toolkit and set \
             NVIDIA_DRIVER_CAPABILITIES=video,compute,utility",
        ),
        ref names => (
            format!("an NVIDIA device is visible, and {} cannot be loaded", names.join(", ")),
            "the container lacks the `video` capability: set NVIDIA_DRIVER_CAPABILITIES=video,compute,utility",
        ),
    };
    Some(CapabilityFinding { what, advice: advice.into() })
}

/// GStreamer registers its scaler only where NVRTC compiles for it.
fn missing_scaler(installed: &DeviceElements) -> Option<CapabilityFinding> {
    let has = |name: &str| installed.elements.iter().any(|element| element == name);
    if !has("cudaupload") || has("cudaconvertscale") {
        return None;
    }
    let what = match installed.nvrtc {
        None => "NVRTC 12 is not found".to_owned(),
        Some(version) if version > NEWEST_NVRTC => {
            format!("NVRTC {version} is found, which this GStreamer cannot use: it takes 12")
        }
        Some(version) => format!("NVRTC {version} is found and compiles nothing"),
    };
    let what = format!("{what}, so the GPU does not scale: the CPU does it, and pictures cross to it and back");
    Some(CapabilityFinding { what, advice: advice::NVRTC.into() })
}

impl Attempt {
    /// The failure of `next`, where the device was lost or hung in this attempt: it would only wait for its deadline.
    pub(super) fn lost(&self, next: &Trial) -> Option<Failure> {
        let failure = self.outcome.as_ref().err().filter(|_| self.trial.family == next.family)?;
        matches!(failure.fault(), Some(DeviceFault::DeviceLost | DeviceFault::Hang))
            .then(|| failure.clone().context("not tried, because the device failed before"))
    }
}

/// The trials together.
pub(super) struct Summary<'a> {
    attempts: &'a [Attempt],
    scales: bool,
}

impl<'a> Summary<'a> {
    /// Pictures are scaled on the device only if that works for everything that encodes there.
    pub(super) fn of(attempts: &'a [Attempt]) -> Self {
        let scaled = || attempts.iter().filter(|attempt| attempt.trial.scales);
        let works_without = |trial: &Trial| {
            let twins = attempts.iter().filter(|attempt| !attempt.trial.scales && attempt.trial.same_row(trial));
            twins.into_iter().any(|attempt| attempt.outcome.is_ok())
        };
        let works = scaled().any(|attempt| attempt.outcome.is_ok());
        let breaks = scaled().any(|attempt| attempt.outcome.is_err() && works_without(&attempt.trial));
        Self { attempts, scales: works && !breaks }
    }

    /// The attempts that count: with the scaler of the device or without it.
    fn counting(&self) -> impl Iterator<Item = &'a Attempt> + '_ {
        let counts = |attempt: &&Attempt| {
            let has_both =
                attempt.trial.direction == Direction::Encode && attempt.trial.family == EncoderFamily::Nvcodec;
            !has_both || attempt.trial.scales == self.scales
        };
        self.attempts.iter().filter(counts)
    }

    pub(super) fn rows(&self) -> Vec<PathCapability> {
        let proof = |attempt: &Attempt| match &attempt.outcome {
            // Frames per second of a small film say little below one.
            Ok(tried) => Proof::Works { fps: Some(tried.fps.round() as u32).filter(|fps| *fps > 0) },
            Err(failure) => Proof::Fails(failure.message.clone()),
        };
        self.counting().map(|attempt| row(&attempt.trial, proof(attempt))).collect()
    }

    pub(super) fn findings(&self) -> Vec<CapabilityFinding> {
        let scaler = self.attempts.iter().filter(|attempt| attempt.trial.scales && !self.scales).take(1);
        let shown = self.counting().chain(scaler);
        shown.filter_map(|attempt| Some(finding(&attempt.trial.name(), attempt.outcome.as_ref().err()?))).collect()
    }

    pub(super) fn proof(&self) -> DeviceProof {
        let decodes = self.counting().filter(|attempt| attempt.trial.direction == Direction::Decode);
        let decodes = decodes.filter(|attempt| attempt.outcome.is_ok());
        DeviceProof {
            decodes: decodes.map(|attempt| (attempt.trial.codec, attempt.trial.bit_depth)).collect(),
            scales: self.scales,
        }
    }
}

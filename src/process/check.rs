//! `gpu-check`: every way through the GPU that works is run on a generated film and compared with the CPU, in pictures and
//! in speed. Ways that no job takes are run too, so that one can see what they would bring.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::job::VideoCodec;
use actors::domain::plan::EncoderFamily;
use actors::ports::{Capabilities, CapabilityProbe as _, Direction};
use serde::Serialize;

use super::once::run;
use super::probe::ProcessProbe;
use super::stage_process::Launcher;
use crate::media::encoder;
use crate::protocol::{DeviceWork, Scaling, TrialSpec, Tried};

/// A way that does not end is given up: ten minutes of slow HEVC are enough.
const WAY_TIMEOUT: Duration = Duration::from_secs(300);

/// What is run.
#[derive(Clone)]
pub struct CheckOrder {
    /// Width and height of the film in pixels; renditions have half of both.
    pub size: (u32, u32),
    /// Its length.
    pub frames: u32,
    /// Told each way when it was run.
    pub told: Arc<dyn Fn(&Way) + Send + Sync>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct CheckReport {
    /// The table of the machine.
    pub capabilities: Capabilities,
    /// Every way that was run, those of the CPU first.
    pub ways: Vec<Way>,
}

/// One way from access units to access units.
#[derive(Clone, Debug, Serialize)]
pub struct Way {
    /// Codec of the film and of what is made.
    pub codec: VideoCodec,
    /// Bits of a luma sample.
    pub bit_depth: u8,
    /// Who decodes: `cpu` or a family.
    pub decoder: &'static str,
    /// Who scales.
    pub scaler: &'static str,
    /// Who encodes.
    pub encoder: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a way.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// It works.
    Works(Tried),
    /// It does not.
    Fails {
        /// Why.
        error: String,
        /// How the device failed.
        fault: Option<DeviceFault>,
    },
}

/// Probes, then runs all ways that the probe left.
///
/// # Errors
/// Where not even the CPU can be probed.
pub async fn check(probe: &ProcessProbe, launcher: &Launcher, order: &CheckOrder) -> Result<CheckReport, Failure> {
    let capabilities = probe.probe().await?;
    let mut ways = Vec::new();
    for spec in specs(&capabilities, order) {
        let outcome = match run(launcher, &spec, WAY_TIMEOUT).await {
            Ok(tried) => Outcome::Works(tried),
            Err(failure) => Outcome::Fails { fault: failure.fault(), error: failure.message },
        };
        let way = way(&spec, outcome);
        (order.told)(&way);
        ways.push(way);
    }
    Ok(CheckReport { capabilities, ways })
}

fn way(spec: &TrialSpec, outcome: Outcome) -> Way {
    let scales = match spec.device.scaling {
        Scaling::Everything => true,
        Scaling::ForItsEncoder => spec.encoder == EncoderFamily::Nvcodec,
        Scaling::Nothing => false,
    };
    Way {
        codec: spec.codec,
        bit_depth: spec.bit_depth,
        decoder: spec.device.decoder.map_or("cpu", EncoderFamily::as_str),
        scaler: if scales { EncoderFamily::Nvcodec.as_str() } else { "cpu" },
        encoder: spec.encoder.as_str(),
        outcome,
    }
}

/// The CPU alone, then every form in which the paths that work can be put together.
fn specs(capabilities: &Capabilities, order: &CheckOrder) -> Vec<TrialSpec> {
    let works = |codec, depth, direction, family| {
        capabilities.paths.iter().any(|path| {
            path.works()
                && (path.codec, path.bit_depth, path.direction, path.family) == (codec, depth, direction, family)
        })
    };
    let mut specs = Vec::new();
    for (codec, bit_depth) in kinds() {
        let cpu = codec.cpu_family();
        let mut add = |encoder, decoder, scaling| {
            let device = DeviceWork { decoder, scaling };
            let (size, frames) = (order.size, order.frames);
            specs.push(TrialSpec { codec, bit_depth, encoder, device, size, halved: true, frames });
        };
        if works(codec, bit_depth, Direction::Encode, cpu) {
            add(cpu, None, Scaling::Nothing);
        }
        let decoder =
            works(codec, bit_depth, Direction::Decode, EncoderFamily::Nvcodec).then_some(EncoderFamily::Nvcodec);
        if decoder.is_some() {
            add(cpu, decoder, Scaling::Nothing);
            add(cpu, decoder, Scaling::Everything);
        }
        for family in [EncoderFamily::Nvcodec, EncoderFamily::Va, EncoderFamily::Openh264] {
            if !works(codec, bit_depth, Direction::Encode, family) {
                continue;
            }
            add(family, None, Scaling::Nothing);
            if family == EncoderFamily::Nvcodec {
                add(family, None, Scaling::ForItsEncoder);
            }
            if family == EncoderFamily::Nvcodec && decoder.is_some() {
                add(family, decoder, Scaling::ForItsEncoder);
            }
        }
    }
    specs
}

/// Codecs and depths that some device makes.
fn kinds() -> BTreeSet<(VideoCodec, u8)> {
    let devices = EncoderFamily::all().filter(|family| family.is_device());
    devices.flat_map(|family| encoder::of(family).encodes).map(|coder| (coder.codec, coder.bit_depth)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::ports::{PathCapability, Proof};

    fn ways(paths: &[(VideoCodec, Direction, EncoderFamily)]) -> Vec<(&'static str, &'static str, &'static str)> {
        let path = |(codec, direction, family): &(VideoCodec, Direction, EncoderFamily)| PathCapability {
            codec: *codec,
            direction: *direction,
            bit_depth: 8,
            family: *family,
            proof: Proof::Works { fps: None },
            max_size: None,
        };
        let capabilities = Capabilities { paths: paths.iter().map(path).collect(), ..Capabilities::default() };
        let order = CheckOrder { size: (1920, 1080), frames: 250, told: Arc::new(|_| {}) };
        let fails = || Outcome::Fails { error: String::new(), fault: None };
        let ways = specs(&capabilities, &order).into_iter().map(|spec| way(&spec, fails()));
        ways.map(|way| (way.decoder, way.scaler, way.encoder)).collect()
    }

    const H264: VideoCodec = VideoCodec::H264;

    #[test]
    fn a_machine_without_a_gpu_runs_the_cpu_alone() {
        assert_eq!(ways(&[(H264, Direction::Encode, EncoderFamily::X264)]), [("cpu", "cpu", "x264")]);
    }

    #[test]
    fn every_mixed_form_of_a_whole_gpu_is_run_and_none_that_was_not_proven() {
        let cpu = (H264, Direction::Encode, EncoderFamily::X264);
        let (encode, decode) =
            ((H264, Direction::Encode, EncoderFamily::Nvcodec), (H264, Direction::Decode, EncoderFamily::Nvcodec));
        let decoding = [("cpu", "cpu", "x264"), ("nvcodec", "cpu", "x264"), ("nvcodec", "nvcodec", "x264")];
        let encoding = [("cpu", "cpu", "nvcodec"), ("cpu", "nvcodec", "nvcodec"), ("nvcodec", "nvcodec", "nvcodec")];
        assert_eq!(ways(&[cpu, encode, decode]), [decoding, encoding].concat());
        assert_eq!(ways(&[cpu, decode]), decoding);
        assert_eq!(ways(&[cpu, encode]), [&decoding[..1], &encoding[..2]].concat());
    }
}

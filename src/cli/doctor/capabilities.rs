//! The table of what this machine was seen to do, row by row, and its GPUs.

use actors::domain::failure::Failure;
use actors::ports::{Capabilities, CapabilityFinding, Device, PathCapability, Proof};

use super::Finding;
use crate::config::Gpu;

/// What the probe says. `visible`: whether there is a device file of NVIDIA's driver.
pub(super) fn judge(probed: Result<Capabilities, Failure>, gpu: Gpu, visible: bool) -> Vec<Finding> {
    let check = "encoders";
    let capabilities = match probed {
        Ok(capabilities) => capabilities,
        Err(failure) => {
            let advice = "see standard error for the reason; no job can be done like this";
            return vec![Finding::fail(check, format!("could not be tried: {failure}"), advice)];
        }
    };
    let mut findings = Vec::new();
    if capabilities.encoders().next().is_none() {
        let advice = "install gstreamer1.0-plugins-ugly (x264enc)";
        findings.push(Finding::fail(check, "none made a picture", advice));
    }
    findings.extend(capabilities.paths.iter().map(row));
    findings.extend(capabilities.versions.iter().map(version));
    findings.extend(capabilities.devices.iter().map(device));
    findings.extend(capabilities.findings.into_iter().map(missing));
    findings.push(expectation(gpu, visible));
    findings
}

fn row(path: &PathCapability) -> Finding {
    let PathCapability { codec, direction, bit_depth, family, proof, .. } = path;
    let what = format!("{} {:<6} {bit_depth:>2} bits by {}", codec.as_str(), direction.as_str(), family.as_str());
    let mut finding = match proof {
        Proof::Works { fps: None } => Finding::ok("path", what),
        Proof::Works { fps: Some(fps) } => Finding::ok("path", format!("{what}, {fps} frames/s at 640x360")),
        Proof::Fails(why) => {
            Finding::warn("path", format!("{what}: {why}"), "jobs that need it go to other workers or use the CPU")
        }
    };
    finding.path = Some(path.clone());
    finding
}

/// Jobs that were planned with another version of it go to other workers.
fn version((name, version): (&str, &str)) -> Finding {
    Finding { version: Some(version.into()), ..Finding::ok("version", format!("{name} {version}")) }
}

fn device(device: &Device) -> Finding {
    let Device { index, name, driver, memory_bytes, lost, .. } = device;
    let what = format!("{index}: {name}, driver {driver}, {}", indicatif::BinaryBytes(*memory_bytes));
    match lost {
        None => Finding::ok("gpu", what),
        Some(why) => {
            Finding::fail("gpu", format!("{what}: {why}"), "restart the pod, and the machine if that does not help")
        }
    }
}

fn missing(finding: CapabilityFinding) -> Finding {
    let CapabilityFinding { what, advice } = finding;
    let advice = if advice.is_empty() { "jobs that need it go to other workers or use the CPU".into() } else { advice };
    Finding::warn("capability", what, advice)
}

fn expectation(gpu: Gpu, visible: bool) -> Finding {
    match (gpu, visible) {
        (Gpu::On, false) => Finding::fail(
            "gpu",
            "GPU_ENABLED says that there is one, but no NVIDIA device is visible",
            "give the container a GPU (`--gpus all`, `nvidia.com/gpu`), or set GPU_ENABLED=auto",
        ),
        (Gpu::On | Gpu::Auto, true) => Finding::ok("gpu", "an NVIDIA device is visible"),
        (Gpu::Off, _) => Finding::ok("gpu", "not used (GPU_ENABLED)"),
        (Gpu::Auto, false) => Finding::ok("gpu", "no NVIDIA device is visible, the CPU is used"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use actors::domain::job::VideoCodec;
    use actors::domain::plan::EncoderFamily;
    use actors::ports::Direction;

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_gpu_that_is_expected_and_missing_fails_one_that_is_not_expected_does_not() {
        let none = || Ok(Capabilities::default());
        assert!(verdicts(&judge(none(), Gpu::On, false)).contains(&Verdict::Fail));
        let gpu = |gpu, visible| judge(none(), gpu, visible).pop().map(|finding| finding.verdict);
        assert_eq!(gpu(Gpu::Auto, false), Some(Verdict::Ok));
        assert_eq!(gpu(Gpu::Off, true), Some(Verdict::Ok));
        assert_eq!(verdicts(&judge(Err(Failure::retryable("crashed")), Gpu::Off, false)), [Verdict::Fail]);
    }

    #[test]
    fn every_path_and_every_device_has_a_line() {
        let path = |family, proof| PathCapability {
            codec: VideoCodec::H264,
            direction: Direction::Encode,
            bit_depth: 8,
            family,
            proof,
            max_size: None,
        };
        let gpu = Device {
            index: 0,
            name: "Tesla T4".into(),
            driver: "535.1".into(),
            memory_bytes: 16 << 30,
            max_sessions: None,
            lost: None,
        };
        let capabilities = Capabilities {
            devices: vec![gpu],
            paths: vec![
                path(EncoderFamily::X264, Proof::Works { fps: None }),
                path(EncoderFamily::Nvcodec, Proof::Fails("no more sessions".into())),
            ],
            findings: vec![CapabilityFinding { what: "it is busy".into(), advice: String::new() }],
            versions: [("x264", "164 r3108")].into_iter().collect(),
        };
        let findings = judge(Ok(capabilities), Gpu::Auto, true);
        assert_eq!(
            verdicts(&findings),
            [Verdict::Ok, Verdict::Warn, Verdict::Ok, Verdict::Ok, Verdict::Warn, Verdict::Ok]
        );
        assert!(findings[1].detail.contains("h264 encode  8 bits by nvcodec: no more sessions"), "{:?}", findings[1]);
        assert!(
            findings[3].detail.contains("Tesla T4") && findings[3].detail.contains("16.00 GiB"),
            "{:?}",
            findings[3]
        );
        assert_eq!(
            (findings[2].detail.as_str(), findings[2].version.as_deref()),
            ("x264 164 r3108", Some("164 r3108"))
        );
        let json = serde_json::to_value(&findings[1]).expect("json");
        assert_eq!(json["path"]["family"], "nvcodec");
        assert!(findings.iter().all(|finding| (finding.verdict == Verdict::Ok) == finding.advice.is_none()));
    }
}

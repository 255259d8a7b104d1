//! The port `CapabilityProbe`: what really works on this machine, as a table. The encoders of the CPU are tried together in
//! one stage process; every path through a device is tried in a process of its own ([`devices`]), so that a driver that
//! crashes or hangs costs that path.

mod devices;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use actors::domain::plan::{AAC_ENCODER, EncoderFamily, EncoderVersions, GSTREAMER};
use actors::ports::{Answer, Capabilities, CapabilityFinding, CapabilityProbe, Direction, PathCapability, Proof};

use super::once;
use super::stage_process::Launcher;
use crate::media::encoder;
use crate::media::encoder::family::Coder;
use crate::protocol::{ProbeSpec, Probed};

pub use devices::{DeviceProbe, Wanted, nvidia_is_visible};

/// A probe has no media time that could move; it takes well under a second, and some more for the first process that looks
/// at all plugins.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// Probes with stage processes.
#[derive(Clone)]
pub struct ProcessProbe {
    launcher: Launcher,
    devices: DeviceProbe,
}

impl ProcessProbe {
    /// A probe that starts its processes so, and looks at devices as `devices` says.
    pub fn new(launcher: Launcher, devices: DeviceProbe) -> Self {
        Self { launcher, devices }
    }
}

impl CapabilityProbe for ProcessProbe {
    fn probe(&self) -> Answer<Capabilities> {
        let this = self.clone();
        Box::pin(async move {
            let Probed { elements, versions } = once::run(&this.launcher, &ProbeSpec {}, PROBE_TIMEOUT).await?;
            let mut found = capabilities(&elements, &versions);
            this.devices.look(&this.launcher, &mut found).await;
            found.versions = of_what_works(&found);
            Ok(found)
        })
    }
}

/// What the encoders of the CPU that were tried say of the machine.
fn capabilities(elements: &BTreeMap<String, Option<String>>, versions: &EncoderVersions) -> Capabilities {
    let path = |(family, coder): (EncoderFamily, &Coder)| PathCapability {
        codec: coder.codec,
        direction: Direction::Encode,
        bit_depth: coder.bit_depth,
        family,
        proof: match elements.get(&coder.name()) {
            Some(None) => Proof::Works { fps: None },
            Some(Some(reason)) => Proof::Fails(reason.clone()),
            None => Proof::Fails("it was not tried".into()),
        },
        max_size: None,
    };
    let finding = |(name, reason): (&String, &Option<String>)| {
        let advice = "install its plugin (`doctor` names the package); jobs that need it go to other workers".into();
        reason.as_ref().map(|reason| CapabilityFinding { what: format!("{name}: {reason}"), advice })
    };
    Capabilities {
        devices: Vec::new(),
        paths: encoder::of_cpu().map(path).collect(),
        findings: elements.iter().filter_map(finding).collect(),
        versions: versions.clone(),
    }
}

/// Of the versions, those of encoders that work; with that of NVIDIA's, which is its driver on its GPUs.
fn of_what_works(found: &Capabilities) -> EncoderVersions {
    let mut all = found.versions.clone();
    let gpus: BTreeSet<_> = found.devices.iter().map(|gpu| (gpu.driver.as_str(), gpu.name.as_str())).collect();
    let gpus: Vec<String> = gpus.into_iter().map(|(driver, name)| format!("{driver} on {name}")).collect();
    let gpus = if gpus.is_empty() { "unknown".into() } else { gpus.join(", ") };
    all.set(EncoderFamily::Nvcodec.as_str(), &gpus);
    let works = found.encoders().map(|path| path.family.as_str());
    all.only(works.chain([AAC_ENCODER, GSTREAMER]))
}

#[cfg(test)]
mod tests {
    use actors::domain::job::VideoCodec;

    use super::*;

    #[test]
    fn only_encoders_that_made_a_picture_count_and_the_others_say_why() {
        let elements = BTreeMap::from([
            ("x264enc".to_owned(), None),
            ("x265enc".to_owned(), Some("is not installed".to_owned())),
            ("avenc_aac".to_owned(), None),
        ]);
        let found = capabilities(&elements, &EncoderVersions::default());
        let working: Vec<_> = found.encoders().map(|path| (path.codec, path.bit_depth, path.family)).collect();
        assert_eq!(working, [(VideoCodec::H264, 8, EncoderFamily::X264)]);
        assert_eq!(found.findings[0].what, "x265enc: is not installed");
        assert!(!found.findings[0].advice.is_empty());
    }

    #[test]
    fn only_what_works_has_a_version_and_a_gpu_that_of_its_driver() {
        let elements = BTreeMap::from([("x264enc".to_owned(), None), ("x265enc".to_owned(), Some("no".to_owned()))]);
        let told =
            [("x264", "164"), ("x265", "215"), ("va", "1.26.2"), ("gstreamer", "1.26.2"), ("avenc_aac", "Lavc61")];
        let mut found = capabilities(&elements, &told.into_iter().collect());
        assert_eq!(of_what_works(&found).to_string(), "avenc_aac Lavc61, gstreamer 1.26.2, x264 164");
        let path = PathCapability { family: EncoderFamily::Nvcodec, ..found.paths[0].clone() };
        found.paths.push(path);
        let gpu = |index| actors::ports::Device {
            index,
            name: "NVIDIA L4".into(),
            driver: "570.86".into(),
            memory_bytes: 1,
            max_sessions: None,
            lost: None,
        };
        found.devices = vec![gpu(0), gpu(1)];
        assert_eq!(of_what_works(&found).get("nvcodec"), Some("570.86 on NVIDIA L4"));
    }
}

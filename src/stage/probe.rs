//! The port `CapabilityProbe`: encodes a few pictures with each encoder in a stage process.

use std::collections::BTreeMap;
use std::time::Duration;

use actors::failure::Failure;
use actors::job::VideoCodec;
use actors::plan::EncoderFamily;
use actors::ports::{Answer, Capabilities, CapabilityFinding, CapabilityProbe, Direction, PathCapability, Proof};
use tokio_util::sync::CancellationToken;

use super::protocol::{StageResult, StageSpec};
use super::{Gauge, Launcher, StageProcess};

/// A probe has no media time that could move; it takes well under a second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

/// Element, and what it stands for.
const ENCODERS: [(&str, VideoCodec, EncoderFamily); 2] =
    [("x264enc", VideoCodec::H264, EncoderFamily::X264), ("x265enc", VideoCodec::H265, EncoderFamily::X265)];

/// Probes with stage processes.
#[derive(Clone, Debug)]
pub struct ProcessProbe {
    launcher: Launcher,
}

impl ProcessProbe {
    /// A probe that starts its process so.
    pub fn new(launcher: Launcher) -> Self {
        Self { launcher }
    }
}

impl CapabilityProbe for ProcessProbe {
    fn probe(&self) -> Answer<Capabilities> {
        let process = StageProcess::new(self.launcher.clone(), PROBE_TIMEOUT);
        Box::pin(async move {
            let mut gauge = Gauge::new(Box::new(|_| {}));
            match process.run(&StageSpec::Probe, &mut gauge, &CancellationToken::new()).await? {
                StageResult::Probe { elements } => Ok(capabilities(&elements)),
                _ => Err(Failure::retryable("the probe stage answered with the result of another stage")),
            }
        })
    }
}

/// What the elements that were tried say of the machine.
fn capabilities(elements: &BTreeMap<String, Option<String>>) -> Capabilities {
    let path = |(element, codec, family): &(&str, VideoCodec, EncoderFamily)| PathCapability {
        codec: *codec,
        direction: Direction::Encode,
        bit_depth: 8,
        family: *family,
        proof: match elements.get(*element) {
            Some(None) => Proof::Works { fps: None },
            Some(Some(reason)) => Proof::Fails(reason.clone()),
            None => Proof::Fails("it was not tried".into()),
        },
        max_size: None,
    };
    let findings = elements.iter().filter_map(|(element, reason)| Some(format!("{element}: {}", reason.as_ref()?)));
    Capabilities {
        devices: Vec::new(),
        paths: ENCODERS.iter().map(path).collect(),
        findings: findings.map(|what| CapabilityFinding { what, advice: String::new() }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_encoders_that_made_a_picture_count_and_the_others_say_why() {
        let elements = BTreeMap::from([
            ("x264enc".to_owned(), None),
            ("x265enc".to_owned(), Some("is not installed".to_owned())),
            ("avenc_aac".to_owned(), None),
        ]);
        let found = capabilities(&elements);
        let working: Vec<_> = found.encoders().map(|path| (path.codec, path.family)).collect();
        assert_eq!(working, [(VideoCodec::H264, EncoderFamily::X264)]);
        assert_eq!(found.findings[0].what, "x265enc: is not installed");
    }
}

//! What the last look at this machine proved of its devices beside encoding, for the stages that follow. The plan does not
//! say it: another worker may decode on its CPU and get the same pictures.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::job::VideoCodec;
use actors::domain::plan::{EncoderFamily, VideoFacts, VideoRendition};

use crate::media::codec;
use crate::protocol::{DeviceWork, Scaling};

/// Shared between the probe, which writes, and the runner, which reads.
#[derive(Clone, Debug, Default)]
pub struct Proven(Arc<Mutex<Proof>>);

/// What NVIDIA's elements were seen to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    /// Codecs and depths whose pictures were the CPU's to the last bit.
    pub(super) decodes: Vec<(VideoCodec, u8)>,
    /// Whether they scale.
    pub(super) scales: bool,
}

impl Proven {
    pub(super) fn replace(&self, proof: Proof) {
        *self.lock() = proof;
    }

    fn lock(&self) -> MutexGuard<'_, Proof> {
        // A proof is replaced whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a device does beside encoding for these renditions: nothing unless it encodes one of them, so that work that
    /// is planned for the CPU never fails because of a device.
    pub(super) fn work(&self, facts: &VideoFacts, renditions: &[VideoRendition]) -> DeviceWork {
        let encodes = renditions.iter().any(|rendition| rendition.encoder == EncoderFamily::Nvcodec);
        if !encodes {
            return DeviceWork::default();
        }
        let proof = self.lock();
        let codec = codec::of_caps(&facts.caps);
        let decodes = codec.is_some_and(|codec| proof.decodes.contains(&(codec, facts.bit_depth)));
        // Only 4:2:0 was tried.
        let is_usual = !facts.caps.contains("chroma-format") || facts.caps.contains("4:2:0");
        DeviceWork {
            decoder: (decodes && is_usual).then_some(EncoderFamily::Nvcodec),
            scaling: if proof.scales { Scaling::ForItsEncoder } else { Scaling::Nothing },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::plan::testing::facts_of;

    fn rendition(encoder: EncoderFamily) -> VideoRendition {
        VideoRendition {
            codec: VideoCodec::H264,
            encoder,
            width: 640,
            height: 360,
            bit_depth: 8,
            preset: actors::domain::job::Preset::Fast,
            rate: actors::domain::job::Rate::Crf(23u64.try_into().expect("a crf")),
            keyframe_interval: 48,
        }
    }

    #[test]
    fn only_what_was_proven_is_asked_of_a_device_and_only_where_it_encodes() {
        let proven = Proven::default();
        let mut facts = facts_of(1, false).video;
        facts.caps = "video/x-h264, chroma-format=(string)4:2:0".into();
        let (on_gpu, on_cpu) = ([rendition(EncoderFamily::Nvcodec)], [rendition(EncoderFamily::X264)]);
        assert_eq!(proven.work(&facts, &on_gpu), DeviceWork::default());
        proven.replace(Proof { decodes: vec![(VideoCodec::H264, 8)], scales: true });
        let all = DeviceWork { decoder: Some(EncoderFamily::Nvcodec), scaling: Scaling::ForItsEncoder };
        assert_eq!(proven.work(&facts, &on_gpu), all);
        assert_eq!(proven.work(&facts, &on_cpu), DeviceWork::default());
        facts.bit_depth = 10;
        assert_eq!(proven.work(&facts, &on_gpu).decoder, None);
        (facts.bit_depth, facts.caps) = (8, "video/x-h264, chroma-format=(string)4:2:2".into());
        assert_eq!(proven.work(&facts, &on_gpu).decoder, None);
    }
}

//! VA-API of GPUs by Intel and AMD.

use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::effort::Effort;
use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::settings::{Settings, needed, one_of, optional};

/// The family.
pub const VA: Family = Family {
    package: "gstreamer1.0-plugins-bad",
    encodes: &[
        Coder::new(VideoCodec::H264, 8, "vah264enc"),
        Coder::new(VideoCodec::H265, 8, "vah265enc"),
        Coder::new(VideoCodec::H265, 10, "vah265enc"),
    ],
    decodes: &[],
    scaler: None,
    further: &[],
    is_hardware: true,
    memory: Memory::System,
    formats: ("NV12", "P010_10LE"),
    settings,
    key_frames: KeyFrames::Completed,
    version: Version::Plugin,
    prepare: None,
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let effort = Effort::of(rendition.preset);
    // 1 is the best, 7 the fastest.
    let usage = match effort {
        Effort::Little => 7,
        Effort::Medium => 4,
        Effort::Much => 2,
    };
    let b_frames = effort.b_frames();
    let mut properties = vec![
        needed("target-usage", usage),
        needed("key-int-max", rendition.keyframe_interval.min(1024)),
        needed("aud", false),
        optional("b-frames", b_frames),
    ];
    match rate {
        Rate::Bitrate(bits) => {
            properties.extend([one_of("rate-control", &["vbr", "cbr"]), needed("bitrate", bits.kbit_per_second())])
        }
        Rate::Crf(crf) => properties.extend([
            needed("rate-control", "cqp"),
            needed("qpi", crf.value()),
            needed("qpp", crf.value()),
            needed("qpb", crf.value()),
        ]),
    }
    Settings { element, properties, profiles: &[], needs_rate: true, reorders: b_frames > 0 }
}

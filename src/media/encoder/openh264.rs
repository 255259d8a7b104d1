//! OpenH264, which stands for a device in tests: deterministic with one thread and one slice.

use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::effort::Effort;
use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::settings::{Settings, needed};

/// The family.
pub const OPENH264: Family = Family {
    package: "gstreamer1.0-plugins-bad",
    encodes: &[Coder::new(VideoCodec::H264, 8, "openh264enc")],
    decodes: &[],
    scaler: None,
    further: &[],
    is_hardware: false,
    memory: Memory::System,
    formats: ("I420", "I420_10LE"),
    settings,
    key_frames: KeyFrames::Completed,
    version: Version::Plugin,
    prepare: None,
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let complexity = match Effort::of(rendition.preset) {
        Effort::Little => "low",
        Effort::Medium => "medium",
        Effort::Much => "high",
    };
    let mut properties = vec![
        needed("complexity", complexity),
        needed("multi-thread", 1),
        needed("slice-mode", "n-slices"),
        needed("num-slices", 1),
        needed("gop-size", rendition.keyframe_interval),
        // Every frame comes out, whatever it costs.
        needed("enable-frame-skip", false),
    ];
    match rate {
        // This element alone wants bits per second.
        Rate::Bitrate(bits) => properties.extend([
            needed("rate-control", "bitrate"),
            needed("bitrate", u32::try_from(bits.bits_per_second()).unwrap_or(u32::MAX)),
        ]),
        // Without rate control it takes a quantizer of its own; with one, both ends of its range decide.
        Rate::Crf(crf) => properties.extend([
            needed("rate-control", "quality"),
            needed("qp-min", crf.value()),
            needed("qp-max", crf.value()),
        ]),
    }
    Settings { element, properties, profiles: &["high"], needs_rate: true, reorders: false }
}

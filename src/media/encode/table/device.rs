//! Settings of the families that are a device, and of the one that stands for a device in tests.

use actors::job::{Bitrate, Preset, Rate, VideoCodec};
use actors::plan::VideoRendition;

use super::{Property, Settings, kilobits, needed, one_of, optional};

/// The most that `nvh264enc` takes, in its unit.
const MAX_NV_RATE: u64 = 2000 * 1024;
/// Peaks over the average that hardware is allowed, in percent: it has no look into the future to speak of.
const PEAK_PERCENT: u64 = 150;
/// B-frames between two others, where they are used.
const B_FRAMES: u32 = 2;

/// How much work a preset stands for.
enum Effort {
    Little,
    Medium,
    Much,
}

const fn effort(preset: Preset) -> Effort {
    match preset {
        Preset::Ultrafast | Preset::Superfast | Preset::Veryfast => Effort::Little,
        Preset::Faster | Preset::Fast | Preset::Medium => Effort::Medium,
        Preset::Slow | Preset::Slower | Preset::Veryslow => Effort::Much,
    }
}

/// Fast presets do without B-frames, as x264's fastest does.
const fn b_frames(preset: Preset) -> u32 {
    match effort(preset) {
        Effort::Little => 0,
        Effort::Medium | Effort::Much => B_FRAMES,
    }
}

fn gop(rendition: &VideoRendition) -> i32 {
    i32::try_from(rendition.keyframe_interval).unwrap_or(i32::MAX)
}

/// `openh264enc`: deterministic with one thread and one slice.
pub(super) fn openh264(rendition: &VideoRendition, rate: Rate) -> Settings {
    let complexity = match effort(rendition.preset) {
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
    Settings { element: "openh264enc", properties, profile: Some("high"), needs_rate: true, reorders: false }
}

/// The older NVENC elements, which 1.22 has with the names of others, and which keep their names later.
pub(super) fn nvcodec(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let b_frames = b_frames(rendition.preset);
    let mut properties = vec![nv_preset(rendition.preset)];
    properties.extend([
        needed("gop-size", gop(rendition)),
        // Delimiters come where a container wants them.
        needed("aud", false),
        optional("bframes", b_frames),
        // Later versions put parameter sets in front of each key frame; what lacks them gets them behind the encoder.
        optional("repeat-sequence-header", true),
    ]);
    match rate {
        Rate::Bitrate(bits) => properties.extend([
            needed("rc-mode", "vbr"),
            needed("bitrate", nv_rate(bits, 100)),
            needed("max-bitrate", nv_rate(bits, PEAK_PERCENT)),
            optional("spatial-aq", true),
        ]),
        Rate::Crf(crf) => properties.extend([needed("rc-mode", "constqp"), needed("qp-const", crf.value())]),
    }
    let profile = (rendition.codec == VideoCodec::H264).then_some("high");
    Settings { element, properties, profile, needs_rate: true, reorders: b_frames > 0 }
}

/// 1.22 has the presets of the first NVENC; drivers from 550 on know only p1 to p7, which elements have from 1.24 on.
fn nv_preset(preset: Preset) -> Property {
    let names: [&str; 2] = match preset {
        Preset::Ultrafast => ["p1", "hp"],
        Preset::Superfast | Preset::Veryfast => ["p2", "hp"],
        Preset::Faster => ["p3", "default"],
        Preset::Fast | Preset::Medium => ["p4", "default"],
        Preset::Slow => ["p5", "hq"],
        Preset::Slower => ["p6", "hq"],
        Preset::Veryslow => ["p7", "hq"],
    };
    one_of("preset", &names)
}

/// The element multiplies what it is given by 1024.
fn nv_rate(bits: Bitrate, percent: u64) -> u64 {
    (bits.bits_per_second() * percent / 100 / 1024).clamp(1, MAX_NV_RATE)
}

/// VA-API of GPUs by Intel and AMD.
pub(super) fn va(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    // 1 is the best, 7 the fastest.
    let usage = match effort(rendition.preset) {
        Effort::Little => 7,
        Effort::Medium => 4,
        Effort::Much => 2,
    };
    let b_frames = b_frames(rendition.preset);
    let mut properties = vec![
        needed("target-usage", usage),
        needed("key-int-max", rendition.keyframe_interval.min(1024)),
        needed("aud", false),
        optional("b-frames", b_frames),
    ];
    match rate {
        Rate::Bitrate(bits) => {
            properties.extend([one_of("rate-control", &["vbr", "cbr"]), needed("bitrate", kilobits(bits))])
        }
        Rate::Crf(crf) => properties.extend([
            needed("rate-control", "cqp"),
            needed("qpi", crf.value()),
            needed("qpp", crf.value()),
            needed("qpb", crf.value()),
        ]),
    }
    Settings { element, properties, profile: None, needs_rate: true, reorders: b_frames > 0 }
}

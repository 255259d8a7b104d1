//! Settings of the families that are a device, and of the one that stands for a device in tests.

use actors::domain::job::{Bitrate, Preset, Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::{Settings, kilobits, needed, one_of, optional};

/// The most that `nvh264enc` takes, in its unit.
const MAX_NV_RATE: u64 = 2000 * 1024;
/// Peaks over the average that hardware is allowed, in percent: it has no look into the future to speak of.
const PEAK_PERCENT: u64 = 150;
/// How much of its peak rate an encoder may hold back.
const BUFFER_SECONDS: u64 = 2;
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
    Settings { element: "openh264enc", properties, profiles: &["high"], needs_rate: true, reorders: false }
}

/// NVENC, as GStreamer 1.26 has it. Where a property is left alone the encoder does what the driver's preset says.
pub(super) fn nvcodec(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let b_frames = b_frames(rendition.preset);
    let mut properties = vec![
        needed("preset", nv_preset(rendition.preset)),
        needed("tune", "high-quality"),
        needed("gop-size", gop(rendition)),
        // Delimiters come where a container wants them.
        needed("aud", false),
        needed("repeat-sequence-header", true),
        // Only where the GPU has them.
        optional("bframes", b_frames),
    ];
    match rate {
        Rate::Bitrate(bits) => properties.extend([
            needed("rc-mode", "vbr"),
            needed("bitrate", nv_rate(bits, 100)),
            needed("max-bitrate", nv_rate(bits, PEAK_PERCENT)),
            optional("vbv-buffer-size", nv_rate(bits, PEAK_PERCENT * BUFFER_SECONDS)),
            needed("multi-pass", nv_passes(rendition.preset)),
            optional("spatial-aq", true),
        ]),
        // Not `const-quality`: that is bounded by the rate of the preset, and 0 does not take the bound away.
        Rate::Crf(crf) => properties.extend([
            needed("rc-mode", "constqp"),
            needed("qp-const-i", crf.value()),
            needed("qp-const-p", crf.value()),
            needed("qp-const-b", crf.value()),
        ]),
    }
    let profiles = match rendition.codec {
        VideoCodec::H264 => nv_profiles(b_frames),
        VideoCodec::H265 => &[],
    };
    Settings { element, properties, profiles, needs_rate: true, reorders: b_frames > 0 }
}

/// The element asks the driver for the profile that it is asked for only if there are B-frames. Without them the driver
/// chooses, and a choice that is not in the caps would end the encode.
const fn nv_profiles(b_frames: u32) -> &'static [&'static str] {
    if b_frames > 0 { &["high"] } else { &["high", "main"] }
}

/// From the fastest to the best.
const fn nv_preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Ultrafast => "p1",
        Preset::Superfast | Preset::Veryfast => "p2",
        Preset::Faster => "p3",
        Preset::Fast | Preset::Medium => "p4",
        Preset::Slow => "p5",
        Preset::Slower => "p6",
        Preset::Veryslow => "p7",
    }
}

/// How often a picture is looked at before its bits are given out.
const fn nv_passes(preset: Preset) -> &'static str {
    match effort(preset) {
        Effort::Little => "disabled",
        Effort::Medium => "two-pass-quarter",
        Effort::Much => "two-pass",
    }
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
    Settings { element, properties, profiles: &[], needs_rate: true, reorders: b_frames > 0 }
}

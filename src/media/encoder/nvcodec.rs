//! NVENC and NVDEC of NVIDIA's GPUs, as GStreamer 1.26 has them. Where a property is left alone the encoder does what the
//! driver's preset says.

use actors::domain::job::{Bitrate, Preset, Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::effort::Effort;
use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::settings::{Settings, needed, optional};

/// The most that `nvh264enc` takes, in its unit.
const MAX_RATE: u64 = 2000 * 1024;
/// Peaks over the average that hardware is allowed, in percent: it has no look into the future to speak of.
const PEAK_PERCENT: u64 = 150;
/// How much of its peak rate an encoder may hold back.
const BUFFER_SECONDS: u64 = 2;

/// The family.
pub const NVCODEC: Family = Family {
    package: "gstreamer1.0-plugins-bad",
    encodes: &[
        Coder::new(VideoCodec::H264, 8, "nvh264enc"),
        Coder::new(VideoCodec::H265, 8, "nvh265enc"),
        Coder::new(VideoCodec::H265, 10, "nvh265enc"),
    ],
    decodes: &[
        Coder::new(VideoCodec::H264, 8, "nvh264dec"),
        Coder::new(VideoCodec::H265, 8, "nvh265dec"),
        Coder::new(VideoCodec::H265, 10, "nvh265dec"),
    ],
    scaler: Some("cudaconvertscale"),
    further: &["cudaupload", "cudadownload"],
    is_hardware: true,
    memory: Memory::Cuda,
    formats: ("NV12", "P010_10LE"),
    settings,
    key_frames: KeyFrames::Completed,
    version: Version::Driver,
    prepare: None,
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    let effort = Effort::of(rendition.preset);
    let b_frames = effort.b_frames();
    let mut properties = vec![
        needed("preset", preset(rendition.preset)),
        needed("tune", "high-quality"),
        needed("gop-size", i32::try_from(rendition.keyframe_interval).unwrap_or(i32::MAX)),
        // Delimiters come where a container wants them.
        needed("aud", false),
        needed("repeat-sequence-header", true),
        // Only where the GPU has them.
        optional("bframes", b_frames),
    ];
    match rate {
        Rate::Bitrate(bits) => properties.extend([
            needed("rc-mode", "vbr"),
            needed("bitrate", rate_of(bits, 100)),
            needed("max-bitrate", rate_of(bits, PEAK_PERCENT)),
            optional("vbv-buffer-size", rate_of(bits, PEAK_PERCENT * BUFFER_SECONDS)),
            needed("multi-pass", passes(effort)),
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
    let profiles = if rendition.codec == VideoCodec::H264 { profiles(b_frames) } else { &[] };
    Settings { element, properties, profiles, needs_rate: true, reorders: b_frames > 0 }
}

/// The element asks the driver for the profile that it is asked for only if there are B-frames. Without them the driver
/// chooses, and a choice that is not in the caps would end the encode.
const fn profiles(b_frames: u32) -> &'static [&'static str] {
    if b_frames > 0 { &["high"] } else { &["high", "main"] }
}

/// From the fastest to the best.
const fn preset(preset: Preset) -> &'static str {
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
const fn passes(effort: Effort) -> &'static str {
    match effort {
        Effort::Little => "disabled",
        Effort::Medium => "two-pass-quarter",
        Effort::Much => "two-pass",
    }
}

/// The element multiplies what it is given by 1024.
fn rate_of(bits: Bitrate, percent: u64) -> u64 {
    (bits.bits_per_second() * percent / 100 / 1024).clamp(1, MAX_RATE)
}

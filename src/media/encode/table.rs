//! The encoder table: for each codec and encoder family the element, and how rate, preset, key frames, B-frames, profile
//! and threads are said to it. The one place where units are converted: rates are bits per second everywhere else.
//!
//! | family | element | rate in | constant quality | presets | B-frames | takes |
//! |---|---|---|---|---|---|---|
//! | x264, x265 | `x264enc`, `x265enc` | kbit/s | `quantizer`, `crf` | its own | its own | main memory |
//! | openh264 | `openh264enc` | bit/s | both ends of the quantizer | complexity | none | main memory |
//! | nvcodec | `nvh264enc`, `nvh265enc` | 1024 bit/s | `qp-const-i`, `-p`, `-b` | p1 to p7 | 0 or 2 | CUDA or main memory |
//! | va | `vah264enc`, `vah265enc` | kbit/s | `qpi`, `qpp`, `qpb` | target-usage | 0 or 2 | main memory |
//!
//! Pure: says what is to be set and never makes an element, so that all of it is tested on machines without a device.

mod device;

use actors::domain::failure::Failure;
use actors::domain::job::{Bitrate, Rate, VideoCodec};
use actors::domain::plan::{EncoderFamily, VideoRendition};

/// The largest constant-quality value that `x264enc` takes as a number; x264 itself goes to 51.
const MAX_QUANTIZER: u32 = 50;

/// Where the pictures lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Main memory.
    System,
    /// Memory of an NVIDIA GPU.
    Cuda,
}

/// A property of an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// Its name.
    pub name: &'static str,
    /// The first of these that the element knows is set: versions differ in the names of their presets.
    pub values: Vec<String>,
    /// Whether the encoder is of no use without it. Some properties are there only where the GPU can do it.
    pub needed: bool,
}

/// How an encoder is made and set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The element.
    pub element: &'static str,
    /// Its properties, to be set in this order.
    pub properties: Vec<Property>,
    /// The H.264 profiles that are asked of the element with the caps of its output, where it chooses by them.
    pub profiles: &'static [&'static str],
    /// Whether it must be told a frame rate, also where the distances of frames vary.
    pub needs_rate: bool,
    /// Whether frames may come out in another order than they are shown in.
    pub reorders: bool,
}

/// Settings of the encoder that makes `rendition` at `rate`.
///
/// # Errors
/// `permanent` where the family does not make the codec or its depth: a mistake in the plan.
pub fn settings(rendition: &VideoRendition, rate: Rate) -> Result<Settings, Failure> {
    use EncoderFamily::{Nvcodec, Openh264, Va, X264, X265};
    match (rendition.encoder, rendition.codec, rendition.bit_depth) {
        (X264, VideoCodec::H264, 8) => Ok(x264(rendition, rate)),
        (X265, VideoCodec::H265, 8 | 10) => Ok(x265(rendition, rate)),
        (Openh264, VideoCodec::H264, 8) => Ok(device::openh264(rendition, rate)),
        (Nvcodec, VideoCodec::H264, 8) => Ok(device::nvcodec("nvh264enc", rendition, rate)),
        (Nvcodec, VideoCodec::H265, 8 | 10) => Ok(device::nvcodec("nvh265enc", rendition, rate)),
        (Va, VideoCodec::H264, 8) => Ok(device::va("vah264enc", rendition, rate)),
        (Va, VideoCodec::H265, 8 | 10) => Ok(device::va("vah265enc", rendition, rate)),
        (family, codec, depth) => Err(Failure::permanent(format!(
            "{} does not make {} with {depth} bits; the plan is wrong",
            family.as_str(),
            codec.as_str()
        ))),
    }
}

/// The raw format that the encoder of a rendition is fed from `memory`.
pub const fn raw_format(rendition: &VideoRendition, memory: Memory) -> &'static str {
    match (rendition.encoder, memory, rendition.bit_depth > 8) {
        (EncoderFamily::Nvcodec | EncoderFamily::Va, _, true) => "P010_10LE",
        (EncoderFamily::Nvcodec | EncoderFamily::Va, _, false) => "NV12",
        (_, _, true) => "I420_10LE",
        (_, _, false) => "I420",
    }
}

fn needed(name: &'static str, value: impl ToString) -> Property {
    Property { name, values: vec![value.to_string()], needed: true }
}

fn optional(name: &'static str, value: impl ToString) -> Property {
    Property { needed: false, ..needed(name, value) }
}

fn one_of(name: &'static str, values: &[&str]) -> Property {
    Property { name, values: values.iter().map(ToString::to_string).collect(), needed: true }
}

fn kilobits(bits: Bitrate) -> u32 {
    bits.kbit_per_second()
}

fn x264(rendition: &VideoRendition, rate: Rate) -> Settings {
    let mut properties = vec![
        needed("speed-preset", rendition.preset.as_str()),
        // More threads give other bytes from run to run (with VBV), and cost more CPU.
        needed("threads", 1),
        needed("key-int-max", rendition.keyframe_interval),
        needed("aud", false),
        // The same bytes on every processor, for 0 to 1 % of CPU. The vector code of the macroblock tree (build 164)
        // moreover reads memory that was never written, past the end of its rows, at some widths, 854 pixels (54
        // macroblocks), 848 and 320 among them: what it finds there decides about bits, which differ from run to run.
        needed("option-string", "cpu-independent=1"),
    ];
    // Without VBV a rate is the average bitrate of x264, the same as elsewhere. With the element's default it would
    // bound constant quality too, at 2048 kbit/s, however large the picture: moving rings in 1080p at CRF 12 had a
    // twentieth of their bits.
    properties.push(needed("vbv-buf-capacity", 0));
    match rate {
        Rate::Bitrate(bits) => properties.extend([needed("pass", "cbr"), needed("bitrate", kilobits(bits))]),
        Rate::Crf(crf) => {
            properties.extend([needed("pass", "qual"), needed("quantizer", u32::from(crf.value()).min(MAX_QUANTIZER))])
        }
    }
    Settings { element: "x264enc", properties, profiles: &[], needs_rate: false, reorders: true }
}

fn x265(rendition: &VideoRendition, rate: Rate) -> Settings {
    // One thread: more of them give other bytes from machine to machine. The information SEI stays on and is taken out
    // later: without it `x265enc` of GStreamer 1.22 writes memory of others in its place, in about one of
    // 100 encodes; that 1.26 never does was not seen.
    let mut options = "pools=none:frame-threads=1:open-gop=0:repeat-headers=1".to_owned();
    let mut properties = vec![
        needed("speed-preset", rendition.preset.as_str()),
        needed("key-int-max", i32::try_from(rendition.keyframe_interval).unwrap_or(i32::MAX)),
    ];
    match rate {
        Rate::Bitrate(bits) => properties.push(needed("bitrate", kilobits(bits))),
        Rate::Crf(crf) => options.push_str(&format!(":crf={}", crf.value())),
    }
    properties.push(needed("option-string", options));
    Settings { element: "x265enc", properties, profiles: &[], needs_rate: true, reorders: true }
}

#[cfg(test)]
mod tests;

//! x264, the family of the CPU for H.264. The same bytes on every machine: one thread, and code that is the same for every
//! processor.

use actors::domain::job::{Rate, VideoCodec};
use actors::domain::plan::VideoRendition;

use super::family::{Coder, Family, KeyFrames, Memory, Version};
use super::foreign;
use super::said::between;
use super::settings::{Settings, needed};

/// The largest constant-quality value that `x264enc` takes as a number; x264 itself goes to 51.
const MAX_QUANTIZER: u32 = 50;

/// The family.
pub const X264: Family = Family {
    package: "gstreamer1.0-plugins-ugly",
    encodes: &[Coder::new(VideoCodec::H264, 8, "x264enc")],
    decodes: &[],
    scaler: None,
    further: &[],
    is_hardware: false,
    memory: Memory::System,
    formats: ("I420", "I420_10LE"),
    settings,
    key_frames: KeyFrames::AsTheyAre,
    version: Version::Asked(version),
    prepare: None,
};

fn settings(element: &'static str, rendition: &VideoRendition, rate: Rate) -> Settings {
    // The same bytes on every processor, for 0 to 1 % of CPU. The vector code of the macroblock tree (build 164)
    // moreover reads memory that was never written, past the end of its rows, at some widths, 854 pixels (54
    // macroblocks), 848 and 320 among them: what it finds there decides about bits, which differ from run to run.
    let mut options = "cpu-independent=1".to_owned();
    if let Some(foreign) = foreign::options() {
        options = format!("{options}:{foreign}");
    }
    let mut properties = vec![
        needed("speed-preset", rendition.preset.as_str()),
        // More threads give other bytes from run to run (with VBV), and cost more CPU.
        needed("threads", 1),
        needed("key-int-max", rendition.keyframe_interval),
        needed("aud", false),
        needed("option-string", options),
        // Without VBV a rate is the average bitrate of x264, the same as elsewhere. With the element's default it would
        // bound constant quality too, at 2048 kbit/s, however large the picture: moving rings in 1080p at CRF 12 had a
        // twentieth of their bits.
        needed("vbv-buf-capacity", 0),
    ];
    match rate {
        Rate::Bitrate(bits) => properties.extend([needed("pass", "cbr"), needed("bitrate", bits.kbit_per_second())]),
        Rate::Crf(crf) => {
            properties.extend([needed("pass", "qual"), needed("quantizer", u32::from(crf.value()).min(MAX_QUANTIZER))])
        }
    }
    Settings { element, properties, profiles: &[], needs_rate: false, reorders: true }
}

/// As `164 r3108 31e19f9`: between two marks of a SEI message.
fn version(made: &[u8]) -> Option<String> {
    let found = between(made, b"x264 - core ", b" - H.264")?;
    Some(match foreign::options() {
        Some(options) => format!("{found} with {options}"),
        None => found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_version_is_read_out_of_a_sei_message() {
        let sei =
            b"\x06\x05\xffx264 - core 164 r3108 31e19f9 - H.264/MPEG-4 AVC codec - Copyleft - options: cabac=1\x80";
        assert_eq!(version(sei).as_deref(), Some("164 r3108 31e19f9"));
        assert_eq!(version(b"x264 - core 164 without an end"), None);
        assert_eq!(version(b""), None);
    }
}

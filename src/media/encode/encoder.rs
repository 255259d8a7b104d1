//! The settings of the software encoders. All of them are fixed by the plan; one thread each, because more threads give
//! other bytes from run to run (x264 with VBV) or from machine to machine (x265), and cost more CPU.

use actors::failure::Failure;
use actors::job::Rate;
use actors::plan::{EncoderFamily, VideoRendition};
use gstreamer as gst;
use gstreamer::prelude::*;

use crate::media::pipeline::element;

/// The largest constant-quality value that `x264enc` takes as a number; x264 itself goes to 51.
const MAX_QUANTIZER: u32 = 50;

/// The element that makes `rendition`, set to `rate`.
///
/// # Errors
/// `permanent` where GStreamer lacks the encoder.
pub fn encoder(rendition: &VideoRendition, rate: Rate) -> Result<gst::Element, Failure> {
    let encoder = element(factory(rendition.encoder))?;
    encoder.set_property_from_str("speed-preset", rendition.preset.as_str());
    match rendition.encoder {
        EncoderFamily::X264 => x264(&encoder, rendition, rate),
        EncoderFamily::X265 => x265(&encoder, rendition, rate),
        EncoderFamily::Nvcodec | EncoderFamily::Va | EncoderFamily::Openh264 => {
            return Err(Failure::device("this encoder family is not built in"));
        }
    }
    Ok(encoder)
}

/// Makes what the encoders of `renditions` find in new memory the same every time; call it before they are made.
///
/// x265 3.5 reads memory that it never wrote: in a process that had used the memory before, one encode in a hundred gave
/// other bytes. From here on `malloc` of glibc gives zeros, as it does for memory that nobody had. That costs no measurable
/// time and some 100 MB of memory at 1080p, so that processes without x265 do without it.
pub fn settle_memory(renditions: &[VideoRendition]) {
    if renditions.iter().any(|rendition| rendition.encoder == EncoderFamily::X265) {
        // The low byte is what freed memory is filled with, its complement what new memory is.
        const FREED: std::ffi::c_int = 0xff;
        // SAFETY: changes a setting of the allocator, which takes it at any time and from any thread.
        unsafe { libc::mallopt(libc::M_PERTURB, FREED) };
    }
}

/// The name of the element of a family.
pub const fn factory(family: EncoderFamily) -> &'static str {
    match family {
        EncoderFamily::X264 => "x264enc",
        EncoderFamily::X265 => "x265enc",
        EncoderFamily::Nvcodec => "nvh264enc",
        EncoderFamily::Va => "vah264enc",
        EncoderFamily::Openh264 => "openh264enc",
    }
}

/// The caps of what the encoder gives.
pub fn output_caps(family: EncoderFamily) -> gst::Caps {
    let name = match family {
        EncoderFamily::X264 | EncoderFamily::Nvcodec | EncoderFamily::Va | EncoderFamily::Openh264 => "video/x-h264",
        EncoderFamily::X265 => "video/x-h265",
    };
    gst::Caps::builder(name).field("stream-format", "byte-stream").field("alignment", "au").build()
}

/// The raw format that the encoder is fed.
pub const fn raw_format(rendition: &VideoRendition) -> &'static str {
    if rendition.bit_depth > 8 { "I420_10LE" } else { "I420" }
}

fn x264(encoder: &gst::Element, rendition: &VideoRendition, rate: Rate) {
    encoder.set_property("threads", 1u32);
    encoder.set_property("key-int-max", rendition.keyframe_interval);
    encoder.set_property("aud", false);
    // The same bytes on every processor. The vector code of the macroblock tree moreover reads past the end of its rows at
    // some widths (54 macroblocks, 854 pixels, is one), and what it finds there decides about bits.
    encoder.set_property("option-string", "cpu-independent=1");
    match rate {
        Rate::Bitrate(bits) => {
            // Without VBV this is the average bitrate of x264, the same as elsewhere.
            encoder.set_property_from_str("pass", "cbr");
            encoder.set_property("vbv-buf-capacity", 0u32);
            encoder.set_property("bitrate", bits.kbit_per_second());
        }
        Rate::Crf(crf) => {
            encoder.set_property_from_str("pass", "qual");
            encoder.set_property("quantizer", u32::from(crf.value()).min(MAX_QUANTIZER));
        }
    }
}

fn x265(encoder: &gst::Element, rendition: &VideoRendition, rate: Rate) {
    let key = i32::try_from(rendition.keyframe_interval).unwrap_or(i32::MAX);
    encoder.set_property("key-int-max", key);
    // The information SEI stays on and is taken out later: without it `x265enc` 1.22 writes memory of others in its place.
    let mut options = "pools=none:frame-threads=1:open-gop=0:repeat-headers=1".to_owned();
    match rate {
        Rate::Bitrate(bits) => encoder.set_property("bitrate", bits.kbit_per_second()),
        Rate::Crf(crf) => options.push_str(&format!(":crf={}", crf.value())),
    }
    encoder.set_property("option-string", options);
}

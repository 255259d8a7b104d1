//! What libavcodec has to know of a track, in the caps of its units: chunk sources are decoded without their container.

use std::ffi::CString;

use ffmpeg_the_third::codec::{Id, Parameters};
use ffmpeg_the_third::ffi;
use gstreamer as gst;
use gstreamer_video::{VideoColorRange, VideoColorimetry};

use super::track::Track;

/// Name of the codec, as libavcodec has it.
const CODEC: &str = "libav-codec";
/// The four characters by which the container names it.
const TAG: &str = "libav-tag";
/// Bits of a coded sample.
const BITS: &str = "libav-bits";
/// The configuration of the codec, as the container has it.
const CONFIGURATION: &str = "libav-configuration";
/// Whether units have no other times than those of decoding.
const DECODING_ORDER: &str = "libav-decoding-order";

/// Whether each unit is followed by its alpha channel, and that by its length.
const ALPHA: &str = "libav-alpha";
/// Bytes of that length.
const LENGTH: usize = 4;

/// Adds to the caps of a track what its decoder has to know. Where the units were brought into another form, with parameter sets
/// `in_band`, the configuration of the container is none of theirs.
pub fn describe(caps: &mut gst::CapsRef, track: &Track, in_band: bool) {
    caps.set(CODEC, track.codec.name());
    caps.set(TAG, u32::from_le_bytes(track.tag()));
    caps.set(BITS, i32::try_from(track.parameters().bits_per_coded_sample()).unwrap_or(0));
    if !in_band && !track.configuration().is_empty() {
        caps.set(CONFIGURATION, gst::Buffer::from_slice(track.configuration().to_vec()));
    }
}

/// Says that the units have no other times than those of decoding.
pub fn set_decoding_order(caps: &mut gst::CapsRef) {
    caps.set(DECODING_ORDER, true);
}

/// Says that units are followed by their alpha channel.
pub fn set_alpha(caps: &mut gst::CapsRef) {
    caps.set(ALPHA, true);
}

/// Whether units are followed by their alpha channel.
pub fn has_alpha(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|fields| fields.get(ALPHA).unwrap_or(false))
}

/// A unit followed by its alpha channel, which is empty where it has none.
pub fn with_alpha(unit: &[u8], alpha: &[u8]) -> Vec<u8> {
    // No unit has 4 GiB.
    let length = u32::try_from(alpha.len()).unwrap_or(0).to_be_bytes();
    [unit, alpha, &length].concat()
}

/// The unit and its alpha channel; what is damaged has none.
pub fn without_alpha(both: &[u8]) -> (&[u8], &[u8]) {
    let split = || {
        let (rest, length) = both.split_last_chunk::<LENGTH>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        rest.split_at_checked(rest.len().checked_sub(length)?)
    };
    split().unwrap_or((both, &[]))
}

/// Takes over what was added to the caps of a track.
pub fn copy(from: &gst::CapsRef, to: &mut gst::CapsRef) {
    let Some(from) = from.structure(0) else { return };
    for name in [CODEC, TAG, BITS, CONFIGURATION, DECODING_ORDER, ALPHA] {
        if let Ok(value) = from.value(name) {
            to.set_value(name, value.clone());
        }
    }
}

/// Whether units of these caps have no other times than those of decoding.
pub fn is_in_decoding_order(caps: &gst::CapsRef) -> bool {
    caps.structure(0).is_some_and(|fields| fields.get(DECODING_ORDER).unwrap_or(false))
}

/// What was added to caps, for a decoder; `None` where nothing was: sources of earlier versions.
pub fn parameters(caps: &gst::CapsRef) -> Option<Parameters> {
    let fields = caps.structure(0)?;
    let name = CString::new(fields.get::<String>(CODEC).ok()?).ok()?;
    // SAFETY: the name is a string of C; descriptors are static.
    let descriptor = unsafe { ffi::avcodec_descriptor_get_by_name(name.as_ptr()).as_ref()? };
    let mut parameters = Parameters::new();
    // SAFETY: the parameters are allocated and belong to this function. The configuration is allocated by libav, with the zeros
    // behind it that its readers rely on.
    unsafe {
        let raw = &mut *parameters.as_mut_ptr();
        raw.codec_type = ffi::AVMediaType::VIDEO;
        raw.codec_id = descriptor.id;
        raw.codec_tag = fields.get::<u32>(TAG).unwrap_or(0);
        raw.bits_per_coded_sample = fields.get::<i32>(BITS).unwrap_or(0);
        raw.width = fields.get::<i32>("width").unwrap_or(0);
        raw.height = fields.get::<i32>("height").unwrap_or(0);
        colours(fields, raw);
        if let Ok(configuration) = fields.get::<gst::Buffer>(CONFIGURATION)
            && let Ok(map) = configuration.map_readable()
            && let Ok(size) = i32::try_from(map.size())
        {
            raw.extradata = ffi::av_mallocz(map.size() + ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize).cast();
            if !raw.extradata.is_null() {
                std::ptr::copy_nonoverlapping(map.as_ptr(), raw.extradata, map.size());
                raw.extradata_size = size;
            }
        }
    }
    (Id::from(descriptor.id) != Id::None).then_some(parameters)
}

/// What the container says of colours; what the stream says goes before it.
fn colours(fields: &gst::StructureRef, raw: &mut ffi::AVCodecParameters) {
    let said = fields.get::<String>("colorimetry").ok().and_then(|said| said.parse::<VideoColorimetry>().ok());
    let Some(said) = said else { return };
    raw.color_range = match said.range() {
        VideoColorRange::Range0_255 => ffi::AVColorRange::JPEG,
        VideoColorRange::Range16_235 => ffi::AVColorRange::MPEG,
        _ => ffi::AVColorRange::UNSPECIFIED,
    };
    raw.color_space = ffi::AVColorSpace(said.matrix().to_iso());
    raw.color_trc = ffi::AVColorTransferCharacteristic(said.transfer().to_iso());
    raw.color_primaries = ffi::AVColorPrimaries(said.primaries().to_iso());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_found_again_beside_its_alpha_channel() {
        assert_eq!(without_alpha(&with_alpha(b"unit", b"alpha")), (&b"unit"[..], &b"alpha"[..]));
        assert_eq!(without_alpha(&with_alpha(b"unit", b"")), (&b"unit"[..], &b""[..]));
        for damaged in [&b""[..], b"abc", &[1, 0, 0, 0, 9]] {
            assert_eq!(without_alpha(damaged), (damaged, &b""[..]));
        }
    }
}

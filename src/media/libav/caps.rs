//! From what libavformat says of a track to the caps of GStreamer, and the parser that brings its units into the form in which
//! they are stored. The table is the list of codecs that are read: what is not in it is refused with its name.

use ffmpeg_the_third::codec::Id;
use ffmpeg_the_third::{self as av, color};
use gstreamer as gst;

use super::track::Track;

/// How a track is fed to its parser and its decoder.
pub struct Form {
    /// Caps of the packets of the container.
    pub caps: gst::Caps,
    /// What makes whole access units with all parameter sets of them, where something has to.
    pub parser: Option<&'static str>,
}

/// The form of a track; `None` where its codec is none that is read.
pub fn form(track: &Track) -> Option<Form> {
    match track.parameters().medium() {
        av::media::Type::Video => video(track),
        av::media::Type::Audio => sound(track),
        _ => None,
    }
}

/// The form of a track from where it has another configuration.
pub fn changed(track: &Track, configuration: &[u8]) -> Option<Form> {
    let mut form = form(track)?;
    form.caps.make_mut().set("codec_data", gst::Buffer::from_slice(configuration.to_vec()));
    Some(form)
}

fn video(track: &Track) -> Option<Form> {
    let of = |name: &str| gst::Caps::builder(name);
    let configured = |caps: gst::caps::Builder<gst::caps::NoFeature>| match track.configuration() {
        [] => caps,
        bytes => caps.field("codec_data", gst::Buffer::from_slice(bytes.to_vec())),
    };
    let (caps, parser) = match track.codec {
        Id::H264 => (boxed(track, "video/x-h264", "avc"), Some("h264parse")),
        Id::HEVC => (boxed(track, "video/x-h265", "hvc1"), Some("h265parse")),
        Id::AV1 => {
            let caps = configured(of("video/x-av1")).field("stream-format", "obu-stream").field("alignment", "tu");
            (caps, Some("av1parse"))
        }
        Id::VP8 => (of("video/x-vp8"), None),
        Id::VP9 => (of("video/x-vp9").field("alignment", "super-frame"), Some("vp9parse")),
        Id::MPEG1VIDEO => (mpeg(1), Some("mpegvideoparse")),
        Id::MPEG2VIDEO => (mpeg(2), Some("mpegvideoparse")),
        Id::MPEG4 => (configured(mpeg(4)), Some("mpeg4videoparse")),
        Id::MSMPEG4V1 => (of("video/x-msmpeg").field("msmpegversion", 41), None),
        Id::MSMPEG4V2 => (of("video/x-msmpeg").field("msmpegversion", 42), None),
        Id::MSMPEG4V3 => (of("video/x-msmpeg").field("msmpegversion", 43), None),
        Id::H263 => (of("video/x-h263").field("variant", "itu"), None),
        Id::FLV1 => (of("video/x-flash-video").field("flvversion", 1), None),
        Id::VP6F => (of("video/x-vp6-flash"), None),
        Id::WMV1 => (configured(of("video/x-wmv").field("wmvversion", 1)), None),
        Id::WMV2 => (configured(of("video/x-wmv").field("wmvversion", 2)), None),
        Id::WMV3 => (configured(of("video/x-wmv").field("wmvversion", 3).field("format", "WMV3")), None),
        Id::VC1 => (configured(of("video/x-wmv").field("wmvversion", 3).field("format", "WVC1")), None),
        Id::THEORA => (headers(track, "video/x-theora")?, None),
        Id::MJPEG => (of("image/jpeg").field("parsed", true), None),
        Id::PNG => (of("image/png"), None),
        Id::GIF => (of("image/gst-libav-gif").field("parsed", true), None),
        Id::JPEG2000 => (of("image/x-jpc"), None),
        Id::PRORES => (of("video/x-prores"), None),
        Id::DNXHD => (of("video/x-dnxhd"), None),
        Id::CFHD => (of("video/x-cineform"), None),
        Id::DVVIDEO => (of("video/x-dv").field("systemstream", false), None),
        Id::FFV1 => (configured(of("video/x-ffv").field("ffvversion", 1)), None),
        Id::HUFFYUV => (configured(of("video/x-huffyuv").field("bpp", depth(track))), None),
        Id::FFVHUFF => (configured(of("video/x-ffvhuff").field("bpp", depth(track))), None),
        Id::QTRLE => (of("video/x-rle").field("layout", "quicktime").field("depth", depth(track)), None),
        Id::RPZA => (of("video/x-apple-video"), None),
        Id::CINEPAK => (of("video/x-cinepak"), None),
        Id::SVQ1 => (of("video/x-svq").field("svqversion", 1), None),
        Id::SVQ3 => (configured(of("video/x-svq").field("svqversion", 3)), None),
        Id::RAWVIDEO => (of("video/x-raw").field("format", raw_format(track)?), None),
        _ => return None,
    };
    let side = |side: u32| i32::try_from(side).unwrap_or(i32::MAX);
    let (width, height) = (track.parameters().width(), track.parameters().height());
    let fraction = |(num, den)| gst::Fraction::new(num, den);
    let mut caps = caps.field_if_some("framerate", track.frame_rate.map(fraction));
    caps = caps.field_if_some("pixel-aspect-ratio", track.pixel_aspect.map(fraction));
    if width > 0 && height > 0 {
        caps = caps.field("width", side(width)).field("height", side(height));
    }
    caps = caps.field_if_some("colorimetry", colours(track));
    if parser.is_none() && is_interlaced(track) {
        caps = caps.field("interlace-mode", "interleaved");
    }
    Some(Form { caps: caps.build(), parser })
}

/// H.264 and H.265: with lengths in front of their NAL units as in MP4, or with start codes.
fn boxed(track: &Track, name: &str, form: &str) -> gst::caps::Builder<gst::caps::NoFeature> {
    let caps = gst::Caps::builder(name).field("alignment", "au");
    match track.configuration() {
        record @ [1, ..] => {
            caps.field("stream-format", form).field("codec_data", gst::Buffer::from_slice(record.to_vec()))
        }
        _ => caps.field("stream-format", "byte-stream"),
    }
}

fn mpeg(version: i32) -> gst::caps::Builder<gst::caps::NoFeature> {
    gst::Caps::builder("video/mpeg").field("mpegversion", version).field("systemstream", false)
}

fn depth(track: &Track) -> i32 {
    i32::try_from(track.parameters().bits_per_coded_sample()).unwrap_or(0)
}

/// Theora and Vorbis: three packets of headers, with their sizes in front (Xiph's lacing, or 16 bits each).
fn headers(track: &Track, name: &str) -> Option<gst::caps::Builder<gst::caps::NoFeature>> {
    let packets = split_headers(track.configuration())?;
    let packets = packets.map(|packet| gst::Buffer::from_slice(packet.to_vec()));
    Some(gst::Caps::builder(name).field("streamheader", gst::Array::new(packets)))
}

/// The headers in the two forms that libavformat gives them.
fn split_headers(bytes: &[u8]) -> Option<[&[u8]; 3]> {
    if let [2, rest @ ..] = bytes {
        let mut rest = rest;
        let mut sizes = [0; 2];
        for size in &mut sizes {
            loop {
                let (byte, more) = rest.split_first()?;
                rest = more;
                *size += usize::from(*byte);
                if *byte < 255 {
                    break;
                }
            }
        }
        let (first, rest) = rest.split_at_checked(sizes[0])?;
        let (second, third) = rest.split_at_checked(sizes[1])?;
        return Some([first, second, third]);
    }
    let mut rest = bytes;
    let mut found = [&[][..]; 3];
    for header in &mut found {
        let (size, more) = rest.split_at_checked(2)?;
        let (body, more) = more.split_at_checked(usize::from(size[0]) << 8 | usize::from(size[1]))?;
        (*header, rest) = (body, more);
    }
    Some(found)
}

fn is_interlaced(track: &Track) -> bool {
    use av::FieldOrder;
    matches!(track.parameters().field_order(), FieldOrder::TT | FieldOrder::BB | FieldOrder::TB | FieldOrder::BT)
}

/// What the container and the stream say of colours, in GStreamer's words; the rest is left to the decoder.
fn colours(track: &Track) -> Option<String> {
    use gstreamer_video::{
        VideoColorMatrix, VideoColorPrimaries, VideoColorRange, VideoColorimetry, VideoTransferFunction,
    };
    let said = track.parameters();
    // The numbers of ISO/IEC 23091-2, which both have.
    let (matrix, transfer, primaries) = track.colour_codes();
    let matrix = VideoColorMatrix::from_iso(matrix);
    let transfer = VideoTransferFunction::from_iso(transfer);
    let primaries = VideoColorPrimaries::from_iso(primaries);
    let range = match said.color_range() {
        color::Range::MPEG => VideoColorRange::Range16_235,
        color::Range::JPEG => VideoColorRange::Range0_255,
        _ => VideoColorRange::Unknown,
    };
    let nothing = matrix == VideoColorMatrix::Unknown
        && transfer == VideoTransferFunction::Unknown
        && primaries == VideoColorPrimaries::Unknown
        && range == VideoColorRange::Unknown;
    (!nothing).then(|| VideoColorimetry::new(range, matrix, transfer, primaries).to_string())
}

/// Uncompressed pictures whose rows are laid out as GStreamer has them.
fn raw_format(track: &Track) -> Option<&'static str> {
    const FORMATS: [(&str, &str, u32); 10] = [
        ("yuv420p", "I420", 8),
        ("yuv422p", "Y42B", 8),
        ("yuv444p", "Y444", 4),
        ("nv12", "NV12", 4),
        ("yuyv422", "YUY2", 2),
        ("uyvy422", "UYVY", 2),
        ("rgb24", "RGB", 4),
        ("bgr24", "BGR", 4),
        ("bgra", "BGRA", 1),
        ("gray", "GRAY8", 4),
    ];
    let name = track.pixel_format()?;
    let multiple = |width: u32, of: u32| width.is_multiple_of(of);
    let known = FORMATS.iter().find(|(libav, ..)| *libav == name);
    known.filter(|(_, _, of)| multiple(track.parameters().width(), *of)).map(|(_, format, _)| *format)
}

fn sound(track: &Track) -> Option<Form> {
    let of = |name: &str| gst::Caps::builder(name);
    let configured = |caps: gst::caps::Builder<gst::caps::NoFeature>| match track.configuration() {
        [] => caps,
        bytes => caps.field("codec_data", gst::Buffer::from_slice(bytes.to_vec())),
    };
    let said = track.parameters();
    let number = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
    let layered = |layer: i32| of("audio/mpeg").field("mpegversion", 1).field("layer", layer).field("parsed", true);
    let block = |caps: gst::caps::Builder<gst::caps::NoFeature>| {
        let bits = i32::try_from(said.bit_rate()).unwrap_or(0);
        caps.field("block_align", number(said.block_align())).field("bitrate", bits).field("depth", depth(track))
    };
    let caps = match track.codec {
        Id::AAC => {
            let form = if track.configuration().is_empty() { "adts" } else { "raw" };
            configured(of("audio/mpeg").field("mpegversion", 4).field("framed", true).field("stream-format", form))
        }
        Id::AAC_LATM => of("audio/mpeg").field("mpegversion", 4).field("framed", true).field("stream-format", "loas"),
        Id::MP1 => layered(1),
        Id::MP2 => layered(2),
        Id::MP3 => layered(3),
        Id::AC3 => of("audio/x-ac3").field("framed", true),
        Id::EAC3 => of("audio/x-eac3").field("framed", true),
        Id::DTS => of("audio/x-dts").field("framed", true),
        Id::TRUEHD => of("audio/x-true-hd"),
        Id::MLP => of("audio/x-mlp"),
        Id::OPUS => opus(track)?,
        Id::VORBIS => headers(track, "audio/x-vorbis")?,
        Id::FLAC => configured(of("audio/x-flac").field("framed", true)),
        Id::ALAC => configured(of("audio/x-alac")),
        Id::WMAV1 => configured(block(of("audio/x-wma").field("wmaversion", 1))),
        Id::WMAV2 => configured(block(of("audio/x-wma").field("wmaversion", 2))),
        Id::WMAPRO => configured(block(of("audio/x-wma").field("wmaversion", 3))),
        Id::WMALOSSLESS => configured(block(of("audio/x-wma").field("wmaversion", 4))),
        Id::ADPCM_MS => configured(block(of("audio/x-adpcm").field("layout", "microsoft"))),
        Id::ADPCM_IMA_WAV => configured(block(of("audio/x-adpcm").field("layout", "dvi"))),
        Id::ADPCM_IMA_QT => block(of("audio/x-adpcm").field("layout", "quicktime")),
        Id::AMR_NB => of("audio/AMR"),
        Id::AMR_WB => of("audio/AMR-WB"),
        Id::S302M => of("audio/x-smpte-302m"),
        Id::TTA => configured(of("audio/x-tta").field("width", depth(track))),
        Id::PCM_ALAW => of("audio/x-alaw"),
        Id::PCM_MULAW => of("audio/x-mulaw"),
        other => raw(other)?,
    };
    let mut caps = caps.build();
    let fields = caps.make_mut();
    if said.sample_rate() > 0 {
        fields.set("rate", number(said.sample_rate()));
    }
    if track.channels() > 0 {
        fields.set("channels", track.channels());
        if let Some(mask) = track.channel_mask().filter(|_| track.channels() > 1) {
            fields.set("channel-mask", gst::Bitmask::new(mask));
        } else if track.channels() > 2 && fields.structure(0).is_some_and(|caps| caps.name() == "audio/x-raw") {
            fields.set("channel-mask", gst::Bitmask::new(0));
        }
    }
    Some(Form { caps, parser: None })
}

/// Uncompressed sound.
fn raw(codec: Id) -> Option<gst::caps::Builder<gst::caps::NoFeature>> {
    let format = match codec {
        Id::PCM_U8 => "U8",
        Id::PCM_S8 => "S8",
        Id::PCM_S16LE => "S16LE",
        Id::PCM_S16BE => "S16BE",
        Id::PCM_S24LE => "S24LE",
        Id::PCM_S24BE => "S24BE",
        Id::PCM_S32LE => "S32LE",
        Id::PCM_S32BE => "S32BE",
        Id::PCM_F32LE => "F32LE",
        Id::PCM_F32BE => "F32BE",
        Id::PCM_F64LE => "F64LE",
        Id::PCM_F64BE => "F64BE",
        _ => return None,
    };
    Some(gst::Caps::builder("audio/x-raw").field("format", format).field("layout", "interleaved"))
}

/// Opus (RFC 7845, 5.1): how many streams there are and which channel is in which. The samples that are not heard at the
/// beginning are the container's matter.
fn opus(track: &Track) -> Option<gst::caps::Builder<gst::caps::NoFeature>> {
    let caps = gst::Caps::builder("audio/x-opus");
    let header = track.configuration();
    let family = header.get(18).copied().unwrap_or(0);
    if family == 0 {
        return Some(caps.field("channel-mapping-family", 0));
    }
    let channels = usize::from(*header.get(9)?);
    let (streams, coupled) = (i32::from(*header.get(19)?), i32::from(*header.get(20)?));
    let mapping = header.get(21..21 + channels)?.iter().map(|place| i32::from(*place));
    Some(
        caps.field("channel-mapping-family", i32::from(family))
            .field("stream-count", streams)
            .field("coupled-count", coupled)
            .field("channel-mapping", gst::Array::new(mapping)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_both_forms_and_broken_ones_are_none() {
        let laced = [&[2, 3, 2][..], b"abc", b"de", b"f"].concat();
        assert_eq!(split_headers(&laced), Some([&b"abc"[..], b"de", b"f"]));
        let long = [&[2, 255, 1, 0][..], &[7; 256], b"z"].concat();
        assert_eq!(split_headers(&long), Some([&[7; 256][..], b"", b"z"]));
        let sized = [&[0, 1][..], b"a", &[0, 2], b"bc", &[0, 0]].concat();
        assert_eq!(split_headers(&sized), Some([&b"a"[..], b"bc", b""]));
        for broken in [&[][..], &[2], &[2, 255], &[2, 9, 9, 1], &[0, 5, 1], &[0]] {
            assert_eq!(split_headers(broken), None);
        }
    }
}

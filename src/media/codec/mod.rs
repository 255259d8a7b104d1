//! Codecs: a file for each, and the one place that chooses between them.
//!
//! * [`bitstream`]: what has to be known of a video codec
//! * [`h264`], [`h265`], [`av1`], [`aac`]: the codecs, which never import each other
//! * [`start_code`], [`nal`]: what MPEG video has in common
//! * [`configuration`]: what a parser of GStreamer says of a track

pub mod aac;
pub mod av1;
pub mod bitstream;
pub mod configuration;
pub mod h264;
pub mod h265;
pub mod nal;
pub mod start_code;

use actors::domain::job::VideoCodec;

pub use bitstream::Bitstream;
use h264::H264;
use h265::H265;

/// What is known of a codec.
pub fn of(codec: VideoCodec) -> &'static dyn Bitstream {
    match codec {
        VideoCodec::H264 => &H264,
        VideoCodec::H265 => &H265,
        VideoCodec::Av1 => &av1::Av1,
    }
}

/// The codec that GStreamer calls so.
pub fn of_media(media: &str) -> Option<VideoCodec> {
    VideoCodec::all().find(|codec| of(*codec).media() == media)
}

/// The codec of access units of these caps, in GStreamer's text form.
pub fn of_caps(caps: &str) -> Option<VideoCodec> {
    of_media(caps.split([',', '(']).next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::bitstream::ParameterSets;
    use super::*;

    proptest! {
        #[test]
        fn any_bytes_can_be_looked_through(bytes in proptest::collection::vec(0u8..4, 0..200)) {
            for codec in VideoCodec::all().map(of) {
                let mut sample = Vec::new();
                codec.sample(&bytes, true, &mut sample);
                let summary = codec.scan(&bytes);
                prop_assert_eq!(sample.len(), summary.sample_bytes + summary.parameter_bytes);
                sample.clear();
                codec.sample(&bytes, false, &mut sample);
                prop_assert_eq!(sample.len(), summary.sample_bytes);
                codec.in_band(&bytes, &ParameterSets::new());
                codec.tidied(&bytes);
                codec.look(&bytes, &mut Vec::new());
                codec.codecs(&bytes, false);
            }
        }
    }
}

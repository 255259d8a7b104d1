//! Where decoding may begin: what kind of access unit a buffer is. Pure functions over the bytes of one unit in its
//! normal form. The flags of the parsers are not enough: `mpegvideoparse` can call the first I-frame of a track a delta
//! unit. Codecs that are made here too know it themselves ([`crate::media::codec`]).

use actors::domain::job::VideoCodec;

use crate::media::codec;
use crate::media::codec::bitstream::Access;
use crate::media::codec::start_code::{codes, inserted};

/// The codec of a video track, as far as it matters for cutting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// One that is made here too.
    Made(VideoCodec),
    /// MPEG-1 and MPEG-2 video.
    Mpeg2,
    /// MPEG-4 part 2.
    Mpeg4,
    /// VP8, VP9, AV1: pictures come in order, some units hold hidden ones.
    Hidden,
    /// Every frame on its own: ProRes, Motion JPEG, raw video.
    Intra,
    /// Anything else with key frames.
    Other,
}

impl Coding {
    /// The coding behind a caps name and its `mpegversion`.
    pub fn of(name: &str, mpeg_version: Option<i32>) -> Self {
        if let Some(codec) = codec::of_media(name) {
            return Self::Made(codec);
        }
        match (name, mpeg_version) {
            ("video/mpeg", Some(4)) => Self::Mpeg4,
            ("video/mpeg", _) => Self::Mpeg2,
            ("video/x-divx" | "video/x-xvid", _) => Self::Mpeg4,
            ("video/x-vp8" | "video/x-vp9" | "video/x-av1", _) => Self::Hidden,
            (
                "video/x-prores" | "video/x-raw" | "image/jpeg" | "image/png" | "video/x-dnxhd" | "video/x-huffyuv",
                _,
            ) => Self::Intra,
            _ => Self::Other,
        }
    }

    /// Whether some units hold pictures that are not shown.
    pub fn hides_pictures(self) -> bool {
        match self {
            Self::Made(codec) => codec::of(codec).hides_pictures(),
            Self::Hidden => true,
            Self::Mpeg2 | Self::Mpeg4 | Self::Intra | Self::Other => false,
        }
    }
}

/// Classifies a unit. `delta` is the parser's DELTA_UNIT flag, `configured` whether the caps hold what a decoder needs.
pub fn access(coding: Coding, unit: &[u8], delta: bool, configured: bool) -> Access {
    let key = if delta { Access::None } else { Access::Open };
    match coding {
        Coding::Made(codec) => codec::of(codec).access(unit, delta),
        Coding::Mpeg2 if !is_mpeg2_intra(unit).unwrap_or(!delta) => Access::None,
        Coding::Mpeg2 if configured || has_code(unit, 0xb3) => Access::Open,
        Coding::Mpeg2 => Access::Poor,
        Coding::Mpeg4 if !is_mpeg4_intra(unit).unwrap_or(!delta) => Access::None,
        Coding::Mpeg4 => Access::Open,
        Coding::Hidden | Coding::Intra if !delta => Access::Closed,
        Coding::Intra => Access::Closed,
        _ => key,
    }
}

/// Whether a unit that is shown before the random access point in front of it can be decoded without what came before.
/// Asked for the first random access point of a track only, behind which the pictures in question are lost otherwise.
pub fn leading_decodes(coding: Coding, unit: &[u8], first_unit_is_closed: bool) -> bool {
    match coding {
        Coding::Made(codec) => codec::of(codec).leading_decodes(unit),
        Coding::Mpeg2 => first_unit_is_closed,
        _ => true,
    }
}

/// What decoders learn from the first unit of a track and do not find at later random access points.
pub fn carried(coding: Coding, unit: &[u8]) -> Option<Vec<u8>> {
    match coding {
        Coding::Made(codec) => codec::of(codec).carried(unit),
        _ => None,
    }
}

/// A unit of H.264 that tells it too.
pub fn with_carried(unit: &[u8], nal: &[u8]) -> Vec<u8> {
    inserted(unit, nal, |code| (1..=5).contains(&(code & 0x1f)))
}

/// Whether a unit has an MPEG-2 group header with the closed flag.
pub fn has_closed_gop(unit: &[u8]) -> bool {
    codes(unit).find(|(code, _)| *code == 0xb8).is_some_and(|(_, at)| unit.get(at + 4).is_some_and(|b| b & 0x40 != 0))
}

/// Whether the first picture is an I-picture (ISO/IEC 13818-2, 6.2.3: ten bits of order, three of type).
fn is_mpeg2_intra(unit: &[u8]) -> Option<bool> {
    let (_, at) = codes(unit).find(|(code, _)| *code == 0)?;
    Some(unit.get(at + 2)? >> 3 & 7 == 1)
}

/// Whether the first picture is an I-VOP (ISO/IEC 14496-2, 6.2.5: two bits of type).
fn is_mpeg4_intra(unit: &[u8]) -> Option<bool> {
    let (_, at) = codes(unit).find(|(code, _)| *code == 0xb6)?;
    Some(unit.get(at + 1)? >> 6 == 0)
}

fn has_code(unit: &[u8], wanted: u8) -> bool {
    codes(unit).any(|(code, _)| code == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264: Coding = Coding::Made(VideoCodec::H264);
    const H265: Coding = Coding::Made(VideoCodec::H265);

    fn nal(kinds: &[u8]) -> Vec<u8> {
        kinds.iter().flat_map(|kind| [0, 0, 0, 1, *kind, 0x88, 1, 1, 0, 3]).collect()
    }

    #[test]
    fn only_an_idr_of_h264_begins_a_source_though_the_parser_calls_more_units_key_frames() {
        assert_eq!(access(H264, &nal(&[0x67, 0x68, 0x06, 0x65]), false, true), Access::Closed);
        assert_eq!(access(H264, &nal(&[0x67, 0x68, 0x06, 0x61]), false, true), Access::Poor);
        assert_eq!(access(H264, &nal(&[0x41]), true, true), Access::None);
        assert_eq!(access(H264, &[], true, true), Access::None);
    }

    #[test]
    fn the_irap_types_of_h265_begin_a_source_and_only_idr_closes_the_one_before() {
        for kind in 0..32u8 {
            let expected = match kind {
                19 | 20 => Access::Closed,
                16..=18 | 21 => Access::Open,
                _ => Access::None,
            };
            let unit = nal(&[32 << 1, 33 << 1, 34 << 1, 39 << 1, kind << 1]);
            assert_eq!(access(H265, &unit, false, true), expected, "{kind}");
        }
    }

    #[test]
    fn an_mpeg2_picture_needs_a_sequence_header_to_begin_with() {
        let i_picture = [0, 0, 1, 0, 0, 0x0f, 0xff];
        let with_header = [&[0, 0, 1, 0xb3, 9, 9, 0, 0, 1, 0xb8, 0, 8, 0, 0x40][..], &i_picture].concat();
        // The flag is wrong now and then, the picture header is not.
        for delta in [false, true] {
            assert_eq!(access(Coding::Mpeg2, &with_header, delta, false), Access::Open);
            assert_eq!(access(Coding::Mpeg2, &i_picture, delta, false), Access::Poor);
            assert_eq!(access(Coding::Mpeg2, &i_picture, delta, true), Access::Open);
            assert_eq!(access(Coding::Mpeg2, &[0, 0, 1, 0, 0, 0xd7, 0xff], delta, true), Access::None);
        }
        assert!(has_closed_gop(&with_header) && !has_closed_gop(&i_picture));
    }

    #[test]
    fn only_an_i_vop_of_mpeg4_begins_a_source() {
        let vop = |kind: u8| [0, 0, 1, 0xb6, kind << 6 | 0x10, 0x60];
        for (kind, expected) in [(0, Access::Open), (1, Access::None), (2, Access::None)] {
            assert_eq!(access(Coding::Mpeg4, &vop(kind), false, true), expected);
        }
        assert_eq!(access(Coding::Mpeg4, &[], true, true), Access::None);
    }

    #[test]
    fn leading_pictures_of_the_first_access_point_are_kept_only_where_they_decode() {
        assert!(leading_decodes(H265, &nal(&[6 << 1]), false));
        assert!(!leading_decodes(H265, &nal(&[8 << 1]), true));
        assert!(leading_decodes(Coding::Mpeg2, &[], true));
        assert!(!leading_decodes(Coding::Mpeg2, &[], false));
        assert!(!leading_decodes(H264, &nal(&[0x01]), true));
    }
}

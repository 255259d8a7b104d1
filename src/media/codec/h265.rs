//! H.265 (ISO/IEC 23008-2). Chunk sources are cut at IRAP pictures.

use std::fmt::Write as _;

use gstreamer as gst;

use super::bitstream::{Access, Bitstream, Looked, Names, ParameterSets, Summary};
use super::nal::{NalKind, NalSyntax, USER_DATA, caps};
use super::start_code::codes;

/// The codec.
pub struct H265;

const MEDIA: &str = "video/x-h265";

const NAL: NalSyntax = NalSyntax {
    kind,
    nal_type,
    // Video, sequence and picture parameter set.
    needed: &[32, 33, 34],
    // Allows every type of slice.
    delimiter: &[0x46, 0x01, 0x50],
};

const fn nal_type(header: u8) -> u8 {
    header >> 1 & 0x3f
}

/// What a NAL unit (without its start code) is for.
pub fn kind(nal: &[u8]) -> NalKind {
    match nal.first().map(|first| nal_type(*first)) {
        Some(16..=21) => NalKind::KeySlice,
        Some(0..=31) => NalKind::Slice,
        Some(32..=34) => NalKind::Parameters,
        Some(35) => NalKind::Delimiter,
        // A SEI message in front of the slices, behind a header of two bytes.
        Some(39) if nal.get(2) == Some(&USER_DATA) => NalKind::UserData,
        _ => NalKind::Other,
    }
}

fn first_slice(unit: &[u8]) -> Option<u8> {
    codes(unit).map(|(code, _)| nal_type(code)).find(|kind| *kind < 32)
}

impl Bitstream for H265 {
    fn media(&self) -> &'static str {
        MEDIA
    }

    fn parser(&self) -> &'static str {
        "h265parse"
    }

    fn caps(&self) -> gst::Caps {
        caps(MEDIA, "byte-stream")
    }

    fn sample_caps(&self) -> gst::Caps {
        caps(MEDIA, "hvc1")
    }

    fn access(&self, unit: &[u8], _: bool) -> Access {
        match first_slice(unit) {
            // IDR_W_RADL and IDR_N_LP; the others of the IRAP range are CRA and BLA.
            Some(19 | 20) => Access::Closed,
            Some(16..=21) => Access::Open,
            _ => Access::None,
        }
    }

    /// RADL pictures do; RASL ones (8, 9) refer to what is not there.
    fn leading_decodes(&self, unit: &[u8]) -> bool {
        first_slice(unit).is_some_and(|kind| matches!(kind, 6 | 7))
    }

    fn scan(&self, unit: &[u8]) -> Summary {
        NAL.scan(unit)
    }

    fn sample(&self, unit: &[u8], with_parameters: bool, out: &mut Vec<u8>) {
        NAL.sample(unit, with_parameters, out);
    }

    fn in_band(&self, unit: &[u8], parameters: &ParameterSets) -> Option<Vec<u8>> {
        NAL.in_band(unit, parameters)
    }

    fn tidied(&self, unit: &[u8]) -> Vec<u8> {
        NAL.tidied(unit)
    }

    fn look(&self, unit: &[u8], known: &mut Vec<Vec<u8>>) -> Option<Looked> {
        NAL.look(unit, known)
    }

    fn names(&self, in_band: bool) -> Names {
        Names { entry: if in_band { b"hev1" } else { b"hvc1" }, configuration: b"hvcC" }
    }

    /// ISO/IEC 14496-15, E.3: profile space and profile, its compatibility from the last bit to the first, tier and level,
    /// constraints without the zeros at their end.
    fn codecs(&self, configuration: &[u8], in_band: bool) -> Option<String> {
        let &[_, profile, a, b, c, d, ref rest @ ..] = configuration else { return None };
        let (constraints, level) = (rest.get(..6)?, rest.get(6)?);
        let space = ["", "A", "B", "C"][usize::from(profile >> 6)];
        let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
        let compatibility = u32::from_be_bytes([a, b, c, d]).reverse_bits();
        let entry = if in_band { "hev1" } else { "hvc1" };
        let mut codecs = format!("{entry}.{space}{}.{compatibility:X}.{tier}{level}", profile & 0x1f);
        let said = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // Writing to a string cannot fail.
        constraints[..said].iter().for_each(|byte| _ = write!(codecs, ".{byte:X}"));
        Some(codecs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VPS: [u8; 4] = [32 << 1, 1, 0x0c, 0xff];
    const SPS: [u8; 4] = [33 << 1, 1, 0x01, 0x20];
    const PPS: [u8; 4] = [34 << 1, 1, 0xc0, 0x73];
    const IDR: [u8; 5] = [19 << 1, 1, 0xaf, 0, 0x80];

    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect()
    }

    #[test]
    fn random_access_points_are_known_by_their_slices() {
        assert!(H265.scan(&unit(&[&[19 << 1, 1, 5]])).key, "IDR");
        assert!(H265.scan(&unit(&[&[21 << 1, 1, 5]])).key, "CRA");
        assert!(!H265.scan(&unit(&[&[1 << 1, 1, 5]])).key);
    }

    #[test]
    fn parameter_sets_stay_once_and_user_data_goes() {
        let user_data = [39 << 1, 1, 5, 0xff, 0x20, 0x80];
        let timing = [39 << 1, 1, 1, 2, 0x80];
        let doubled = unit(&[&VPS, &SPS, &PPS, &user_data, &VPS, &SPS, &PPS, &user_data, &timing, &IDR]);
        assert_eq!(H265.tidied(&doubled), unit(&[&VPS, &SPS, &PPS, &timing, &IDR]));
        assert_eq!(H265.tidied(&unit(&[&VPS, &SPS, &PPS, &IDR])), unit(&[&VPS, &SPS, &PPS, &IDR]));
    }

    #[test]
    fn short_start_codes_and_zeros_between_units_are_understood() {
        let bytes = [&[0, 0, 1][..], &VPS, &[0, 0, 0, 0, 1], &VPS, &[0, 0, 1], &IDR].concat();
        assert_eq!(H265.tidied(&bytes), unit(&[&VPS, &IDR]));
        assert!(H265.tidied(&[]).is_empty());
    }

    #[test]
    fn slices_are_never_dropped_though_they_are_alike() {
        assert_eq!(H265.tidied(&unit(&[&IDR, &IDR])), unit(&[&IDR, &IDR]));
    }

    #[test]
    fn the_name_for_manifests_is_that_of_iso_14496_15() {
        let record = |profile: u8, compatibility: u32, constraints: [u8; 6], level: u8| {
            [&[1, profile][..], &compatibility.to_be_bytes(), &constraints, &[level, 0xf0]].concat()
        };
        let frames = [0x90, 0, 0, 0, 0, 0];
        let main = record(1, 0x6000_0000, [0xb0, 0, 0, 0, 0, 0], 93);
        assert_eq!(H265.codecs(&main, false).as_deref(), Some("hvc1.1.6.L93.B0"));
        assert_eq!(H265.codecs(&main, true).as_deref(), Some("hev1.1.6.L93.B0"));
        let main_10 = record(2, 0x2000_0000, frames, 153);
        assert_eq!(H265.codecs(&main_10, false).as_deref(), Some("hvc1.2.4.L153.90"));
        let high_tier = record(0x22, 0x2000_0000, [0; 6], 120);
        assert_eq!(H265.codecs(&high_tier, false).as_deref(), Some("hvc1.2.4.H120"));
        let in_space_a = record(0x41, 0x8000_0000, [0x12, 0, 0x34, 0, 0, 0], 60);
        assert_eq!(H265.codecs(&in_space_a, true).as_deref(), Some("hev1.A1.1.L60.12.0.34"));
        assert_eq!(H265.codecs(&main[..12], false), None);
    }
}

//! H.264 (ISO/IEC 14496-10). Chunk sources are cut at IDR pictures only: `h264parse` calls every I-frame a key frame, and
//! decoding from one that is no IDR gives slightly different pictures.

use gstreamer as gst;

use super::bitstream::{Access, Bitstream, Looked, Names, ParameterSets, Summary};
use super::nal::{NalKind, NalSyntax, USER_DATA, caps};
use super::start_code::{codes, nal_units};

/// The codec.
pub struct H264;

const MEDIA: &str = "video/x-h264";

const NAL: NalSyntax = NalSyntax {
    kind,
    nal_type,
    // Sequence and picture parameter set.
    needed: &[7, 8],
    // Allows every type of slice.
    delimiter: &[0x09, 0xf0],
};

const fn nal_type(header: u8) -> u8 {
    header & 0x1f
}

/// What a NAL unit (without its start code) is for.
pub fn kind(nal: &[u8]) -> NalKind {
    match nal.first().map(|first| nal_type(*first)) {
        Some(5) => NalKind::KeySlice,
        Some(1..=4) => NalKind::Slice,
        Some(6) if nal.get(1) == Some(&USER_DATA) => NalKind::UserData,
        Some(7 | 8 | 13 | 15) => NalKind::Parameters,
        Some(9) => NalKind::Delimiter,
        _ => NalKind::Other,
    }
}

impl Bitstream for H264 {
    fn media(&self) -> &'static str {
        MEDIA
    }

    fn parser(&self) -> &'static str {
        "h264parse"
    }

    fn caps(&self) -> gst::Caps {
        caps(MEDIA, "byte-stream")
    }

    fn sample_caps(&self) -> gst::Caps {
        caps(MEDIA, "avc")
    }

    fn access(&self, unit: &[u8], delta: bool) -> Access {
        match codes(unit).map(|(code, _)| nal_type(code)).find(|kind| (1..=5).contains(kind)) {
            Some(5) => Access::Closed,
            _ if delta => Access::None,
            _ => Access::Poor,
        }
    }

    fn leading_decodes(&self, _: &[u8]) -> bool {
        false
    }

    /// How x264 names itself: versions before 0.151 code 4:4:4 in their own way, which libavcodec knows by that.
    fn carried(&self, unit: &[u8]) -> Option<Vec<u8>> {
        const NAME: &[u8] = b"x264 - core";
        let mut named = nal_units(unit).filter(|nal| kind(nal) == NalKind::UserData);
        named.find(|nal| nal.windows(NAME.len()).any(|bytes| bytes == NAME)).map(<[u8]>::to_vec)
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
        Names { entry: if in_band { b"avc3" } else { b"avc1" }, configuration: b"avcC" }
    }

    /// Profile, constraints and level, which are the first bytes of `avcC` behind its version.
    fn codecs(&self, configuration: &[u8], in_band: bool) -> Option<String> {
        let &[_, profile, constraints, level, ..] = configuration else { return None };
        let entry = if in_band { "avc3" } else { "avc1" };
        Some(format!("{entry}.{profile:02x}{constraints:02x}{level:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPS: &[u8] = &[0x67, 1, 2];
    const PPS: &[u8] = &[0x68, 3];
    const IDR: &[u8] = &[0x65, 9, 0, 0, 3, 1];
    const P: &[u8] = &[0x41, 7];
    const AUD: &[u8] = &[0x09, 0xf0];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1][..], nal].concat()).collect()
    }

    #[test]
    fn the_name_of_the_encoder_is_carried_and_other_messages_are_not() {
        let name: &[u8] = b"\x06\x05\x20uuid x264 - core 125 r1 \x80";
        assert_eq!(H264.carried(&stream(&[SPS, PPS, name, IDR])).as_deref(), Some(name));
        assert_eq!(H264.carried(&stream(&[SPS, PPS, b"\x06\x05\x04else\x80", IDR])), None);
    }

    #[test]
    fn random_access_points_are_known_by_their_slices() {
        assert!(H264.scan(&stream(&[SPS, PPS, IDR])).key);
        assert!(!H264.scan(&stream(&[SPS, PPS, P])).key, "an intra picture alone is none");
    }

    #[test]
    fn the_digest_is_that_of_the_slices_alone() {
        let digest = |nals: &[&[u8]]| H264.scan(&stream(nals)).digest;
        assert_eq!(digest(&[AUD, SPS, PPS, IDR]), digest(&[IDR]));
        assert_ne!(digest(&[IDR, P]), digest(&[P, IDR]));
    }

    #[test]
    fn a_sample_of_an_mp4_file_has_lengths_and_no_parameter_sets() {
        let mut sample = Vec::new();
        H264.sample(&stream(&[AUD, SPS, PPS, IDR]), false, &mut sample);
        assert_eq!(sample, [&[0, 0, 0, 6], IDR].concat());
        sample.clear();
        H264.sample(&stream(&[AUD, SPS, IDR]), true, &mut sample);
        assert_eq!(sample, [&[0, 0, 0, 3], SPS, &[0, 0, 0, 6], IDR].concat());
    }

    #[test]
    fn a_transport_stream_gets_what_is_missing_and_nothing_twice() {
        let sets = ParameterSets::from([SPS.to_vec(), PPS.to_vec()]);
        let made = H264.in_band(&stream(&[IDR]), &sets).expect("a new unit");
        assert_eq!(made, stream(&[AUD, SPS, PPS, IDR]));
        assert_eq!(H264.in_band(&made, &sets), None);
        let made = H264.in_band(&stream(&[P]), &sets).expect("a new unit");
        assert_eq!(made, stream(&[AUD, P]));
    }

    #[test]
    fn only_sei_messages_with_user_data_are_what_an_encoder_says_of_itself() {
        assert_eq!(kind(&[0x06, 5, 16]), NalKind::UserData);
        assert_eq!(kind(&[0x06, 1, 16]), NalKind::Other, "timing");
        assert_eq!(kind(&[]), NalKind::Other);
    }

    #[test]
    fn the_name_for_manifests_is_that_of_rfc_6381() {
        let record = |profile, constraints, level| [1, profile, constraints, level, 0xff];
        let codecs = |record: [u8; 5]| H264.codecs(&record, false);
        assert_eq!(codecs(record(100, 0, 40)).as_deref(), Some("avc1.640028"), "high, level 4.0");
        assert_eq!(codecs(record(66, 0xc0, 30)).as_deref(), Some("avc1.42c01e"), "constrained baseline, level 3.0");
        assert_eq!(codecs(record(77, 0x40, 31)).as_deref(), Some("avc1.4d401f"), "main, level 3.1");
        assert_eq!(H264.codecs(&record(100, 0, 31), true).as_deref(), Some("avc3.64001f"));
        assert_eq!(H264.codecs(&[1, 100, 0], false), None);
    }
}

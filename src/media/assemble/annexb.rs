//! H.264 and HEVC access units as byte streams (Annex B of either standard): their NAL units, and the forms that the
//! containers want. Pure functions on bytes; must never look into a slice.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher as _};

use actors::domain::job::VideoCodec;

/// Bytes of the length in front of a NAL unit in an MP4 file.
const LENGTH_BYTES: usize = 4;

/// What a NAL unit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A slice of a random access point: IDR in H.264, IRAP in HEVC.
    KeySlice,
    /// A slice of another picture.
    Slice,
    /// A parameter set.
    Parameters,
    /// Access unit delimiter.
    Delimiter,
    /// Supplemental information, fillers and the like.
    Other,
}

/// What `nal` (without its start code) is for.
pub fn kind(codec: VideoCodec, nal: &[u8]) -> Kind {
    let Some(&first) = nal.first() else { return Kind::Other };
    match codec {
        VideoCodec::H264 => match first & 0x1f {
            5 => Kind::KeySlice,
            1..=4 => Kind::Slice,
            7 | 8 | 13 | 15 => Kind::Parameters,
            9 => Kind::Delimiter,
            _ => Kind::Other,
        },
        VideoCodec::H265 => match (first >> 1) & 0x3f {
            16..=21 => Kind::KeySlice,
            0..=31 => Kind::Slice,
            32..=34 => Kind::Parameters,
            35 => Kind::Delimiter,
            _ => Kind::Other,
        },
    }
}

/// The NAL units of an access unit, without start codes and padding.
pub fn nal_units(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = after_start_code(unit).unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = start_code(rest).unwrap_or(rest.len());
        let nal = &rest[..end];
        rest = after_start_code(&rest[end..]).unwrap_or_default();
        // A NAL unit never ends in a zero: what is there belongs to the next start code, or pads.
        let length = nal.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        Some(&nal[..length])
    })
    .filter(|nal| !nal.is_empty())
}

fn start_code(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    while at < bytes.len() {
        // Slices are nearly random bytes: most steps are three bytes long.
        match bytes[at] {
            1 if bytes[at - 1] == 0 && bytes[at - 2] == 0 => return Some(at - 2),
            0 => at += 1,
            _ => at += 3,
        }
    }
    None
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    start_code(bytes).map(|at| &bytes[at + 3..])
}

/// What has to be known of an access unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Whether it is a random access point.
    pub key: bool,
    /// Of the slices: two units with the same one show the same picture. Good for this process only.
    pub digest: u64,
    /// The parameter sets in it.
    pub parameters: BTreeSet<Vec<u8>>,
    /// Size in bytes of [`length_prefixed`] without parameter sets.
    pub sample_bytes: usize,
    /// What parameter sets add to it.
    pub parameter_bytes: usize,
}

/// Looks through an access unit.
pub fn summary(codec: VideoCodec, unit: &[u8]) -> Summary {
    let mut found = Summary::default();
    let mut slices = DefaultHasher::new();
    for nal in nal_units(unit) {
        let kind = kind(codec, nal);
        match kind {
            Kind::KeySlice | Kind::Slice => {
                found.key |= kind == Kind::KeySlice;
                slices.write_usize(nal.len());
                slices.write(nal);
            }
            Kind::Parameters => {
                found.parameters.insert(nal.to_vec());
                found.parameter_bytes += nal.len() + LENGTH_BYTES;
            }
            Kind::Delimiter | Kind::Other => {}
        }
        if is_kept(kind, false) {
            found.sample_bytes += nal.len() + LENGTH_BYTES;
        }
    }
    found.digest = slices.finish();
    found
}

/// Whether a NAL unit goes into a sample of an MP4 file: delimiters do not, parameter sets only where they are not
/// the same for the whole track.
fn is_kept(kind: Kind, keep_parameters: bool) -> bool {
    match kind {
        Kind::Delimiter => false,
        Kind::Parameters => keep_parameters,
        Kind::KeySlice | Kind::Slice | Kind::Other => true,
    }
}

/// Appends the access unit as a sample of an MP4 file: each NAL unit after its length in four bytes.
pub fn length_prefixed(codec: VideoCodec, unit: &[u8], keep_parameters: bool, out: &mut Vec<u8>) {
    for nal in nal_units(unit).filter(|nal| is_kept(kind(codec, nal), keep_parameters)) {
        // An access unit comes from a GStreamer buffer of a part file; 4 GiB of it cannot be in memory.
        out.extend_from_slice(&u32::try_from(nal.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(nal);
    }
}

/// The access unit as a transport stream wants it: a delimiter in front, and parameter sets at each random access
/// point. `None` where it already is so.
pub fn self_contained(codec: VideoCodec, unit: &[u8], parameters: &BTreeSet<Vec<u8>>) -> Option<Vec<u8>> {
    let has = |wanted| nal_units(unit).any(|nal| kind(codec, nal) == wanted);
    let delimited = nal_units(unit).next().is_some_and(|nal| kind(codec, nal) == Kind::Delimiter);
    let described = !has(Kind::KeySlice) || has(Kind::Parameters);
    if delimited && described {
        return None;
    }
    let mut out = Vec::with_capacity(unit.len() + 128);
    let mut put = |nal: &[u8]| {
        out.extend_from_slice(&[0, 0, 0, 1]);
        out.extend_from_slice(nal);
    };
    put(delimiter(codec));
    if !described {
        parameters.iter().for_each(|nal| put(nal));
    }
    nal_units(unit).filter(|nal| kind(codec, nal) != Kind::Delimiter).for_each(put);
    Some(out)
}

/// An access unit delimiter that allows every type of slice.
fn delimiter(codec: VideoCodec) -> &'static [u8] {
    match codec {
        VideoCodec::H264 => &[0x09, 0xf0],
        VideoCodec::H265 => &[0x46, 0x01, 0x50],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPS: &[u8] = &[0x67, 1, 2];
    const PPS: &[u8] = &[0x68, 3];
    const IDR: &[u8] = &[0x65, 9, 0, 0, 3, 1];
    const P: &[u8] = &[0x41, 7];
    const AUD: &[u8] = &[0x09, 0xf0];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        let codes: [&[u8]; 2] = [&[0, 0, 0, 1], &[0, 0, 1]];
        nals.iter().enumerate().flat_map(|(i, nal)| [codes[i % 2], nal].concat()).collect()
    }

    #[test]
    fn start_codes_of_both_lengths_and_padding_are_no_part_of_a_nal_unit() {
        let bytes = [&stream(&[AUD, SPS, PPS, IDR])[..], &[0, 0, 0]].concat();
        assert_eq!(nal_units(&bytes).collect::<Vec<_>>(), [AUD, SPS, PPS, IDR]);
    }

    #[test]
    fn an_access_unit_without_a_start_code_has_no_nal_unit() {
        assert_eq!(nal_units(&[]).count(), 0);
        assert_eq!(nal_units(&[0, 0]).count(), 0);
        assert_eq!(nal_units(&[1, 2, 3, 4]).count(), 0);
        assert_eq!(nal_units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn random_access_points_are_known_by_their_slices() {
        assert!(summary(VideoCodec::H264, &stream(&[SPS, PPS, IDR])).key);
        assert!(!summary(VideoCodec::H264, &stream(&[SPS, PPS, P])).key, "an intra picture alone is none");
        assert!(summary(VideoCodec::H265, &stream(&[&[19 << 1, 1, 5]])).key, "IDR");
        assert!(summary(VideoCodec::H265, &stream(&[&[21 << 1, 1, 5]])).key, "CRA");
        assert!(!summary(VideoCodec::H265, &stream(&[&[1 << 1, 1, 5]])).key);
    }

    #[test]
    fn the_digest_is_that_of_the_slices_alone() {
        let digest = |nals: &[&[u8]]| summary(VideoCodec::H264, &stream(nals)).digest;
        assert_eq!(digest(&[AUD, SPS, PPS, IDR]), digest(&[IDR]));
        assert_ne!(digest(&[IDR, P]), digest(&[P, IDR]));
    }

    #[test]
    fn a_sample_of_an_mp4_file_has_lengths_and_no_parameter_sets() {
        let mut sample = Vec::new();
        length_prefixed(VideoCodec::H264, &stream(&[AUD, SPS, PPS, IDR]), false, &mut sample);
        assert_eq!(sample, [&[0, 0, 0, 6], IDR].concat());
        sample.clear();
        length_prefixed(VideoCodec::H264, &stream(&[AUD, SPS, IDR]), true, &mut sample);
        assert_eq!(sample, [&[0, 0, 0, 3], SPS, &[0, 0, 0, 6], IDR].concat());
    }

    #[test]
    fn a_transport_stream_gets_what_is_missing_and_nothing_twice() {
        let sets = BTreeSet::from([SPS.to_vec(), PPS.to_vec()]);
        let made = self_contained(VideoCodec::H264, &stream(&[IDR]), &sets).expect("a new unit");
        assert_eq!(nal_units(&made).collect::<Vec<_>>(), [AUD, SPS, PPS, IDR]);
        assert_eq!(self_contained(VideoCodec::H264, &made, &sets), None);
        let made = self_contained(VideoCodec::H264, &stream(&[P]), &sets).expect("a new unit");
        assert_eq!(nal_units(&made).collect::<Vec<_>>(), [AUD, P]);
    }

    proptest! {
        #[test]
        fn nal_units_come_back_from_a_byte_stream(
            nals in proptest::collection::vec(proptest::collection::vec(2u8..=255, 1..40), 0..12),
        ) {
            let slices: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let bytes = stream(&slices);
            prop_assert_eq!(nal_units(&bytes).collect::<Vec<_>>(), slices);
        }

        #[test]
        fn any_bytes_can_be_looked_through(bytes in proptest::collection::vec(0u8..4, 0..200)) {
            for codec in [VideoCodec::H264, VideoCodec::H265] {
                let mut sample = Vec::new();
                length_prefixed(codec, &bytes, true, &mut sample);
                let summary = summary(codec, &bytes);
                prop_assert_eq!(sample.len(), summary.sample_bytes + summary.parameter_bytes);
                sample.clear();
                length_prefixed(codec, &bytes, false, &mut sample);
                prop_assert_eq!(sample.len(), summary.sample_bytes);
                self_contained(codec, &bytes, &BTreeSet::new());
            }
        }
    }
}

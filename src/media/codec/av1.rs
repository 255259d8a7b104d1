//! AV1 (AV1 Bitstream & Decoding Process Specification; in MP4 the AV1 Codec ISO Media File Format Binding). Access units
//! are temporal units of the low-overhead form: one picture that is shown, with those that are hidden in front of it.
//! GStreamer's parser gives no configuration record, and its MP4 muxer (1.26) one with another level, so that it is
//! made here from the sequence header.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher as _;

use gstreamer as gst;

use super::bitstream::{Access, Bitstream, Looked, Names, ParameterSets, Summary};

/// The codec.
pub struct Av1;

const MEDIA: &str = "video/x-av1";
/// Types of OBUs (section 6.2.2).
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const TILE_GROUP: u8 = 4;
const FRAME: u8 = 6;
const PADDING: u8 = 15;

/// An open bitstream unit.
struct Obu<'a> {
    kind: u8,
    /// With its header.
    whole: &'a [u8],
    payload: &'a [u8],
}

/// The units in a temporal unit, until one that says that it is longer than what is left.
fn obus(unit: &[u8]) -> impl Iterator<Item = Obu<'_>> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        let header = *rest.first()?;
        let start = if header & 4 == 0 { 1 } else { 2 };
        let (start, length) = match header & 2 {
            // Without a size it is the last one.
            0 => (start, rest.len().checked_sub(start)?),
            _ => {
                let (size, bytes) = leb128(rest.get(start..)?)?;
                (start + bytes, size)
            }
        };
        let end = start.checked_add(length)?;
        let obu = Obu { kind: header >> 3 & 15, whole: rest.get(..end)?, payload: rest.get(start..end)? };
        rest = &rest[end..];
        Some(obu)
    })
}

/// A number of variable length, and its bytes (section 4.10.5).
fn leb128(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0usize;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= usize::from(byte & 0x7f).checked_shl(7 * u32::try_from(index).ok()?)?;
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Whether a unit is written into files: what stands between units of a stream is not.
const fn is_kept(kind: u8) -> bool {
    !matches!(kind, TEMPORAL_DELIMITER | PADDING)
}

/// Whether a frame header is that of a key frame that is shown (section 5.9.2): it is no repetition, its type is 0.
fn is_shown_key(obu: &Obu) -> bool {
    matches!(obu.kind, FRAME_HEADER | FRAME) && obu.payload.first().is_some_and(|first| first >> 4 == 1)
}

impl Bitstream for Av1 {
    fn media(&self) -> &'static str {
        MEDIA
    }

    fn parser(&self) -> &'static str {
        "av1parse"
    }

    fn caps(&self) -> gst::Caps {
        gst::Caps::builder(MEDIA).field("stream-format", "obu-stream").field("alignment", "tu").build()
    }

    fn sample_caps(&self) -> gst::Caps {
        self.caps()
    }

    fn access(&self, _: &[u8], delta: bool) -> Access {
        if delta { Access::None } else { Access::Closed }
    }

    fn hides_pictures(&self) -> bool {
        true
    }

    fn leading_decodes(&self, _: &[u8]) -> bool {
        true
    }

    /// A sequence header is a parameter set; it stays in the samples of key frames, as MP4 wants it there.
    fn scan(&self, unit: &[u8]) -> Summary {
        let mut found = Summary::default();
        let mut frames = DefaultHasher::new();
        for obu in obus(unit).filter(|obu| is_kept(obu.kind)) {
            found.sample_bytes += obu.whole.len();
            match obu.kind {
                SEQUENCE_HEADER => drop(found.parameters.insert(obu.payload.to_vec())),
                FRAME_HEADER | TILE_GROUP | FRAME => {
                    found.key |= is_shown_key(&obu) && !found.parameters.is_empty();
                    frames.write_usize(obu.payload.len());
                    frames.write(obu.payload);
                }
                _ => {}
            }
        }
        found.digest = frames.finish();
        found
    }

    fn sample(&self, unit: &[u8], _: bool, out: &mut Vec<u8>) {
        obus(unit).filter(|obu| is_kept(obu.kind)).for_each(|obu| out.extend_from_slice(obu.whole));
    }

    /// Transport streams do not hold it.
    fn in_band(&self, _: &[u8], _: &ParameterSets) -> Option<Vec<u8>> {
        None
    }

    fn tidied(&self, unit: &[u8]) -> Vec<u8> {
        unit.to_vec()
    }

    fn look(&self, unit: &[u8], known: &mut Vec<Vec<u8>>) -> Option<Looked> {
        let Summary { key, parameters, .. } = self.scan(unit);
        known.extend(parameters.into_iter().take(usize::from(known.is_empty())));
        (!key || !known.is_empty()).then_some(Looked { key, instead: None })
    }

    fn configuration(&self, unit: &[u8], _: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let header = obus(unit).find(|obu| obu.kind == SEQUENCE_HEADER)?;
        let mut record = SequenceHeader::read(header.payload)?.record().to_vec();
        record.extend_from_slice(header.whole);
        Some(record)
    }

    fn names(&self, _: bool) -> Names {
        Names { entry: b"av01", configuration: b"av1C" }
    }

    /// Profile, level with tier, and depth.
    fn codecs(&self, configuration: &[u8], _: bool) -> Option<String> {
        let &[_, profile_level, flags, ..] = configuration else { return None };
        let (profile, level) = (profile_level >> 5, profile_level & 0x1f);
        let tier = if flags & 0x80 == 0 { 'M' } else { 'H' };
        let depth = match flags >> 5 & 3 {
            0 => 8,
            2 => 10,
            _ => 12,
        };
        Some(format!("av01.{profile}.{level:02}{tier}.{depth:02}"))
    }
}

/// What a configuration record says of a sequence header.
#[derive(Debug, PartialEq, Eq)]
struct SequenceHeader {
    profile: u8,
    level: u8,
    tier: u8,
    /// From the highest bit on: more than 8 bits, 12 bits, one colour, chroma halved across and down.
    depth_and_chroma: u8,
    chroma_place: u8,
}

impl SequenceHeader {
    /// Reads section 5.5.1 as far as the colours.
    fn read(payload: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes: payload, at: 0 };
        let profile = bits.byte(3)?;
        bits.skip(1); // still picture
        let reduced = bits.flag()?;
        let (level, tier) = if reduced { (bits.byte(5)?, 0) } else { operating_points(&mut bits)? };
        let (width, height) = (bits.number(4)? + 1, bits.number(4)? + 1);
        bits.skip(width + height);
        if !reduced && bits.flag()? {
            bits.skip(7); // lengths of frame numbers
        }
        bits.skip(3); // superblocks, intra filters
        if !reduced {
            tools(&mut bits)?;
        }
        bits.skip(3); // superresolution, CDEF, restoration
        let (depth_and_chroma, chroma_place) = colours(&mut bits, profile)?;
        Some(Self { profile, level, tier, depth_and_chroma, chroma_place })
    }

    /// The first bytes of `av1C`; units follow.
    const fn record(&self) -> [u8; 4] {
        // Marker and version.
        let flags = self.tier << 7 | self.depth_and_chroma << 2 | self.chroma_place;
        [0x81, self.profile << 5 | self.level, flags, 0]
    }
}

/// Level and tier of the first operating point, and everything before and behind it.
fn operating_points(bits: &mut Bits) -> Option<(u8, u8)> {
    let mut delay_length = None;
    if bits.flag()? {
        bits.skip(64); // units of time
        if bits.flag()? {
            let mut zeros = 0;
            while !bits.flag()? {
                zeros += 1;
            }
            bits.skip(zeros); // ticks of a picture
        }
        if bits.flag()? {
            delay_length = Some(bits.number(5)? + 1);
            bits.skip(42); // lengths and ticks of the decoder model
        }
    }
    let has_delays = bits.flag()?;
    let mut first = None;
    for _ in 0..=bits.number(5)? {
        bits.skip(12); // layers
        let level = bits.byte(5)?;
        let tier = if level > 7 { bits.byte(1)? } else { 0 };
        if let Some(length) = delay_length
            && bits.flag()?
        {
            bits.skip(2 * length + 1);
        }
        if has_delays && bits.flag()? {
            bits.skip(4);
        }
        first.get_or_insert((level, tier));
    }
    first
}

/// Between the filters and the size of superresolution: tools that a stream may use.
fn tools(bits: &mut Bits) -> Option<()> {
    bits.skip(4); // compound prediction, warps, filters
    let has_order = bits.flag()?;
    if has_order {
        bits.skip(2); // distances, motion vectors of references
    }
    let screen_content = bits.flag()? || bits.flag()?;
    if screen_content && !bits.flag()? {
        bits.skip(1); // whether vectors are whole numbers
    }
    if has_order {
        bits.skip(3); // length of an order hint
    }
    Some(())
}

/// Section 5.5.2.
fn colours(bits: &mut Bits, profile: u8) -> Option<(u8, u8)> {
    /// Primaries, transfer and matrix of sRGB, which has no chroma to halve.
    const SRGB: [u8; 3] = [1, 13, 0];
    let high = bits.flag()?;
    let twelve = profile == 2 && high && bits.flag()?;
    let mono = profile != 1 && bits.flag()?;
    let described = if bits.flag()? { Some([bits.byte(8)?, bits.byte(8)?, bits.byte(8)?]) } else { None };
    let (mut across, mut down, mut place) = (true, true, 0);
    if mono {
        bits.skip(1);
    } else if described == Some(SRGB) {
        (across, down) = (false, false);
    } else {
        bits.skip(1); // range
        (across, down) = match profile {
            0 => (true, true),
            1 => (false, false),
            _ if twelve => {
                let across = bits.flag()?;
                (across, across && bits.flag()?)
            }
            _ => (true, false),
        };
        place = if across && down { bits.byte(2)? } else { 0 };
    }
    let flags = [high, twelve, mono, across, down];
    Some((flags.iter().fold(0, |bits, flag| bits << 1 | u8::from(*flag)), place))
}

/// Reads bits, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let bit = self.bytes.get(self.at / 8)? >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// At most 16 bits.
    fn number(&mut self, bits: u8) -> Option<usize> {
        (0..bits).try_fold(0, |number, _| Some(number << 1 | usize::from(self.flag()?)))
    }

    /// At most 8 bits.
    fn byte(&mut self, bits: u8) -> Option<u8> {
        u8::try_from(self.number(bits)?).ok()
    }

    fn skip(&mut self, bits: usize) {
        self.at = self.at.saturating_add(bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first temporal unit of SVT-AV1 2.3: 320x180, 8 bits, BT.601 (`av1parse` calls it level 2.0, main).
    const HEADER: &[u8] = &[0x0a, 0x0e, 0, 0, 0, 0x04, 0x3c, 0xfe, 0xcc, 0x6a, 0xf9, 0x90, 0x60, 0x60, 0x60, 0x40];
    const DELIMITER: &[u8] = &[0x12, 0];
    const KEY: &[u8] = &[0x32, 3, 0x10, 7, 7];
    const INTER: &[u8] = &[0x32, 2, 0x30, 9];

    #[test]
    fn a_key_frame_is_shown_and_has_a_sequence_header() {
        let scan = |units: &[&[u8]]| Av1.scan(&units.concat());
        assert!(scan(&[DELIMITER, HEADER, KEY]).key);
        assert!(!scan(&[DELIMITER, KEY]).key, "nobody could begin there");
        assert!(!scan(&[DELIMITER, HEADER, INTER]).key);
        assert!(!scan(&[DELIMITER, HEADER, &[0x32, 1, 0]]).key, "a hidden one");
        assert!(!scan(&[DELIMITER, HEADER, &[0x1a, 1, 0x90]]).key, "an old picture that is shown again");
    }

    #[test]
    fn a_sample_has_everything_but_what_stands_between_units() {
        let unit = [DELIMITER, HEADER, KEY, &[0x7a, 1, 0x80]].concat();
        let mut sample = Vec::new();
        Av1.sample(&unit, false, &mut sample);
        assert_eq!(sample, [HEADER, KEY].concat());
        let digest = |units: &[&[u8]]| Av1.scan(&units.concat()).digest;
        assert_eq!(digest(&[DELIMITER, HEADER, KEY]), digest(&[KEY]));
        assert_ne!(digest(&[KEY, INTER]), digest(&[INTER, KEY]));
    }

    #[test]
    fn a_unit_that_is_longer_than_what_is_left_ends_the_search_and_the_last_one_needs_no_size() {
        assert_eq!(obus(&[0x32, 5, 0x10]).count(), 0);
        let last: Vec<_> = obus(&[0x12, 0, 0x30, 0x10, 7]).map(|obu| obu.payload.to_vec()).collect();
        assert_eq!(last, [vec![], vec![0x10, 7]]);
        assert_eq!(leb128(&[0xe5, 0x8e, 0x26]), Some((624_485, 3)), "the example of the format");
    }

    #[test]
    fn the_configuration_says_profile_level_depth_and_chroma_and_holds_the_sequence_header() {
        let record = Av1.configuration(&[DELIMITER, HEADER, KEY].concat(), None).expect("a record");
        assert_eq!(record, [&[0x81, 0, 0x0c, 0][..], HEADER].concat());
        assert_eq!(Av1.codecs(&record, false).as_deref(), Some("av01.0.00M.08"));
        assert_eq!(Av1.configuration(KEY, None), None);
    }

    #[test]
    fn the_name_for_manifests_is_that_of_the_binding() {
        assert_eq!(Av1.codecs(&[0x81, 0x08, 0x4c, 0], false).as_deref(), Some("av01.0.08M.10"), "4.0, ten bits");
        assert_eq!(Av1.codecs(&[0x81, 0x0d, 0x8c, 0], false).as_deref(), Some("av01.0.13H.08"), "5.1, high tier");
        assert_eq!(Av1.codecs(&[0x81, 0], false), None);
    }
}

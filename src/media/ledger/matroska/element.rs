//! Headers of elements (RFC 8794, 4 to 6).

use std::io;

use super::super::reader::{Reader, big};

/// Identifiers (RFC 9559, 5).
pub(super) mod id {
    pub const EBML: u32 = 0x1a45_dfa3;
    pub const SEGMENT: u32 = 0x1853_8067;
    pub const INFO: u32 = 0x1549_a966;
    pub const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub const DURATION: u32 = 0x4489;
    pub const TRACKS: u32 = 0x1654_ae6b;
    pub const TRACK_ENTRY: u32 = 0xae;
    pub const TRACK_NUMBER: u32 = 0xd7;
    pub const TRACK_TYPE: u32 = 0x83;
    pub const DEFAULT_DURATION: u32 = 0x23_e383;
    pub const CODEC_DELAY: u32 = 0x56aa;
    pub const CONTENT_ENCODINGS: u32 = 0x6d80;
    pub const CONTENT_ENCODING: u32 = 0x6240;
    pub const CONTENT_ENCODING_SCOPE: u32 = 0x5032;
    pub const CONTENT_COMPRESSION: u32 = 0x5034;
    pub const CONTENT_COMP_ALGO: u32 = 0x4254;
    pub const CONTENT_COMP_SETTINGS: u32 = 0x4255;
    pub const CLUSTER: u32 = 0x1f43_b675;
    pub const TIMESTAMP: u32 = 0xe7;
    pub const SIMPLE_BLOCK: u32 = 0xa3;
    pub const BLOCK_GROUP: u32 = 0xa0;
    pub const BLOCK: u32 = 0xa1;
    pub const BLOCK_DURATION: u32 = 0x9b;

    /// Children of a cluster: those above, `Position`, `PrevSize`, `SilentTracks`, `EncryptedBlock`, and what may be in any
    /// element: `Void` and `CRC-32`.
    pub const OF_CLUSTER: [u32; 9] = [TIMESTAMP, SIMPLE_BLOCK, BLOCK_GROUP, 0xa7, 0xab, 0x5854, 0xaf, 0xec, 0xbf];
    /// What is around clusters or beside them: those above, `SeekHead`, `Cues`, `Attachments`, `Chapters`, `Tags`.
    pub const BESIDE_CLUSTER: [u32; 10] =
        [EBML, SEGMENT, INFO, TRACKS, CLUSTER, 0x114d_9b74, 0x1c53_bb6b, 0x1941_a469, 0x1043_a770, 0x1254_c367];
}

/// Where an element is.
#[derive(Clone, Copy)]
pub(super) struct Element {
    pub id: u32,
    /// First byte of its content.
    pub body: u64,
    /// The byte behind it; `None` where its size is unknown.
    pub end: Option<u64>,
}

/// Goes through the elements in an element, in their order.
pub(super) struct Children {
    at: u64,
    end: u64,
}

impl Element {
    /// The header at the position of the reader, which then stands behind it; `None` where there is none.
    pub fn read(reader: &mut Reader<'_>) -> io::Result<Option<Self>> {
        let [first] = reader.array()?;
        let width = first.leading_zeros();
        let mut id = u32::from(first);
        if width > 3 {
            return Ok(None);
        }
        for _ in 0..width {
            let [byte] = reader.array()?;
            id = id << 8 | u32::from(byte);
        }
        let Some((size, bits)) = varint(reader)? else { return Ok(None) };
        let body = reader.at();
        let end = (size != (1 << bits) - 1).then(|| body.saturating_add(size));
        Ok(Some(Self { id, body, end }))
    }

    /// Whether it is one that lies around, beside or in a cluster.
    pub fn is_known(&self) -> bool {
        self.is_of_cluster() || id::BESIDE_CLUSTER.contains(&self.id)
    }

    pub fn is_of_cluster(&self) -> bool {
        id::OF_CLUSTER.contains(&self.id)
    }
}

impl Children {
    pub fn of(outer: &Element) -> Self {
        Self { at: outer.body, end: outer.end.unwrap_or(outer.body) }
    }

    /// The next one, until something is none; the reader then stands at its content.
    pub fn next(&mut self, reader: &mut Reader<'_>) -> io::Result<Option<Element>> {
        if self.at >= self.end {
            return Ok(None);
        }
        reader.seek(self.at);
        let found = Element::read(reader)?.filter(|found| found.end.is_some_and(|end| end <= self.end));
        self.at = found.and_then(|found| found.end).unwrap_or(self.end);
        Ok(found)
    }
}

/// A number of variable length and the bits that it has; `None` where there is none.
pub(super) fn varint(reader: &mut Reader<'_>) -> io::Result<Option<(u64, u32)>> {
    let [first] = reader.array()?;
    let width = first.leading_zeros();
    if width > 7 {
        return Ok(None);
    }
    let mut value = u64::from(first) & (0x7f >> width);
    for _ in 0..width {
        let [byte] = reader.array()?;
        value = value << 8 | u64::from(byte);
    }
    Ok(Some((value, 7 * (width + 1))))
}

/// The unsigned integer that an element holds; 0 where it is too long for one.
pub(super) fn number(reader: &mut Reader<'_>, of: &Element) -> io::Result<u64> {
    let mut bytes = [0; 8];
    let size = of.end.unwrap_or(of.body).saturating_sub(of.body);
    let Some(bytes) = usize::try_from(size).ok().and_then(|size| bytes.get_mut(..size)) else { return Ok(0) };
    reader.read(bytes)?;
    Ok(big(bytes))
}

/// The floating-point number that an element holds.
pub(super) fn real(reader: &mut Reader<'_>, of: &Element) -> io::Result<Option<f64>> {
    let bits = number(reader, of)?;
    let value = match of.end.unwrap_or(of.body).saturating_sub(of.body) {
        4 => f64::from(f32::from_bits(u32::try_from(bits).unwrap_or(0))),
        8 => f64::from_bits(bits),
        _ => return Ok(None),
    };
    Ok(Some(value).filter(|value| value.is_finite()))
}

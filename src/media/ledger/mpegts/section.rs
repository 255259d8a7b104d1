//! The program association and map tables (ISO/IEC 13818-1, 2.4.4).

use super::super::Kind;
use super::packet::Packet;

/// Header and the largest `section_length` of any table.
const MAX_SECTION_BYTES: usize = 3 + 4093;
/// Fields of a map in front of its descriptors, and of a stream in front of its own.
const MAP_BYTES: usize = 12;
const STREAM_BYTES: usize = 5;
const CHECKSUM_BYTES: usize = 4;

/// Puts sections together, which begin and end anywhere in packets.
#[derive(Default)]
pub(super) struct Assembler {
    section: Vec<u8>,
    // Whether what comes next belongs to it.
    is_open: bool,
}

impl Assembler {
    /// Hands over each section that is complete with this packet and whose checksum is right.
    pub fn push(&mut self, packet: &Packet<'_>, mut complete: impl FnMut(&[u8])) {
        let Some(payload) = packet.payload else { return };
        let (before, from) = match (packet.begins, payload) {
            (false, _) => (payload, None),
            (true, [pointer, rest @ ..]) if usize::from(*pointer) <= rest.len() => {
                let (before, from) = rest.split_at(usize::from(*pointer));
                (before, Some(from))
            }
            (true, _) => (&[][..], None),
        };
        if self.is_open {
            self.section.extend_from_slice(before);
            self.hand_over(&mut complete);
        }
        if let Some(from) = from {
            self.section.clear();
            self.section.extend_from_slice(from);
            self.is_open = true;
            self.hand_over(&mut complete);
        }
    }

    fn hand_over(&mut self, complete: &mut impl FnMut(&[u8])) {
        while let [table, high, low, ..] = self.section[..] {
            let length = 3 + (usize::from(high & 0x0f) << 8 | usize::from(low));
            // Stuffing follows the last one.
            if table == 0xff || length > MAX_SECTION_BYTES {
                self.section.clear();
                self.is_open = false;
            } else if let Some(section) = self.section.get(..length) {
                if checksum(section) == 0 {
                    complete(section);
                }
                self.section.drain(..length);
            } else {
                return;
            }
        }
    }
}

/// CRC-32/MPEG-2 (annex A); 0 over a section and its checksum.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte) << 24, |sum, _| sum << 1 ^ if sum >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

/// Packet identifier of the map of the first program (2.4.4.4).
pub(super) fn first_program(section: &[u8]) -> Option<u16> {
    let programs = valid(section, 0x00)?.get(8..)?;
    // Program 0 is the network.
    let first = programs.chunks_exact(4).find(|program| program[..2] != [0, 0])?;
    Some(pid(&first[2..]))
}

/// Packet identifiers and kinds of the streams of a program (2.4.4.9).
pub(super) fn streams(section: &[u8]) -> Vec<(u16, Kind)> {
    let mut found = Vec::new();
    let map = valid(section, 0x02).filter(|map| map.len() >= MAP_BYTES);
    let Some((header, rest)) = map.and_then(|map| map.split_at_checked(MAP_BYTES)) else { return found };
    let Some((program, mut rest)) = rest.split_at_checked(length(&header[10..])) else { return found };
    while let Some((fields, behind)) = rest.split_at_checked(STREAM_BYTES) {
        let Some((own, next)) = behind.split_at_checked(length(&fields[3..])) else { break };
        found.push((pid(&fields[1..]), kind(fields[0], own, program)));
        rest = next;
    }
    found
}

/// A section of a table without its checksum, where it is one that applies now.
fn valid(section: &[u8], table: u8) -> Option<&[u8]> {
    let content = &section[..section.len().checked_sub(CHECKSUM_BYTES)?];
    (*content.first()? == table && content.get(5)? & 1 == 1).then_some(content)
}

fn pid(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0] & 0x1f, bytes[1]])
}

fn length(bytes: &[u8]) -> usize {
    usize::from(bytes[0] & 0x0f) << 8 | usize::from(bytes[1])
}

/// What a stream is, by its type (2.4.4.10, and what ATSC, SCTE and Blu-ray add) and the descriptors that are its own and
/// those of its program.
fn kind(stream_type: u8, own: &[u8], program: &[u8]) -> Kind {
    match stream_type {
        // MPEG-1, -2 and -4, H.264 with its further views, JPEG 2000, HEVC, VVC, AVS, Dirac, VC-1.
        0x01 | 0x02 | 0x10 | 0x1b | 0x20 | 0x21 | 0x24 | 0x33 | 0x42 | 0xd1 | 0xea => Kind::Video,
        // MPEG-1 and -2, AAC in ADTS, LATM and raw.
        0x03 | 0x04 | 0x0f | 0x11 | 0x1c => Kind::Audio,
        0x06 => private(own),
        // SCTE has messages about advertisements there.
        0x80..=0x8a if ![own, program].iter().any(|all| registered(all, b"CUEI")) => Kind::Audio,
        _ => Kind::Other,
    }
}

/// What private data is: by descriptors of DVB (ETSI EN 300 468, 6.2 and annex D) and registrations.
fn private(own: &[u8]) -> Kind {
    let mut all = descriptors(own);
    let sound = |(tag, content): (u8, &[u8])| match tag {
        // AC-3, E-AC-3, DTS, AAC.
        0x6a | 0x7a | 0x7b | 0x7c => true,
        // Extended: Opus, DTS-HD, DTS-UHD, AC-4.
        0x7f => matches!(content.first(), Some(0x80 | 0x0e | 0x21 | 0x15)),
        0x05 => [&b"AC-3"[..], b"AC-4", b"EAC3", b"Opus", b"DTS1", b"DTS2", b"DTS3", b"BSSD"].contains(&content),
        _ => false,
    };
    let coded = [b"HEVC", b"AV01", b"VVC "].iter().any(|name| registered(own, name));
    match (coded, all.any(sound)) {
        (true, _) => Kind::Video,
        (false, true) => Kind::Audio,
        (false, false) => Kind::Other,
    }
}

fn registered(all: &[u8], name: &[u8; 4]) -> bool {
    descriptors(all).any(|(tag, content)| tag == 0x05 && content.starts_with(name))
}

/// Tags and contents.
fn descriptors(mut all: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let [tag, length, rest @ ..] = all else { return None };
        let (content, next) = rest.split_at_checked(usize::from(*length))?;
        all = next;
        Some((*tag, content))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_streams_are_what_their_descriptors_say() {
        for (stream_type, own, expected) in [
            (0x06, &b"\x6a\x01\x00"[..], Kind::Audio),
            (0x06, b"\x0a\x04deu\x00\x7b\x01\x00", Kind::Audio),
            (0x06, b"\x05\x04Opus\x7f\x02\x80\x02", Kind::Audio),
            (0x06, b"\x05\x04HEVC", Kind::Video),
            (0x06, b"\x59\x08deu\x10\x00\x01\x00\x01", Kind::Other),
            (0x06, b"", Kind::Other),
            (0x06, b"\x6a\xff", Kind::Other),
            (0x1b, b"", Kind::Video),
            (0x81, b"", Kind::Audio),
            (0x86, b"\x05\x04CUEI", Kind::Other),
            (0x05, b"", Kind::Other),
        ] {
            assert_eq!(kind(stream_type, own, b""), expected, "{stream_type:#x} {own:?}");
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(checksum(b"123456789"), 0x0376_e6e7);
    }
}

//! Where the channels of a QuickTime file's uncompressed sound stand.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use super::header::{Header, children};
use super::patch::Patch;

/// The most of a track's sample entries that is looked at.
const MAX_ENTRIES: u64 = 64 * 1024;
/// The tag of a layout whose channels stand in the bits that follow it.
const BY_BITS: u32 = 1 << 16;
/// Tags of Core Audio for 5.1 and 6.1 (MPEG 5.1 A, MPEG 6.1 A), with the bits for the same channels in the same order.
const SWAPPED: [(u32, u32); 2] = [(121 << 16 | 6, 0x3f), (125 << 16 | 7, 0x13f)];

/// The patch that says with bits what the tag of a layout says, where `qtdemux` (1.26) has centre and LFE of it in each
/// other's place.
pub fn patch(file: &mut File, track: Header) -> io::Result<Option<Patch>> {
    let mut found = Some(track);
    for kind in [b"mdia", b"minf", b"stbl", b"stsd"] {
        let Some(outer) = found.take() else { break };
        found = children(file, outer.body, outer.end)?.into_iter().find(|child| &child.kind == kind);
    }
    let Some(entries) = found else { return Ok(None) };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(entries.body))?;
    file.take(entries.end.saturating_sub(entries.body).min(MAX_ENTRIES)).read_to_end(&mut bytes)?;
    Ok(bits(&bytes).map(|(at, bytes)| Patch { offset: entries.body + at as u64, bytes }))
}

/// Where a tag stands in sample entries, and what is to stand there.
fn bits(entries: &[u8]) -> Option<(usize, Vec<u8>)> {
    SWAPPED.iter().find_map(|(tag, bits)| {
        // The name of the box, its version, the tag.
        let wanted = [&b"chan\0\0\0\0"[..], &tag.to_be_bytes()].concat();
        let at = entries.windows(wanted.len()).position(|window| window == wanted)?;
        Some((at + 8, [BY_BITS.to_be_bytes(), bits.to_be_bytes()].concat()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tags_that_are_mistaken_become_bits() {
        let entry = |tag: u32| [&b"lpcm0000chan\0\0\0\0"[..], &tag.to_be_bytes(), &[0; 8]].concat();
        assert_eq!(bits(&entry(0x0079_0006)), Some((16, vec![0, 1, 0, 0, 0, 0, 0, 0x3f])));
        assert_eq!(bits(&entry(0x007d_0007)), Some((16, vec![0, 1, 0, 0, 0, 0, 1, 0x3f])));
        for tag in [0x0065_0002, 0x007a_0006, 0x0001_0000] {
            assert_eq!(bits(&entry(tag)), None);
        }
        assert_eq!(bits(&entry(0x0079_0006)[..15]), None);
    }
}

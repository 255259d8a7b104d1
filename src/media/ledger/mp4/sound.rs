//! How many bytes samples of uncompressed sound have. Their table of sizes cannot be believed: QuickTime has 1 in it, or
//! the bytes of a sample of one channel. Their description can: Apple, QuickTime File Format, "Sound Sample Descriptions".

use std::io;

use super::super::reader::{Reader, big, to_end};

/// Bytes of a description that are looked at: the longest version of it.
const DESCRIPTION_BYTES: usize = 72;

/// Bytes and the PCM samples (of all channels) that they hold, by the first description in `stsd`; `None` where it does not
/// say it.
pub(super) fn sample_bytes(mut content: Reader<'_>) -> io::Result<Option<(u64, u64)>> {
    // Version, flags and how many there are.
    content.array::<8>()?;
    let mut description = [0; DESCRIPTION_BYTES];
    let mut held = 0;
    to_end((|| {
        while held < description.len() {
            content.read(&mut description[held..held + 1])?;
            held += 1;
        }
        Ok(())
    })())?;
    Ok(of_description(&description).filter(|(bytes, samples)| *bytes > 0 && *samples > 0))
}

fn of_description(description: &[u8; DESCRIPTION_BYTES]) -> Option<(u64, u64)> {
    let field = |at: usize, width: usize| big(&description[at..at + width]);
    match field(16, 2) {
        // Bytes per frame (a packet of each channel), samples per packet.
        1 if field(36, 4) > 0 && field(44, 4) > 0 => Some((field(44, 4), field(36, 4))),
        // Bytes per packet (of all channels), samples per packet.
        2 => Some((field(64, 4), field(68, 4))),
        0 | 1 => of_name(&description[4..8], field(24, 2), field(26, 2)),
        _ => None,
    }
}

/// The same by the name of the format, for the oldest version.
fn of_name(name: &[u8], channels: u64, bits: u64) -> Option<(u64, u64)> {
    let (bytes, samples) = match name {
        b"twos" | b"sowt" | b"raw " | b"NONE" | b"lpcm" => (bits.div_ceil(8), 1),
        b"ulaw" | b"alaw" => (1, 1),
        b"in24" => (3, 1),
        b"in32" | b"fl32" => (4, 1),
        b"fl64" => (8, 1),
        b"ima4" => (34, 64),
        b"MAC3" => (2, 6),
        b"MAC6" => (1, 6),
        _ => return None,
    };
    Some((bytes * channels, samples))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(name: &[u8; 4], version: u8, channels: u8, bits: u8, rest: &[u32]) -> [u8; DESCRIPTION_BYTES] {
        let mut bytes = [0; DESCRIPTION_BYTES];
        bytes[4..8].copy_from_slice(name);
        (bytes[17], bytes[25], bytes[27]) = (version, channels, bits);
        for (field, number) in bytes[36..].chunks_exact_mut(4).zip(rest) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn each_version_of_a_description_says_the_bytes_of_a_sample() {
        for (description, bytes) in [
            (description(b"sowt", 0, 2, 16, &[]), Some((4, 1))),
            (description(b"raw ", 0, 1, 8, &[]), Some((1, 1))),
            (description(b"in24", 0, 6, 16, &[]), Some((18, 1))),
            (description(b"ima4", 0, 2, 16, &[]), Some((68, 64))),
            (description(b"in24", 1, 2, 16, &[1, 3, 6, 2]), Some((6, 1))),
            (description(b"ima4", 1, 2, 16, &[64, 34, 68, 2]), Some((68, 64))),
            // 48 kHz as a double, channels, a mark, bits, flags.
            (description(b"lpcm", 2, 3, 16, &[72, 0x40e7_7000, 0, 6, 0x7f00_0000, 24, 12, 18, 1]), Some((18, 1))),
            (description(b"mp4a", 0, 2, 16, &[]), None),
        ] {
            assert_eq!(of_description(&description), bytes);
        }
    }
}

//! `avenc_aac`, the encoder of AAC: that of libavcodec.

use super::said::{find, text};

/// The element.
pub const ELEMENT: &str = actors::domain::plan::AAC_ENCODER;
/// Samples that it puts in front of the sound: one packet, which a decoder needs to get going.
pub const PRIMING_SAMPLES: u32 = 1024;

/// The version of libavcodec, as `Lavc61.19.101`: in a fill element of the first block, which need not begin with a byte.
pub fn version(made: &[u8]) -> Option<String> {
    (0..8).find_map(|shift| {
        let shifted: Vec<u8> =
            made.windows(2).map(|two| (u16::from_be_bytes([two[0], two[1]]) >> (8 - shift)) as u8).collect();
        let at = find(&shifted, b"Lavc")?;
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'.';
        text(&shifted[at..].iter().take_while(is_part).copied().collect::<Vec<_>>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_found_wherever_it_begins() {
        let block = b"\xde\x04\x00Lavc61.19.101\x00\x42\x20";
        for shift in 0..8u32 {
            let bits: Vec<u8> = block.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
            let moved: Vec<u8> = std::iter::repeat_n(1, shift as usize).chain(bits).collect();
            let bytes: Vec<u8> = moved.chunks(8).map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect();
            assert_eq!(version(&bytes).as_deref(), Some("Lavc61.19.101"), "{shift} bits later");
        }
        assert_eq!(version(b"L"), None);
    }
}

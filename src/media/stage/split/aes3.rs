//! Uncompressed sound in MPEG-TS: what its packets say of themselves (SMPTE 302M).

use gstreamer as gst;

/// Samples per second, the only rate that it has.
pub const AES3_RATE: u32 = 48_000;

/// How long a packet lasts whose container does not say it: that of SMPTE 302M.
pub fn length_ns(bytes: &[u8], caps: &gst::Caps) -> Option<u64> {
    let block = Aes3::of(bytes, caps)?;
    Some(block.samples as u64 * 1_000_000_000 / u64::from(AES3_RATE))
}

/// What a packet of uncompressed sound in MPEG-TS says of itself (SMPTE 302M, 5.3).
#[derive(Debug, PartialEq, Eq)]
pub struct Aes3 {
    /// Channels.
    pub channels: u32,
    /// Samples of each.
    pub samples: usize,
}

impl Aes3 {
    /// That of a packet of these caps, where they are such.
    pub fn of(packet: &[u8], caps: &gst::Caps) -> Option<Self> {
        let is_aes3 = caps.structure(0)?.name() == "audio/x-smpte-302m";
        packet.first_chunk::<4>().filter(|_| is_aes3).map(|header| Self::read(*header))
    }

    /// Bytes of the packet in 16 bits, pairs of channels in 2, a number in 8, and bits of a sample in 2; each sample has
    /// four bits more.
    fn read(header: [u8; 4]) -> Self {
        let bytes = usize::from(header[0]) << 8 | usize::from(header[1]);
        let channels = 2 * (usize::from(header[2] >> 6) + 1);
        let bits = 16 + 4 * usize::from(header[3] >> 4 & 3);
        Self { channels: channels as u32, samples: bytes * 8 / (channels * (bits + 4)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_smpte_302m_says_its_channels_and_its_length() {
        // 1024 samples: six channels of 24 bits, two of 16.
        assert_eq!(Aes3::read([0x54, 0x00, 0x80, 0x20]), Aes3 { channels: 6, samples: 1024 });
        assert_eq!(Aes3::read([0x14, 0x00, 0x00, 0x00]), Aes3 { channels: 2, samples: 1024 });
    }
}

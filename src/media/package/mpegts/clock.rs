//! Keeps the clock of a transport stream going. A muxer writes the program clock reference (PCR) with the frames; where
//! frames are far apart, or the picture ends before the sound, receivers would lose it: ISO/IEC 13818-1 allows 100 ms
//! from one to the next. Here packets with nothing but a PCR are put in between. Pure functions on packets.

use std::io::{self, Write};

/// Bytes of a packet.
pub const PACKET_BYTES: usize = 188;
/// The clock has 33 bits.
const WRAP: u64 = 1 << 33;
/// The longest time without a PCR, in ticks of 90 kHz: 100 ms.
const LONGEST: u64 = 9_000;
/// Time from one PCR to the next where they are put in: 80 ms.
const STEP: u64 = 7_200;

/// Passes packets on and puts PCRs in between.
#[derive(Debug)]
pub struct Clock {
    pid: u16,
    // Continuity counter of the last packet of `pid`.
    counter: u8,
    pcr: Option<u64>,
    // From the PCR to the decode time of what it comes with.
    ahead: u64,
}

impl Clock {
    /// For a stream whose PCRs come with the packets `pid`, each `ahead` ticks of 90 kHz before its decode time. The
    /// first one is put in front of everything: receivers throw away what comes before it.
    pub fn new(pid: u16, ahead: u64) -> Self {
        // The packet that follows has 0.
        Self { pid, counter: 15, pcr: None, ahead }
    }

    /// Writes whole packets to `out`, and PCRs where they are lacking.
    ///
    /// # Errors
    /// What `out` says, and `InvalidData` where the bytes are not packets.
    pub fn pass(&mut self, packets: &[u8], out: &mut impl Write) -> io::Result<()> {
        if !packets.len().is_multiple_of(PACKET_BYTES) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a whole number of packets"));
        }
        packets.chunks_exact(PACKET_BYTES).try_for_each(|packet| {
            self.fill(packet, out)?;
            self.note(packet);
            out.write_all(packet)
        })
    }

    fn fill(&mut self, packet: &[u8], out: &mut impl Write) -> io::Result<()> {
        let Some(time) = decode_time(packet) else { return Ok(()) };
        let due = time.wrapping_sub(self.ahead) % WRAP;
        let Some(mut pcr) = self.pcr else {
            self.pcr = Some(due);
            return if has_pcr(packet) { Ok(()) } else { out.write_all(&self.packet(due)) };
        };
        // What lies more than half of the clock ahead is behind.
        while (1..WRAP / 2).contains(&(due.wrapping_sub(pcr) % WRAP).saturating_sub(LONGEST)) {
            pcr = (pcr + STEP) % WRAP;
            out.write_all(&self.packet(pcr))?;
        }
        self.pcr = Some(pcr);
        Ok(())
    }

    fn note(&mut self, packet: &[u8]) {
        if pid(packet) == self.pid {
            self.counter = packet[3] & 0x0f;
            self.pcr = pcr(packet).or(self.pcr);
        }
    }

    /// A packet with nothing but the PCR. Without payload, the counter stays.
    fn packet(&self, pcr: u64) -> [u8; PACKET_BYTES] {
        let mut packet = [0xff; PACKET_BYTES];
        let [high, low] = self.pid.to_be_bytes();
        packet[..6].copy_from_slice(&[0x47, high, low, 0x20 | self.counter, 183, 0x10]);
        // 33 bits of 90 kHz, six reserved ones, nine bits of 27 MHz.
        let field = pcr << 15 | 0x3f << 9;
        packet[6..12].copy_from_slice(&field.to_be_bytes()[2..]);
        packet
    }
}

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

fn has_adaptation(packet: &[u8]) -> bool {
    packet[3] & 0x20 != 0
}

fn has_pcr(packet: &[u8]) -> bool {
    pcr(packet).is_some()
}

/// The PCR of a packet in ticks of 90 kHz.
fn pcr(packet: &[u8]) -> Option<u64> {
    let present = has_adaptation(packet) && packet[4] >= 7 && packet[5] & 0x10 != 0;
    let field = packet.get(6..12).filter(|_| present)?;
    Some(field.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)) >> 15)
}

/// Decode time of what begins in a packet, in ticks of 90 kHz.
fn decode_time(packet: &[u8]) -> Option<u64> {
    let begins = packet[1] & 0x40 != 0 && packet[3] & 0x10 != 0;
    let payload = if has_adaptation(packet) { 5 + usize::from(packet[4]) } else { 4 };
    let header = packet.get(payload..).filter(|header| begins && header.starts_with(&[0, 0, 1]))?;
    match header.get(7)? >> 6 {
        2 => time_stamp(header.get(9..14)?),
        3 => time_stamp(header.get(14..19)?),
        _ => None,
    }
}

/// 33 bits, with marks in between.
fn time_stamp(field: &[u8]) -> Option<u64> {
    let &[a, b, c, d, e] = field else { return None };
    let (a, b, c, d, e) = (u64::from(a), u64::from(b), u64::from(c), u64::from(d), u64::from(e));
    Some((a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet in which a PES packet begins, with a PCR where one is given.
    fn packet(pid: u16, counter: u8, dts: u64, pcr: Option<u64>) -> Vec<u8> {
        let mut bytes = Clock { pid, counter, pcr, ahead: 0 }.packet(pcr.unwrap_or_default()).to_vec();
        bytes[1] |= 0x40;
        bytes[3] = if pcr.is_some() { 0x30 } else { 0x10 } | counter;
        let payload = if pcr.is_some() { 12 } else { 4 };
        bytes[4] = 7;
        let time = [
            0x21 | (dts >> 29 & 0x0e) as u8,
            (dts >> 22) as u8,
            1 | (dts >> 14) as u8 & 0xfe,
            (dts >> 7) as u8,
            1 | (dts << 1) as u8,
        ];
        bytes[payload..payload + 9].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5]);
        bytes[payload + 9..payload + 14].copy_from_slice(&time);
        bytes
    }

    fn passed(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        Clock::new(256, 11_250).pass(&packets.concat(), &mut out).expect("packets");
        out.chunks_exact(PACKET_BYTES).map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn a_gap_is_filled_with_packets_that_count_nothing() {
        let far = 100_000 + 90_000;
        let out = passed(&[packet(256, 5, 111_250, Some(100_000)), packet(256, 6, far + 11_250, Some(far))]);
        assert_eq!(out.len(), 2 + 12, "one second in steps of 80 ms");
        for packet in &out[1..out.len() - 1] {
            assert_eq!((pid(packet), packet[3]), (256, 0x25));
        }
        assert_eq!(pcr(&out[1]), Some(107_200));
    }

    #[test]
    fn the_sound_keeps_the_clock_going_after_the_picture_ended() {
        let sound = (0..100u64).map(|n| packet(257, n as u8 & 15, 111_250 + n * 1920, None));
        let packets: Vec<_> = [packet(256, 0, 111_250, Some(100_000))].into_iter().chain(sound).collect();
        let references = passed(&packets).iter().filter_map(|packet| pcr(packet)).collect::<Vec<_>>();
        assert!(references.len() > 20);
        assert!(references.windows(2).all(|pair| pair[1] - pair[0] == STEP));
    }

    #[test]
    fn sound_in_front_of_the_picture_has_a_clock() {
        let out = passed(&[packet(257, 0, 111_250, None), packet(256, 0, 111_900, Some(100_650))]);
        assert_eq!(out.len(), 3);
        assert_eq!((pid(&out[0]), pcr(&out[0]), out[0][3]), (256, Some(100_000), 0x2f));
    }

    #[test]
    fn what_is_no_packet_is_refused() {
        assert!(Clock::new(256, 11_250).pass(&[0x47; 100], &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn the_clock_is_never_silent_for_longer_than_allowed_and_never_goes_back(
            start in 0u64..WRAP, gaps in proptest::collection::vec(1u64..300_000, 1..30),
        ) {
            let mut at = start;
            let packets: Vec<_> = gaps.iter().zip(0u8..).map(|(gap, n)| {
                at = (at + gap) % WRAP;
                packet(256, n & 15, (at + 11_250) % WRAP, Some(at))
            }).collect();
            let out = passed(&packets);
            let kept: Vec<_> = out.iter().filter(|packet| decode_time(packet).is_some()).cloned().collect();
            prop_assert_eq!(&kept, &packets, "nothing is lost or changed");
            let references: Vec<_> = out.iter().filter_map(|packet| pcr(packet)).collect();
            for pair in references.windows(2) {
                let step = pair[1].wrapping_sub(pair[0]) % WRAP;
                prop_assert!((1..=LONGEST).contains(&step), "{}", step);
            }
        }

        #[test]
        fn any_bytes_can_pass(bytes in proptest::collection::vec(any::<u8>(), 188 * 3..=188 * 3)) {
            let mut out = Vec::new();
            Clock::new(256, 11_250).pass(&bytes, &mut out).expect("three packets");
            prop_assert!(out.len() >= bytes.len());
        }
    }
}

//! AAC-LC (ISO/IEC 14496-3): its packets and when they begin, and what containers say of it.

use std::hash::{DefaultHasher, Hasher as _};

use gstreamer as gst;

use crate::media::mp4::boxes::{Put as _, full_atom};
use crate::media::mp4::entry::AudioEntry;

/// GStreamer's parser.
pub const PARSER: &str = "aacparse";
/// Samples of a packet.
pub const PACKET_SAMPLES: u64 = 1024;
/// Where the channels of an encoder's input stand, by their number: the layouts of the channel configurations 1 to 6
/// as masks of GStreamer (front left 1, right 2, centre 4, LFE 8, rear left 16, right 32, centre 256).
pub const LAYOUTS: [u64; 6] = [0x4, 0x3, 0x7, 0x107, 0x37, 0x3f];
/// Sound is right one packet after the one that decoding began with (ISO/IEC 14496-12, 10.1).
const ROLL_PACKETS: i16 = -1;

/// Packets without headers, as an encoder gives them and MP4 holds them.
pub fn raw_caps() -> gst::Caps {
    gst::Caps::builder("audio/mpeg").field("mpegversion", 4).field("stream-format", "raw").build()
}

/// Packets that hold `samples` samples behind `priming` ones.
pub fn packets_for(priming: u32, samples: u64) -> u64 {
    (u64::from(priming) + samples).div_ceil(PACKET_SAMPLES)
}

/// When packet number `packet` of a track begins whose first heard sample is at `start_ns`; never added up, so that it does
/// not drift.
pub fn packet_ns(start_ns: i64, rate: u32, priming: u32, packet: u64) -> i64 {
    let samples = i128::from(packet * PACKET_SAMPLES) - i128::from(priming);
    let ns = (samples * 1_000_000_000 + i128::from(rate / 2)).div_euclid(i128::from(rate.max(1)));
    start_ns.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// Two packets with the same one are the same. Good for this process only.
pub fn packet_digest(packet: &[u8]) -> u64 {
    let mut digest = DefaultHasher::new();
    digest.write(packet);
    digest.finish()
}

/// The sample entry of MP4 for a track with this AudioSpecificConfig and this many bits per second on average.
pub fn entry(configuration: &[u8], sample_rate: u16, channels: u16, bitrate: u32) -> AudioEntry {
    let mut esds = Vec::new();
    full_atom(&mut esds, b"esds", 0, 0, |out| descriptors(configuration, bitrate, out));
    AudioEntry { name: b"mp4a", sample_rate, channels, configuration: esds, roll_packets: ROLL_PACKETS }
}

/// The elementary stream descriptor of ISO/IEC 14496-1.
fn descriptors(configuration: &[u8], bitrate: u32, out: &mut Vec<u8>) {
    let mut decoder = vec![0x40, 0x15, 0, 0, 0]; // MPEG-4 audio, an audio stream, size of the buffer unknown
    decoder.put32(bitrate);
    decoder.put32(bitrate);
    descriptor(&mut decoder, 5, configuration);
    let mut stream = vec![0, 0, 0]; // no number, no dependence
    descriptor(&mut stream, 4, &decoder);
    descriptor(&mut stream, 6, &[2]); // as in an MP4 file
    descriptor(out, 3, &stream);
}

fn descriptor(out: &mut Vec<u8>, tag: u8, body: &[u8]) {
    out.push(tag);
    // Seven bits a byte, the last one without the high bit.
    let length = body.len();
    for shift in [21, 14, 7] {
        out.push((length >> shift & 0x7f) as u8 | 0x80);
    }
    out.push((length & 0x7f) as u8);
    out.extend_from_slice(body);
}

/// The parameter of `CODECS` (RFC 6381): the object type of the AudioSpecificConfig, which has 5 bits, or 6 more where
/// they are all ones. `None` where it is too short.
pub fn codecs(configuration: &[u8]) -> Option<String> {
    let first = *configuration.first()?;
    let object = match first >> 3 {
        31 => 32 + ((first & 7) << 3 | configuration.get(1)? >> 5),
        object => object,
    };
    Some(format!("mp4a.40.{object}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_manifests_has_the_object_type() {
        assert_eq!(codecs(&[0x11, 0x90]).as_deref(), Some("mp4a.40.2"), "AAC-LC, 48 kHz, stereo");
        assert_eq!(codecs(&[0x2b, 0x92, 0x08, 0]).as_deref(), Some("mp4a.40.5"), "HE-AAC");
        assert_eq!(codecs(&[0xf9, 0x40]).as_deref(), Some("mp4a.40.42"), "USAC, behind the escape");
        assert_eq!((codecs(&[]), codecs(&[0xf8])), (None, None));
    }

    #[test]
    fn packets_are_counted_from_the_priming_on() {
        assert_eq!(packets_for(1024, 240_000), 236);
        assert_eq!((packet_ns(0, 48_000, 1024, 0), packet_ns(0, 48_000, 1024, 1)), (-21_333_333, 0));
    }
}

//! The first pass over an audio part: what has to be known of every packet before the first one is written, and whether the
//! part is what the plan asked for.

use actors::domain::failure::Failure;
use actors::domain::job::AudioCodec;
use actors::domain::part::{AudioStats, MediaStats};
use actors::domain::plan::{AudioPlan, AudioRendition};
use gstreamer as gst;

use super::mismatch::mismatch;
use super::reader::Joined;
use crate::media::codec::aac::{packet_digest, packet_ns, packets_for};
use crate::protocol::PartSource;

/// How far the time of an audio packet may be from where its number puts it: times in a file are rounded.
const PACKET_SLACK_NS: i64 = 1_000;

/// The packets of an output.
#[derive(Debug)]
pub struct AudioTrack {
    /// The codec.
    pub codec: AudioCodec,
    /// The caps of the part.
    pub caps: gst::Caps,
    /// Samples per second.
    pub rate: u32,
    /// Channels.
    pub channels: u32,
    /// Bits per second that were asked for.
    pub bitrate: u64,
    /// When the first sample is heard, in nanoseconds.
    pub start_ns: i64,
    /// Samples in front of it that the encoder added.
    pub priming: u32,
    /// Samples that are heard.
    pub samples: u64,
    /// Size of each packet.
    pub sizes: Vec<u32>,
    /// Of the bytes of each packet.
    pub digests: Vec<u64>,
}

/// Reads the part of one rendition of sound.
///
/// # Errors
/// `retryable` where part and plan do not belong together: the track has to be encoded again.
pub fn scan(plan: &AudioPlan, rendition: usize, parts: &[PartSource]) -> Result<AudioTrack, Failure> {
    let [part] = parts else {
        return Err(mismatch(format!("an audio track is one part, and there are {}", parts.len())));
    };
    let MediaStats::Audio(AudioStats { packets: recorded, samples, priming }) = part.part.media else {
        return Err(mismatch("the audio part is recorded as one of pictures"));
    };
    let Some(AudioRendition { codec, bitrate, sample_rate, channels, .. }) = plan.renditions.get(rendition) else {
        return Err(mismatch(format!("the plan has no audio rendition {rendition}")));
    };
    let mut track = AudioTrack {
        codec: *codec,
        caps: gst::Caps::new_empty(),
        rate: *sample_rate,
        channels: *channels,
        bitrate: bitrate.bits_per_second(),
        // Ends of films are far from 292 years.
        start_ns: i64::try_from(plan.facts.start_ns).unwrap_or(i64::MAX),
        priming,
        samples,
        sizes: Vec::new(),
        digests: Vec::new(),
    };
    let mut joined = Joined::new(parts);
    while let Some(unit) = joined.next()? {
        let expected = track.packet_ns(track.sizes.len() as u64);
        if (unit.pts_ns - expected).abs() > PACKET_SLACK_NS {
            let (number, found) = (track.sizes.len(), unit.pts_ns);
            return Err(mismatch(format!("audio packet {number} is at {found} ns and not at {expected} ns")));
        }
        let bytes = unit.bytes()?;
        // A packet of AAC has at most some kilobytes.
        track.sizes.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        track.digests.push(packet_digest(&bytes));
        if let (1, Some(caps)) = (track.sizes.len(), joined.caps()) {
            track.caps = caps.clone();
        }
    }
    let packets = track.sizes.len() as u64;
    let right = packets_for(track.priming, track.samples);
    if packets != right || packets != u64::from(recorded) || track.caps.is_empty() {
        return Err(mismatch(format!(
            "the audio part has {packets} packets where its record says {recorded} and its samples need {right}"
        )));
    }
    Ok(track)
}

impl AudioTrack {
    /// When a packet begins, in nanoseconds; never added up, so that it does not drift.
    pub fn packet_ns(&self, packet: u64) -> i64 {
        packet_ns(self.start_ns, self.rate, self.priming, packet)
    }

    /// When the last heard sample ends, in nanoseconds.
    pub fn end_ns(&self) -> i64 {
        // Nanoseconds of a film have 64 bits to spare.
        let ns = u128::from(self.samples) * 1_000_000_000 / u128::from(self.rate.max(1));
        self.start_ns.saturating_add(i64::try_from(ns).unwrap_or(i64::MAX))
    }
}

//! The zero of a film: its packets count from when the first of the tracks that are used is seen or heard, as players have
//! it, wherever the container begins to count.

use std::collections::VecDeque;

use actors::domain::failure::Failure;

use super::Reader;
use super::decoder::{Decoder, time_ns};
use super::packet::Packet;
use super::track::{Kind, Track};

/// Packets of a track that are looked at: more than pictures can be out of order.
const LOOKED_AT: usize = 40;
/// So much is held while a track is waited for that begins late or lies behind the others.
const MAX_BYTES: usize = 64 << 20;

/// The packets of some tracks, on one timeline.
pub struct Film {
    reader: Reader,
    first: VecDeque<Packet>,
    zero_ns: i64,
    // The pictures that have the times of decoding in the place of those of presentation.
    misplaced: Option<usize>,
}

impl Film {
    /// Reads the beginning of the `used` tracks.
    ///
    /// # Errors
    /// As [`Reader::packet`].
    pub fn new(mut reader: Reader, used: &[usize]) -> Result<Self, Failure> {
        reader.only(used);
        let mut first = VecDeque::new();
        let (mut seen, mut bytes) = (vec![0; reader.tracks().len()], 0);
        let mut begins = vec![None::<i64>; reader.tracks().len()];
        while used.iter().any(|track| seen[*track] < LOOKED_AT) && bytes < MAX_BYTES {
            let Some(packet) = reader.packet()? else { break };
            if !packet.hidden
                && let Some(begin) = packet.heard(&reader.tracks()[packet.track])
            {
                let known = &mut begins[packet.track];
                *known = Some(known.map_or(begin.0, |known| known.min(begin.0)));
            }
            seen[packet.track] += 1;
            bytes += packet.bytes().len();
            first.push_back(packet);
        }
        let begin = |track: &usize| begins[*track].or_else(|| reader.start_ns(*track));
        let zero_ns = used.iter().filter_map(begin).min().unwrap_or(0);
        let misplaced =
            used.iter().copied().find(|track| has_times_of_decoding(&reader.tracks()[*track], *track, &first));
        Ok(Self { reader, first, zero_ns, misplaced })
    }

    /// Whether the units of a track have no other times than those of decoding, and others than those are right.
    pub fn is_in_decoding_order(&self, track: usize) -> bool {
        let avi = self.reader.in_decoding_order && self.tracks()[track].kind == Kind::Video;
        avi || self.misplaced == Some(track)
    }

    /// The tracks of the file.
    pub fn tracks(&self) -> &[Track] {
        self.reader.tracks()
    }

    /// libavformat's names of the container, by commas.
    pub fn container(&self) -> String {
        self.reader.container()
    }

    /// The time of the container that is its zero, in nanoseconds.
    pub const fn zero_ns(&self) -> i64 {
        self.zero_ns
    }

    /// The next packet, with times that count from zero.
    ///
    /// # Errors
    /// As [`Reader::packet`].
    pub fn packet(&mut self) -> Result<Option<Packet>, Failure> {
        let packet = match self.first.pop_front() {
            Some(packet) => Some(packet),
            None => self.reader.packet()?,
        };
        Ok(packet.map(|mut packet| {
            packet.shift(self.zero_ns.saturating_neg());
            packet
        }))
    }
}

/// Whether pictures come out of the decoder in another order than the times of their units say, though these are the times of
/// decoding: some writers leave out those of presentation.
fn has_times_of_decoding(track: &Track, index: usize, first: &VecDeque<Packet>) -> bool {
    let units = || first.iter().filter(|packet| packet.track == index);
    if track.kind != Kind::Video || !track.reorders() || units().any(|packet| packet.pts != packet.dts) {
        return false;
    }
    let Ok(mut decoder) = Decoder::new(track) else { return false };
    let mut latest = i64::MIN;
    let mut goes_back = |decoder: &mut Decoder| {
        let mut back = false;
        while let Some(time) = decoder.picture().map(|picture| time_ns(&picture).unwrap_or(i64::MAX)) {
            back |= time < latest;
            latest = latest.max(time);
        }
        back
    };
    for packet in units() {
        decoder.send(packet);
        if goes_back(&mut decoder) {
            return true;
        }
    }
    decoder.end();
    goes_back(&mut decoder)
}

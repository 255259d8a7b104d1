//! The zero of a film: its packets count from when the first of the tracks that are used is seen or heard, as players have
//! it, wherever the container begins to count.

use std::collections::VecDeque;

use actors::domain::failure::Failure;

use super::Reader;
use super::packet::Packet;
use super::track::Track;

/// Packets of a track that are looked at: more than pictures can be out of order.
const LOOKED_AT: usize = 40;
/// So much is held while a track is waited for that begins late or lies behind the others.
const MAX_BYTES: usize = 64 << 20;

/// The packets of some tracks, on one timeline.
pub struct Film {
    reader: Reader,
    first: VecDeque<Packet>,
    zero_ns: i64,
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
        Ok(Self { reader, first, zero_ns })
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

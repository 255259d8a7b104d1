//! MPEG transport streams (ISO/IEC 13818-1): the headers of all packets.
//!
//! * `section`: the tables that say which packets belong to the first program, and what they are
//! * `pes`: the PES packets of a track
//! * `clock`: its time stamps as one time
//!
//! Packets have 188 bytes; with a time in front of each (BDAV) 192, with parity behind each (DVB) 204.

mod clock;
mod packet;
mod pes;
mod section;
#[cfg(test)]
pub(super) mod tests;

use std::io;

use super::reader::{Reader, to_end};
use super::{Container, Ledger, MAX_TRACKS};
use packet::{PACKET_BYTES, Packet};
use pes::Stream;
use section::{Assembler, first_program, streams};

const SYNC: u8 = 0x47;
/// From one packet to the next.
const DISTANCES: [u64; 3] = [188, 192, 204];
/// Packets in a row that make a transport stream; a shorter file has only such.
const IN_A_ROW: u64 = 8;
/// Fewer are none.
const FEWEST: u64 = 3;
/// How much may stand in front of the first packet.
const MAX_BEFORE: u64 = 64 * 1024;

pub(super) fn read(mut reader: Reader<'_>) -> io::Result<Option<Ledger>> {
    let Some((first, distance)) = begin(&mut reader)? else { return Ok(None) };
    reader.seek(first);
    let mut walk = Walk {
        reader,
        distance,
        association: Assembler::default(),
        map: Assembler::default(),
        map_pid: None,
        streams: Vec::new(),
        reference: None,
        broken: 0,
    };
    to_end(walk.packets())?;
    let tracks = walk.streams.into_iter().map(Stream::ledger).collect();
    Ok(Some(Ledger { container: Container::MpegTs, tracks, said_ns: None, broken: walk.broken }))
}

/// Where the first packet begins, and how far it is to the next.
fn begin(reader: &mut Reader<'_>) -> io::Result<Option<(u64, u64)>> {
    while reader.find(|byte| *byte == [SYNC])? {
        let first = reader.at();
        if first > MAX_BEFORE {
            break;
        }
        for distance in DISTANCES {
            let held = (reader.end() - first).saturating_sub(PACKET_BYTES as u64) / distance + 1;
            if held >= FEWEST && in_a_row(reader, first, distance, held.min(IN_A_ROW))? {
                return Ok(Some((first, distance)));
            }
        }
        reader.seek(first + 1);
    }
    Ok(None)
}

/// Whether so many packets begin at `first` and behind it, as far as the file goes.
fn in_a_row(reader: &mut Reader<'_>, first: u64, distance: u64, count: u64) -> io::Result<bool> {
    for place in (0..count).map(|number| first + number * distance) {
        if place >= reader.end() {
            break;
        }
        reader.seek(place);
        if reader.array()? != [SYNC] {
            return Ok(false);
        }
    }
    Ok(true)
}

struct Walk<'a> {
    reader: Reader<'a>,
    distance: u64,
    association: Assembler,
    map: Assembler,
    map_pid: Option<u16>,
    streams: Vec<Stream>,
    // The first time stamp of all.
    reference: Option<i64>,
    broken: u64,
}

impl Walk<'_> {
    fn packets(&mut self) -> io::Result<()> {
        loop {
            let place = self.reader.at();
            let packet = self.reader.array::<PACKET_BYTES>()?;
            if packet[0] == SYNC {
                self.packet(&packet);
                self.reader.seek(place + self.distance);
            } else {
                self.broken += 1;
                self.reader.seek(place + 1);
                if !self.resynchronise()? {
                    return Ok(());
                }
            }
        }
    }

    /// Goes to the next place where three packets are, or all that the file has.
    fn resynchronise(&mut self) -> io::Result<bool> {
        while self.reader.find(|byte| *byte == [SYNC])? {
            let place = self.reader.at();
            let found = in_a_row(&mut self.reader, place, self.distance, FEWEST)?;
            self.reader.seek(if found { place } else { place + 1 });
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn packet(&mut self, bytes: &[u8; PACKET_BYTES]) {
        let pid = u16::from_be_bytes([bytes[1] & 0x1f, bytes[2]]);
        let Some(packet) = Packet::of(bytes) else { return };
        if pid == 0 {
            let (map, map_pid) = (&mut self.map, &mut self.map_pid);
            self.association.push(&packet, |section| {
                if let Some(pid) = first_program(section).filter(|pid| *map_pid != Some(*pid)) {
                    *map_pid = Some(pid);
                    *map = Assembler::default();
                }
            });
        } else if self.map_pid == Some(pid) {
            self.map.push(&packet, |section| {
                for (pid, kind) in streams(section) {
                    if self.streams.len() < MAX_TRACKS && self.streams.iter().all(|stream| stream.pid != pid) {
                        self.streams.push(Stream::new(pid, kind));
                    }
                }
            });
        } else if let Some(stream) = self.streams.iter_mut().find(|stream| stream.pid == pid) {
            stream.push(&packet, &mut self.reference);
        }
    }
}

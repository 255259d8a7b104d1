//! The PES packets of a track (ISO/IEC 13818-1, 2.4.3.6).

use super::super::{Kind, TrackLedger, to_ns};
use super::clock::Clock;
use super::packet::Packet;

/// Ticks of time stamps per second.
const CLOCK_RATE: u64 = 90_000;
/// Up to `PES_packet_length`, and up to `PES_header_data_length`.
const SHORT_HEADER_BYTES: usize = 6;
const HEADER_BYTES: usize = 9;

/// What is counted of the packets of a PID.
pub(super) struct Stream {
    pub pid: u16,
    ledger: TrackLedger,
    counter: Option<u8>,
    // Payload of the last packet: a duplicate has the same.
    last: Vec<u8>,
    state: State,
    clock: Clock,
}

/// Where in a PES packet the stream is.
enum State {
    /// In none.
    Outside,
    /// In its header, of which this has come.
    Header(Vec<u8>),
    /// In its payload, of which so many bytes have come.
    Payload(u64),
}

impl Stream {
    pub fn new(pid: u16, kind: Kind) -> Self {
        let ledger = TrackLedger::new(kind, u64::from(pid));
        Self { pid, ledger, counter: None, last: Vec::new(), state: State::Outside, clock: Clock::default() }
    }

    pub fn push(&mut self, packet: &Packet<'_>, reference: &mut Option<i64>) {
        if packet.is_wrong {
            self.ledger.broken += 1;
        }
        let Some(payload) = packet.payload else { return };
        if !self.continues(packet, payload) {
            return;
        }
        if packet.begins {
            self.finish();
            self.state = State::Header(Vec::new());
        }
        match &mut self.state {
            State::Outside => {}
            State::Payload(bytes) => *bytes += payload.len() as u64,
            State::Header(header) => {
                header.extend_from_slice(payload);
                self.header(reference);
            }
        }
    }

    /// Counts an error of continuity (2.4.3.3); whether the packet is none that was sent twice.
    fn continues(&mut self, packet: &Packet<'_>, payload: &[u8]) -> bool {
        let last = self.counter.replace(packet.counter);
        let is_duplicate = last == Some(packet.counter) && self.last == payload;
        if is_duplicate {
            // Once is allowed.
            self.last.clear();
            return false;
        }
        let expected = last.map(|last| (last + 1) & 0x0f);
        if expected.is_some_and(|expected| expected != packet.counter) && !packet.is_discontinuous {
            self.ledger.broken += 1;
        }
        self.last.clear();
        self.last.extend_from_slice(payload);
        true
    }

    /// Reads the header once all of it is there.
    fn header(&mut self, reference: &mut Option<i64>) {
        let State::Header(header) = &self.state else { return };
        let prefix = header.len().min(3);
        if header[..prefix] != [0, 0, 1][..prefix] {
            // Sections, or damage.
            if self.ledger.kind != Kind::Other {
                self.ledger.broken += 1;
            }
            self.state = State::Outside;
            return;
        }
        let length = match header.get(3) {
            // Padding.
            Some(0xbe) => {
                self.state = State::Outside;
                return;
            }
            // Map, second private stream, ECM, EMM, DSM-CC, H.222.1 type E, directory.
            Some(0xbc | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff) => SHORT_HEADER_BYTES,
            _ => HEADER_BYTES + header.get(8).map_or(0, |length| usize::from(*length)),
        };
        let Some(payload) = header.len().checked_sub(length) else { return };
        let stamp = (length > HEADER_BYTES).then(|| stamp(header)).flatten();
        self.state = State::Payload(payload as u64);
        if let Some(stamp) = stamp {
            let time = to_ns(self.clock.place(stamp, reference), 1, CLOCK_RATE);
            self.ledger.shown(time, time);
        }
    }

    fn finish(&mut self) {
        match std::mem::replace(&mut self.state, State::Outside) {
            State::Outside => {}
            // It ends within its header.
            State::Header(_) => self.ledger.broken += 1,
            State::Payload(bytes) => self.ledger.count(1, bytes),
        }
    }

    pub fn ledger(mut self) -> TrackLedger {
        self.finish();
        self.ledger
    }
}

/// The presentation time in a header, where it has one.
fn stamp(header: &[u8]) -> Option<i64> {
    let &[flags, _, a, b, c, d, e] = header.get(7..14)? else { return None };
    let [a, b, c, d, e] = [a, b, c, d, e].map(i64::from);
    // 33 bits, with marks in between.
    (flags & 0x80 != 0).then_some((a >> 1 & 7) << 30 | b << 22 | c >> 1 << 15 | d << 7 | e >> 1)
}

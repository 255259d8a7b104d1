//! A stream: what its header says, and what is counted of it.

use super::super::reader::little;
use super::super::{Kind, TrackLedger, length_ns, to_ns};

/// What a stream is said to be, as far as it is looked at.
pub(super) const HEADER_BYTES: usize = 48;
pub(super) const FORMAT_BYTES: usize = 16;

/// What writers put where the length of a stream belongs until they know it.
const UNKNOWN_LENGTHS: [u64; 3] = [1 << 30, (1 << 31) - 1, (1 << 32) - 1];

pub(super) struct Stream {
    ledger: TrackLedger,
    // A tick lasts `scale / rate` seconds.
    scale: u64,
    rate: u64,
    start: u64,
    // In ticks.
    length: u64,
    // Bytes of a tick; 0 where a chunk or a block is one.
    tick_bytes: u64,
    block_bytes: u64,
    // Of all chunks so far, the empty ones included.
    ticks: u64,
}

impl Stream {
    pub const fn new(number: u64) -> Self {
        let ledger = TrackLedger::new(Kind::Other, number);
        Self { ledger, scale: 0, rate: 0, start: 0, length: 0, tick_bytes: 0, block_bytes: 0, ticks: 0 }
    }

    /// `strh`.
    pub fn header(&mut self, header: &[u8; HEADER_BYTES]) {
        let field = |at: usize| little(&header[at..at + 4]);
        self.ledger.kind = match &header[..4] {
            b"vids" => Kind::Video,
            b"auds" => Kind::Audio,
            _ => Kind::Other,
        };
        (self.scale, self.rate, self.start, self.length) = (field(20), field(24), field(28), field(32));
        self.length = if UNKNOWN_LENGTHS.contains(&self.length) { 0 } else { self.length };
        self.tick_bytes = if self.ledger.kind == Kind::Audio { field(44) } else { 0 };
    }

    /// `strf`: of sound a `WAVEFORMAT`, with the bytes of a block.
    pub fn format(&mut self, format: &[u8; FORMAT_BYTES]) {
        if self.ledger.kind == Kind::Audio {
            self.block_bytes = little(&format[12..14]);
        }
    }

    /// Counts a chunk.
    pub fn count(&mut self, bytes: u64) {
        self.ledger.count(1, bytes);
        self.ticks = self.ticks.saturating_add(match (self.tick_bytes, self.block_bytes) {
            (0, 0) => 1,
            // Sound of a variable rate: blocks that are not full count as full.
            (0, block) => bytes.div_ceil(block),
            (tick, _) => bytes / tick,
        });
    }

    /// Counts a chunk of which not all is there.
    pub const fn lack(&mut self) {
        self.ledger.absent = 1;
    }

    pub fn said_ns(&self) -> Option<u64> {
        (self.length > 0 && self.rate > 0).then(|| length_ns(self.length, self.scale, self.rate))
    }

    /// The ledger of a stream in a file that ends before its lists end, or not. How many chunks of sound are absent is
    /// estimated from those that are there.
    pub fn ledger(mut self, is_cut: bool) -> TrackLedger {
        let absent = if is_cut { self.length.saturating_sub(self.ticks) } else { 0 };
        let chunks = self.ledger.units + self.ledger.empty;
        let estimate = u128::from(absent) * u128::from(chunks) / u128::from(self.ticks.max(1));
        self.ledger.absent = self.ledger.absent.max(u64::try_from(estimate).unwrap_or(u64::MAX));
        if self.rate > 0 {
            let ns = |ticks: u64| to_ns(i64::try_from(ticks).unwrap_or(i64::MAX), self.scale, self.rate);
            self.ledger.absent_ns = length_ns(absent, self.scale, self.rate);
            if self.ticks > 0 {
                self.ledger.shown(ns(self.start), ns(self.start.saturating_add(self.ticks)));
            }
        }
        self.ledger
    }
}

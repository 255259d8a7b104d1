//! A track while its samples are counted.

use super::super::{Kind, TrackLedger, length_ns, to_ns};

/// What the samples of fragments are like where these say nothing else (8.8.3).
#[derive(Clone, Copy, Default)]
pub(super) struct Defaults {
    pub duration: u32,
    pub size: u32,
}

pub(super) struct Track {
    pub ledger: TrackLedger,
    pub defaults: Defaults,
    /// Decode time of the next fragment that does not say its own.
    pub next_decode: i64,
    pub timescale: u64,
    // Times of `ledger` in ticks until all are known, so that nothing is rounded twice.
    absent_ticks: u64,
    pub shown_ticks: Option<u64>,
    times: Option<(i64, i64)>,
}

/// Samples that follow one another, in the file and in time.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub count: u64,
    /// Of all of them; they are equally long.
    pub bytes: u64,
    /// Where the first one lies; `None` where the tables give no place.
    pub place: Option<u64>,
    /// When the first one is shown, in ticks.
    pub start: i64,
    /// From one to the next, and how long each lasts.
    pub step: i64,
}

impl Track {
    pub const fn new() -> Self {
        Self {
            ledger: TrackLedger::new(Kind::Other, 0),
            defaults: Defaults { duration: 0, size: 0 },
            next_decode: 0,
            timescale: 0,
            absent_ticks: 0,
            shown_ticks: None,
            times: None,
        }
    }

    /// Counts a run in a file that ends at `file_end`.
    pub fn count(&mut self, run: Run, file_end: u64) {
        let held = run.place.map_or(0, |place| file_end.saturating_sub(place));
        let whole = match run.place {
            Some(_) if run.bytes <= held => run.count,
            // Less than all: the quotient is less than the count.
            Some(_) => (u128::from(held) * u128::from(run.count) / u128::from(run.bytes)) as u64,
            None => 0,
        };
        let bytes = u128::from(run.bytes) * u128::from(whole) / u128::from(run.count.max(1));
        self.ledger.count(whole, bytes as u64);
        let ticks = |count: u64| i64::try_from(i128::from(count) * i128::from(run.step)).unwrap_or(i64::MAX);
        if whole > 0 {
            let (last, end) = (run.start.saturating_add(ticks(whole - 1)), run.start.saturating_add(ticks(whole)));
            let (first, end) = (run.start.min(last), end.max(run.start));
            let known = self.times.unwrap_or((first, end));
            self.times = Some((known.0.min(first), known.1.max(end)));
        }
        let absent = run.count - whole;
        self.ledger.absent = self.ledger.absent.saturating_add(absent);
        self.absent_ticks = self.absent_ticks.saturating_add(u64::try_from(ticks(absent)).unwrap_or(0));
    }

    /// The ledger with its times in nanoseconds.
    pub fn ledger(mut self, movie_timescale: u64) -> TrackLedger {
        if self.timescale > 0 {
            self.ledger.first_ns = self.times.map(|(first, _)| to_ns(first, 1, self.timescale));
            self.ledger.end_ns = self.times.map(|(_, end)| to_ns(end, 1, self.timescale));
            self.ledger.absent_ns = length_ns(self.absent_ticks, 1, self.timescale);
        }
        let shown = self.shown_ticks.filter(|_| movie_timescale > 0);
        self.ledger.shown_ns = shown.map(|ticks| length_ns(ticks, 1, movie_timescale));
        self.ledger
    }
}

/// The `W` numbers of 32 bits in `N` bytes.
pub(super) fn words<const N: usize, const W: usize>(bytes: &[u8; N]) -> [u32; W] {
    let mut words = [0; W];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

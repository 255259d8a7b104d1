//! Judges from the times of the frames whether a track has one frame rate, and which.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use gstreamer as gst;

/// Frames come in decoding order; so many are held back to put them into the order of their times.
const REORDER: usize = 32;
/// Longer distances are counted as this one, in milliseconds.
const LONGEST_MS: u64 = 10_000;
/// A rate is constant where so many of 1000 distances agree: a few lost frames do not make it vary.
const AGREEING_PERMILLE: u64 = 980;
/// Rates that are used, in frames for 1001 or 1000 milliseconds.
const USUAL: [(u32, u32); 13] = [
    (24000, 1001),
    (24, 1),
    (25, 1),
    (30000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60000, 1001),
    (60, 1),
    (15, 1),
    (12, 1),
    (10, 1),
    (120, 1),
];

/// The distances of the frames of a track.
#[derive(Debug, Default)]
pub struct Cadence {
    pending: BinaryHeap<Reverse<i64>>,
    last: Option<i64>,
    // By milliseconds: how many, and their sum in nanoseconds.
    distances: BTreeMap<u64, (u64, u64)>,
}

impl Cadence {
    /// Takes the time of a frame, in nanoseconds, in decoding order.
    pub fn note(&mut self, time: i64) {
        self.pending.push(Reverse(time));
        if self.pending.len() > REORDER {
            self.advance();
        }
    }

    fn advance(&mut self) {
        let Some(Reverse(time)) = self.pending.pop() else { return };
        if let Some(distance) = self.last.and_then(|last| u64::try_from(time - last).ok()) {
            // Containers round to milliseconds: 41.6 ms is found as 41 and as 42.
            let entry = self.distances.entry((distance / 1_000_000).min(LONGEST_MS)).or_default();
            *entry = (entry.0 + 1, entry.1 + distance);
        }
        self.last = Some(time);
    }

    /// Frames per second; `(0, 1)` where the distances vary. `said` is the rate in the caps.
    pub fn rate(&mut self, said: Option<gst::Fraction>) -> (u32, u32) {
        while !self.pending.is_empty() {
            self.advance();
        }
        let said = said.and_then(|rate| Some((u32::try_from(rate.numer()).ok()?, u32::try_from(rate.denom()).ok()?)));
        let Some((mode, _)) = self.distances.iter().max_by_key(|(_, (count, _))| *count) else {
            return said.filter(|(num, den)| *num > 0 && *den > 0).unwrap_or((0, 1));
        };
        let near = mode.saturating_sub(1)..=mode + 1;
        let (agreeing, sum) = self.distances.range(near).fold((0, 0), |all, (_, one)| (all.0 + one.0, all.1 + one.1));
        let total: u64 = self.distances.values().map(|(count, _)| count).sum();
        if agreeing * 1000 < total * AGREEING_PERMILLE || sum == 0 {
            return (0, 1);
        }
        // Counts of frames and nanoseconds of a film are far below 2^53.
        let found = agreeing as f64 * 1e9 / sum as f64;
        let off = |(num, den): (u32, u32)| (f64::from(num) / f64::from(den) / found - 1.0).abs();
        let candidates = said.into_iter().filter(|(num, den)| *num > 0 && *den > 0);
        if let Some(said) = candidates.into_iter().find(|rate| off(*rate) < 0.01) {
            return said;
        }
        let usual = USUAL.into_iter().min_by(|a, b| off(*a).total_cmp(&off(*b)));
        match usual.filter(|rate| off(*rate) < 0.002) {
            Some(rate) => rate,
            // A rate of a second of a thousandth at least, far below u32::MAX.
            None => ((found * 1000.0).round().clamp(1.0, 1e9) as u32, 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(times: impl IntoIterator<Item = i64>, said: Option<(i32, i32)>) -> (u32, u32) {
        let mut cadence = Cadence::default();
        times.into_iter().for_each(|time| cadence.note(time));
        cadence.rate(said.map(|(num, den)| gst::Fraction::new(num, den)))
    }

    #[test]
    fn times_rounded_to_milliseconds_still_are_a_constant_rate() {
        let times = |i: i64| i * 1001 * 1000 / 24000 * 1_000_000;
        assert_eq!(rate((0..500).map(times), Some((24000, 1001))), (24000, 1001));
        assert_eq!(rate((0..500).map(times), None), (24000, 1001));
    }

    #[test]
    fn b_frames_in_decoding_order_are_put_in_order_first() {
        let order = [0i64, 4, 2, 1, 3, 8, 6, 5, 7, 12, 10, 9, 11];
        assert_eq!(rate(order.map(|i| i * 40_000_000), Some((25, 1))), (25, 1));
    }

    #[test]
    fn distances_that_vary_are_no_rate_whatever_the_caps_say() {
        let mut now = 0;
        let times = (0..300).map(|i| {
            now += if i % 3 == 0 { 20_000_000 } else { 45_000_000 };
            now
        });
        assert_eq!(rate(times, Some((25, 1))), (0, 1));
    }

    #[test]
    fn a_lost_frame_does_not_make_a_rate_vary() {
        assert_eq!(rate((0..500).filter(|i| *i != 250).map(|i| i * 40_000_000), None), (25, 1));
    }

    #[test]
    fn a_wrong_rate_in_the_caps_is_not_believed() {
        assert_eq!(rate((0..100).map(|i| i * 20_000_000), Some((25, 1))), (50, 1));
        assert_eq!(rate((0..100).map(|i| i * 77_000_000), None), (12987, 1000));
        assert_eq!(rate([0], Some((25, 1))), (25, 1));
        assert_eq!(rate([], None), (0, 1));
    }
}

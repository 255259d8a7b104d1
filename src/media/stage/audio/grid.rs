//! Puts decoded audio on a grid without gaps: which samples of a block are kept, and how much silence comes before
//! them, so that the output is heard when the source was, sample for sample, for its whole length.
//! Pure arithmetic; the position of a sample is computed from its time, never added up from rounded times.

/// Times of a source are believed where they leave the count of samples by more than this: two fifths of what
/// viewers notice (ITU-R BT.1359) and far more than rounding to milliseconds or to video frames of a muxer.
/// Below it the samples follow one another, so that rounded times never cut one.
pub const TOLERANCE_NS: u64 = 40_000_000;

/// What to do with a block of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Samples of silence in front.
    pub silence: u64,
    /// Samples of the block to drop at its beginning.
    pub skip: u64,
    /// Samples of the block to keep after that.
    pub take: u64,
}

/// The grid of one track.
#[derive(Clone, Debug)]
pub struct Grid {
    rate: u32,
    start_ns: i64,
    total: u64,
    // Samples that were placed, silence among them.
    filled: u64,
    // Where the next sample lies if it follows the one before.
    next: Option<i64>,
}

impl Grid {
    /// For what is heard from `start_ns` to `end_ns` at `rate` samples per second.
    pub fn new(start_ns: u64, end_ns: u64, rate: u32) -> Self {
        let total = samples(i128::from(end_ns.saturating_sub(start_ns)), rate);
        Self {
            rate,
            // Ends of films are far from 292 years.
            start_ns: i64::try_from(start_ns).unwrap_or(i64::MAX),
            total: u64::try_from(total).unwrap_or_default(),
            filled: 0,
            next: None,
        }
    }

    /// Samples of the whole track.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Samples that were placed.
    pub fn filled(&self) -> u64 {
        self.filled
    }

    /// Places a block of `count` samples whose first one is at `time_ns`; without a time it follows the one before.
    pub fn place(&mut self, time_ns: Option<i64>, count: u64) -> Placement {
        let position = self.position(time_ns);
        // A block is some thousand samples.
        let end = position.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        self.next = Some(end);
        let filled = i64::try_from(self.filled).unwrap_or(i64::MAX);
        let total = i64::try_from(self.total).unwrap_or(i64::MAX);
        let from = position.max(filled).min(total);
        let to = end.min(total).max(from);
        if to == from {
            // Nothing of it is heard; a gap in front of it is filled when something comes after it.
            return Placement { silence: 0, skip: count, take: 0 };
        }
        // All differences are not negative by the order of the limits.
        let placement =
            Placement { silence: from.abs_diff(filled), skip: from.abs_diff(position), take: to.abs_diff(from) };
        self.filled = to.unsigned_abs();
        placement
    }

    /// Silence after the last block, to the end of what is heard.
    pub fn finish(&mut self) -> u64 {
        let rest = self.total - self.filled;
        self.filled = self.total;
        rest
    }

    fn position(&self, time_ns: Option<i64>) -> i64 {
        let told = time_ns.map(|time| samples(i128::from(time) - i128::from(self.start_ns), self.rate));
        match (told, self.next) {
            (Some(told), Some(next)) if told.abs_diff(next) <= self.tolerance() => next,
            (Some(told), _) => told,
            (None, next) => next.unwrap_or_default(),
        }
    }

    fn tolerance(&self) -> u64 {
        u64::from(self.rate) * TOLERANCE_NS / 1_000_000_000
    }
}

/// Samples in a time, to the nearest.
fn samples(ns: i128, rate: u32) -> i64 {
    i64::try_from((ns * i128::from(rate) + 500_000_000).div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: i64 = 1_000_000;

    fn second() -> Grid {
        Grid::new(0, 1_000_000_000, 48_000)
    }

    #[test]
    fn what_is_before_the_start_and_after_the_end_is_dropped() {
        let mut grid = second();
        let priming = grid.place(Some(-121_333_333), 1024);
        assert_eq!(priming, Placement { silence: 0, skip: 1024, take: 0 });
        assert_eq!(grid.place(Some(-10_000_000), 960), Placement { silence: 0, skip: 480, take: 480 });
        assert_eq!(grid.place(Some(10 * MS), 96_000), Placement { silence: 0, skip: 0, take: 47_520 });
        assert_eq!(grid.place(Some(2010 * MS), 1024), Placement { silence: 0, skip: 1024, take: 0 });
        assert_eq!(grid.finish(), 0);
    }

    #[test]
    fn a_gap_is_filled_and_an_overlap_is_dropped() {
        let mut grid = second();
        grid.place(Some(0), 4800);
        assert_eq!(grid.place(Some(200 * MS), 4800), Placement { silence: 4800, skip: 0, take: 4800 });
        assert_eq!(grid.place(Some(250 * MS), 4800), Placement { silence: 0, skip: 2400, take: 2400 });
        assert_eq!(grid.finish(), 48_000 - 16_800);
    }

    #[test]
    fn a_block_without_a_time_follows_the_one_before() {
        let mut grid = second();
        grid.place(Some(100 * MS), 4800);
        assert_eq!(grid.place(None, 10), Placement { silence: 0, skip: 0, take: 10 });
    }

    #[test]
    fn a_slow_drift_is_put_right_before_anybody_notices() {
        // The source says 44,100 and has 44,000: ten seconds of it last a quarter of a second more than counted.
        let mut grid = Grid::new(0, 100_000_000_000, 44_100);
        for block in 0..4400i64 {
            let time = block * 1000 * 1_000_000_000 / 44_000;
            let placed = grid.place(Some(time), 1000);
            let position = grid.filled() as i64 - placed.take as i64;
            let right = time * 44_100 / 1_000_000_000;
            assert!(position.abs_diff(right) <= 44_100 / 25 + 1);
        }
    }

    proptest! {
        #[test]
        fn times_rounded_to_milliseconds_never_cut_a_sample(
            rate in prop_oneof![Just(44_100u32), Just(48_000), Just(22_050)], start in 0u64..10_000_000_000, blocks in 1u64..400,
        ) {
            let block_ns = |n: u64| start + n * 1024 * 1_000_000_000 / u64::from(rate);
            let mut grid = Grid::new(start, block_ns(blocks), rate);
            for n in 0..blocks {
                let rounded = if n == 0 { start } else { (block_ns(n) + 500_000) / 1_000_000 * 1_000_000 };
                let placed = grid.place(Some(rounded as i64), 1024);
                prop_assert_eq!((placed.silence, placed.skip), (0, 0));
            }
            prop_assert!(grid.finish() <= 1);
        }

        #[test]
        fn the_grid_is_filled_once_whatever_comes(
            length in 0u64..5_000_000_000,
            blocks in proptest::collection::vec((proptest::option::of(-2_000_000_000i64..8_000_000_000), 0u64..20_000), 0..60),
        ) {
            let mut grid = Grid::new(1_000_000_000, 1_000_000_000 + length, 48_000);
            let mut sum = 0;
            for (time, count) in blocks {
                let placed = grid.place(time, count);
                prop_assert!(placed.skip + placed.take <= count);
                sum += placed.silence + placed.take;
                prop_assert_eq!(sum, grid.filled());
                prop_assert!(sum <= grid.total());
            }
            prop_assert_eq!(sum + grid.finish(), grid.total());
        }
    }
}

//! Times of frames in the ticks of a container: which timescale represents them, and when they have to be decoded.
//! Pure arithmetic on integers: nothing is added up, so nothing drifts however long a film is.
//! Decoding times are computed anew over the joined stream: each chunk's encoder invents its own, and at the seams of
//! films with a variable rate they would overlap.

/// Ticks per second of PES time stamps (ISO/IEC 13818-1), and a timescale that most MP4 readers know.
pub const CLOCK_90K: u32 = 90_000;
/// Where no timescale is exact: microseconds.
const FINE: u32 = 1_000_000;
/// Where frames are hours apart, so that their distance still is a 32-bit number of ticks.
const COARSE: u32 = 1_000;
/// Times in nanoseconds were rounded once when they were read and once when they were shifted.
const ROUNDING_NS: i64 = 2;
/// Frame rates that are small numbers get a timescale of at least so many ticks, for readers that round.
const MIN_TIMESCALE: u64 = 10_000;

/// The tick nearest to a time in nanoseconds.
pub fn to_ticks(ns: i64, timescale: u32) -> i64 {
    let scaled = i128::from(ns) * i128::from(timescale);
    // Cannot overflow: a timescale of 32 bits and 63 bits of nanoseconds give less ticks than nanoseconds times four.
    i64::try_from((scaled + 500_000_000).div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

/// The time of a tick in nanoseconds, rounded up: converting it back by cutting off gives the same tick.
pub fn to_ns(ticks: i64, timescale: u32) -> i64 {
    let scaled = i128::from(ticks) * 1_000_000_000;
    let timescale = i128::from(timescale.max(1));
    i64::try_from((scaled + timescale - 1).div_euclid(timescale)).unwrap_or(i64::MAX)
}

/// The timescale for frames at these times in nanoseconds (any order) with this frame rate, `(0, 1)` where it varies:
/// one that represents every time exactly if there is one, else microseconds.
pub fn choose_timescale(pts_ns: &[i64], frame_rate: (u32, u32)) -> u32 {
    let span = pts_ns.iter().max().zip(pts_ns.iter().min()).map_or(0, |(last, first)| last - first);
    let fits = |scale: u32| to_ticks(span, scale) < i64::from(u32::MAX);
    let exact = |scale: u32| pts_ns.iter().all(|&ns| (to_ns(to_ticks(ns, scale), scale) - ns).abs() <= ROUNDING_NS);
    let candidates = [of_frame_rate(frame_rate), Some(CLOCK_90K)].into_iter().flatten();
    candidates.filter(|&scale| fits(scale)).find(|&scale| exact(scale)).unwrap_or(if fits(FINE) {
        FINE
    } else {
        COARSE
    })
}

fn of_frame_rate((num, den): (u32, u32)) -> Option<u32> {
    if num == 0 || den == 0 {
        return None;
    }
    let num = u64::from(num);
    // 24 becomes 24000, which holds milliseconds too; 30000/1001 stays.
    let factor = if num < 1000 { 1000 } else { MIN_TIMESCALE.div_ceil(num) };
    u32::try_from(num * factor).ok()
}

/// When frames are decoded and shown, in ticks on the presentation timeline. The lists are in decode order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameTimes {
    /// Ticks per second.
    pub timescale: u32,
    /// When each frame is shown; no two are equal.
    pub pts: Vec<i64>,
    /// When each frame is decoded; strictly increasing, never after it is shown.
    pub dts: Vec<i64>,
    /// When the first one is shown.
    pub start: i64,
    /// When the last one ends.
    pub end: i64,
}

impl FrameTimes {
    /// Times for frames that are shown at `pts_ns` (in decode order), the last one until `end_ns`.
    ///
    /// Frames that would share a tick are moved apart by one. The n-th decode time is the n-th presentation time
    /// less a constant delay, the smallest one with which no frame is shown before it is decoded.
    pub fn new(pts_ns: &[i64], end_ns: i64, timescale: u32) -> Self {
        let mut order: Vec<usize> = (0..pts_ns.len()).collect();
        order.sort_by_key(|&index| pts_ns[index]);
        let mut pts = vec![0; pts_ns.len()];
        let mut shown = Vec::with_capacity(pts_ns.len());
        for index in order {
            let tick = to_ticks(pts_ns[index], timescale);
            let tick = shown.last().map_or(tick, |&last| tick.max(last + 1));
            pts[index] = tick;
            shown.push(tick);
        }
        let start = shown.first().copied().unwrap_or_default();
        let end = shown.last().map_or(start, |&last| to_ticks(end_ns, timescale).max(last + 1));
        let delay = shown.iter().zip(&pts).map(|(shown, pts)| shown - pts).max().unwrap_or_default();
        let mut dts = shown;
        dts.iter_mut().for_each(|time| *time -= delay);
        Self { timescale, pts, dts, start, end }
    }

    /// Ticks from the last presentation time to the end.
    pub fn last_duration(&self) -> i64 {
        self.end - self.pts.iter().max().copied().unwrap_or(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(n: i64, num: i64, den: i64) -> i64 {
        i64::try_from(i128::from(n) * i128::from(den) * 1_000_000_000 / i128::from(num)).expect("a time")
    }

    #[test]
    fn usual_frame_rates_are_exact_in_a_timescale_of_their_own_even_after_ten_hours() {
        for (num, den, timescale) in [(24, 1, 24_000), (25, 1, 25_000), (30_000, 1001, 30_000), (60_000, 1001, 60_000)]
        {
            let times: Vec<_> = (0..10).chain(2_000_000..2_000_010).map(|n| frame(n, num, den)).collect();
            assert_eq!(choose_timescale(&times, (num as u32, den as u32)), timescale);
            let ticks = FrameTimes::new(&times, frame(2_000_010, num, den), timescale);
            let per_frame = i64::from(timescale) * den / num;
            assert_eq!(ticks.pts[19], 2_000_009 * per_frame);
            assert_eq!(ticks.last_duration(), per_frame);
        }
    }

    #[test]
    fn times_in_milliseconds_are_exact_whatever_the_frame_rate_says() {
        assert_eq!(choose_timescale(&[0, 42_000_000, 83_000_000], (24, 1)), 24_000);
        assert_eq!(choose_timescale(&[0, 42_000_000, 83_000_000], (0, 1)), CLOCK_90K);
    }

    #[test]
    fn odd_times_are_kept_to_the_microsecond() {
        assert_eq!(choose_timescale(&[0, 41_234_567, 90_000_001], (0, 1)), FINE);
    }

    #[test]
    fn pictures_hours_apart_still_fit() {
        let day = 86_400_000_000_000;
        assert_eq!(choose_timescale(&[0, 10 * day + 1_234_567], (0, 1)), COARSE);
    }

    #[test]
    fn frames_with_references_forward_are_decoded_early_enough() {
        // Decode order of I P B b: shown at 0, 4, 2, 1, 3.
        let ms: Vec<i64> = [0, 4, 2, 1, 3].iter().map(|n| n * 40_000_000).collect();
        let times = FrameTimes::new(&ms, 200_000_000, 25_000);
        assert_eq!(times.pts, [0, 4000, 2000, 1000, 3000]);
        assert_eq!(times.dts, [-2000, -1000, 0, 1000, 2000]);
        assert_eq!((times.start, times.end), (0, 5000));
    }

    proptest! {
        #[test]
        fn decode_times_grow_and_never_come_after_the_presentation(
            gaps in proptest::collection::vec(0i64..200_000_000, 1..200),
            swaps in proptest::collection::vec((0usize..200, 1usize..5), 0..100),
            timescale in prop_oneof![Just(24_000u32), Just(30_000), Just(CLOCK_90K), Just(FINE)],
        ) {
            let mut times: Vec<i64> = gaps.iter().scan(0, |sum, gap| { *sum += gap; Some(*sum) }).collect();
            for (at, distance) in swaps {
                if at + distance < times.len() {
                    times.swap(at, at + distance);
                }
            }
            let end = times.iter().max().expect("a frame") + 1;
            let frames = FrameTimes::new(&times, end, timescale);
            prop_assert!(frames.dts.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(frames.dts.iter().zip(&frames.pts).all(|(dts, pts)| dts <= pts));
            let mut shown = frames.pts.clone();
            shown.sort_unstable();
            prop_assert!(shown.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(frames.end > shown[shown.len() - 1] && frames.start == shown[0]);
            // The delay is the smallest one: some frame is shown when it is decoded.
            prop_assert!(frames.dts.iter().zip(&frames.pts).any(|(dts, pts)| dts == pts));
        }

        #[test]
        fn a_tick_survives_nanoseconds(ticks in -1_000_000_000_000i64..1_000_000_000_000, timescale in 1u32..10_000_000) {
            let ns = to_ns(ticks, timescale);
            prop_assert_eq!(to_ticks(ns, timescale), ticks);
            let cut = (i128::from(ns) * i128::from(timescale)).div_euclid(1_000_000_000);
            prop_assert_eq!(cut, i128::from(ticks));
        }
    }
}

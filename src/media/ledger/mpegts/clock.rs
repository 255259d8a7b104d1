//! Time stamps of 33 bits as one time.
//!
//! A stamp lies within half of the clock's range of the one before it: that is how its wraps are seen. What lies more than
//! ten seconds away, forwards or backwards, is a jump: a recording was cut or put together, or the stamp is damaged. It
//! is closed: time goes on behind the latest stamp so far, by the distance that stamps had on average.

/// The clock has 33 bits at 90 kHz.
const WRAP: i64 = 1 << 33;
/// The longest pause in one recording.
const JUMP: i64 = 10 * 90_000;

/// The time of one track.
#[derive(Default)]
pub(super) struct Clock {
    /// The last stamp without wraps.
    last: Option<i64>,
    /// What all jumps together are.
    jumped: i64,
    earliest: i64,
    latest: i64,
    stamps: i64,
}

impl Clock {
    /// The time of a stamp; `reference` is the first stamp of the whole program.
    pub fn place(&mut self, stamp: i64, reference: &mut Option<i64>) -> i64 {
        let first = *reference.get_or_insert(stamp);
        let near = self.last.unwrap_or(first);
        let distance = (stamp - near + WRAP / 2).rem_euclid(WRAP) - WRAP / 2;
        let stamp = near + distance;
        let mut time = stamp - self.jumped;
        if self.last.replace(stamp).is_none() {
            (self.earliest, self.latest) = (time, time);
        } else if distance.abs() > JUMP {
            let step = (self.latest - self.earliest) / (self.stamps - 1).max(1);
            self.jumped += time - (self.latest + step);
            time = self.latest + step;
        }
        self.earliest = self.earliest.min(time);
        self.latest = self.latest.max(time);
        self.stamps += 1;
        time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(stamps: &[i64]) -> Vec<i64> {
        let (mut clock, mut reference) = (Clock::default(), None);
        stamps.iter().map(|stamp| clock.place(*stamp, &mut reference)).collect()
    }

    #[test]
    fn time_goes_on_where_the_clock_wraps() {
        assert_eq!(times(&[WRAP - 3600, 3600, 0, 7200]), [WRAP - 3600, WRAP + 3600, WRAP, WRAP + 7200]);
    }

    #[test]
    fn what_begins_on_the_other_side_of_a_wrap_is_no_day_away() {
        let mut reference = Some(100);
        assert_eq!(Clock::default().place(WRAP - 100, &mut reference), -100);
    }

    #[test]
    fn jumps_are_closed_in_both_directions() {
        let hour = 3600 * 90_000;
        assert_eq!(times(&[0, 3600, 7200, hour, hour + 3600]), [0, 3600, 7200, 10_800, 14_400]);
        assert_eq!(times(&[hour, hour + 3600, 0, 3600]), [hour, hour + 3600, hour + 7200, hour + 10_800]);
        // A stamp that is damaged costs two steps.
        assert_eq!(times(&[0, 3600, hour, 10_800]), [0, 3600, 7200, 9_000 + 1_800]);
    }

    #[test]
    fn a_pause_of_ten_seconds_is_none() {
        assert_eq!(times(&[0, JUMP, 0]), [0, JUMP, 0]);
    }
}

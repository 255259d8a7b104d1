//! Breaks in the clock of a transport stream: a recording that was put together, a channel that was switched, a byte that
//! turned over. Where the time of a track leaves by more than [`JUMP_NS`] what its last packet let expect, all that follows
//! is moved so that it goes on there, as players do. Pure arithmetic.

use super::packet::Packet;

/// More than a pause between two packets, less than what a viewer would wait for: what ffmpeg takes.
const JUMP_NS: i64 = 10_000_000_000;

/// The clock of a file.
#[derive(Debug)]
pub(super) struct Jumps {
    // When the next packet of each track is expected, on the mended clock.
    expected: Vec<Option<i64>>,
    // When the latest packet of any track was, for tracks that begin later.
    latest: Option<i64>,
    moved: i64,
}

impl Jumps {
    /// A clock for so many tracks.
    pub fn new(num_tracks: usize) -> Self {
        Self { expected: vec![None; num_tracks], latest: None, moved: 0 }
    }

    /// Puts a packet on the mended clock.
    pub fn close(&mut self, packet: &mut Packet) {
        let Some(at) = packet.dts.or(packet.pts) else { return };
        let by = self.moved(packet.track, at, packet.duration.unwrap_or(0));
        packet.shift(by);
    }

    /// By how much a packet of `track` is moved that is decoded `at`.
    fn moved(&mut self, track: usize, at: i64, duration: u64) -> i64 {
        let mended = at.saturating_add(self.moved);
        let expected = self.expected.get(track).copied().flatten().or(self.latest);
        if let Some(expected) = expected
            && mended.abs_diff(expected) > JUMP_NS.unsigned_abs()
        {
            self.moved += expected.saturating_sub(mended);
        }
        let mended = at.saturating_add(self.moved);
        self.latest = Some(mended);
        if let Some(next) = self.expected.get_mut(track) {
            *next = Some(mended.saturating_add_unsigned(duration));
        }
        self.moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    #[test]
    fn time_goes_on_where_it_was_after_a_jump_of_an_hour_and_tracks_stay_together() {
        let mut jumps = Jumps::new(2);
        let frame = 40_000_000;
        for n in 0..50 {
            assert_eq!(jumps.moved(0, n * frame, frame as u64), 0);
            assert_eq!(jumps.moved(1, n * frame + 5, frame as u64), 0);
        }
        let hour = 3600 * S;
        assert_eq!(jumps.moved(0, 50 * frame + hour, frame as u64), -hour);
        assert_eq!(jumps.moved(1, 50 * frame + hour + 5, frame as u64), -hour);
        // And back.
        assert_eq!(jumps.moved(0, 51 * frame, frame as u64), 0);
    }

    #[test]
    fn a_pause_is_none_and_a_track_that_begins_later_sets_no_clock() {
        let mut jumps = Jumps::new(2);
        assert_eq!(jumps.moved(0, 0, 0), 0);
        assert_eq!(jumps.moved(0, 9 * S, 0), 0);
        assert_eq!(jumps.moved(1, 10 * S, 0), 0);
        assert_eq!(jumps.moved(1, 3 * S, 0), 0);
    }
}

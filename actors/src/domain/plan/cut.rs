//! Where chunks begin and end. The split stage cuts the track into *chunk sources* at random access
//! points; a source that spans much more than the target is read by several chunks, each of which
//! keeps the frames of its own window.
//! So no picture is written twice. Decoding is about a seventh of the CPU time of a film, and what is decoded in front
//! of a window is decoded in vain: that is why long GOPs are shared by few windows and rarely cut.

use serde::{Deserialize, Serialize};

/// The frames of a chunk: those with `start_ns <= time < end_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First time that belongs to the chunk.
    pub start_ns: u64,
    /// First time that no longer does.
    pub end_ns: u64,
    /// Access units with a time in the window.
    pub frames: u32,
}

/// The most chunks that read the same source. The n-th decodes everything in front of it and throws it away;
/// decoding costs about a sixth of encoding, so four windows cost a quarter more and are four times as parallel.
pub const MAX_WINDOWS_PER_SOURCE: usize = 4;

/// The longest window, in tenths of the target. A GOP of two targets is not cut, because the second half would decode the
/// first in vain.
const LONGEST_WINDOW: u64 = 21;

/// A short film is cut into about this many chunks, so that all encoders of a worker stay busy to the end.
const CHUNKS_OF_A_SHORT_FILM: u64 = 6;
/// Below this the cost of a chunk (start of a process, a key frame, blind rate control) shows.
const MIN_CHUNK_NS: u64 = 4_000_000_000;

/// Length that chunks of a film should have: `chunk_seconds`, less for a short film. Depends on
/// nothing but the film and the setting, so that the pool size does not change the bytes.
pub fn chunk_target(duration_ns: Option<u64>, chunk_seconds: u32) -> u64 {
    let longest = u64::from(chunk_seconds.max(1)) * 1_000_000_000;
    match duration_ns {
        Some(duration) => (duration / CHUNKS_OF_A_SHORT_FILM).clamp(MIN_CHUNK_NS.min(longest), longest),
        None => longest,
    }
}

/// Cuts the frames of one chunk source into windows of about `target_ns`, at most [`LONGEST_WINDOW`] of it unless there
/// would be too many of them.
///
/// `times` are the times of its frames in presentation order, `start_ns` and `end_ns` the limits of the source.
/// The windows are in order, without gap or overlap, and hold every frame once; a boundary is the time of a frame. What
/// is in front of a window is decoded for it in vain, so that the first window is the short one.
pub fn windows(times: &[u64], start_ns: u64, end_ns: u64, target_ns: u64) -> Vec<Window> {
    let bounds = bounds(times.len(), end_ns.saturating_sub(start_ns), target_ns.max(10));
    if bounds.len() < 2 {
        return vec![Window { start_ns, end_ns, frames: frames(times.len()) }];
    }
    let time_at = |index: usize| times.get(index).copied();
    bounds
        .windows(2)
        .map(|pair| Window {
            start_ns: if pair[0] == 0 { start_ns } else { time_at(pair[0]).unwrap_or(start_ns) },
            end_ns: time_at(pair[1]).unwrap_or(end_ns),
            frames: frames(pair[1] - pair[0]),
        })
        .collect()
}

/// Where the windows of a source of `count` frames begin and end, as indices of frames, without repetition.
fn bounds(count: usize, span_ns: u64, target_ns: u64) -> Vec<usize> {
    let longest = target_ns / 10 * LONGEST_WINDOW;
    let wanted = usize::try_from(span_ns.div_ceil(longest)).unwrap_or(usize::MAX);
    let parts = wanted.clamp(1, MAX_WINDOWS_PER_SOURCE) as u64;
    let first = match span_ns.checked_sub(longest * (parts - 1)) {
        Some(rest) if rest <= longest => rest.max(target_ns / 2).min(span_ns / parts),
        _ => span_ns / parts,
    };
    // The end of each window in time, then in frames: the cost of a chunk is in its frames.
    let ends = (0..parts).map(|n| first + (span_ns - first) * n / (parts - 1).max(1));
    let ends = ends.map(|end| (end as u128 * count as u128 / u128::from(span_ns.max(1))) as usize);
    let mut bounds: Vec<usize> = std::iter::once(0).chain(ends.take(parts as usize - 1)).chain([count]).collect();
    bounds.dedup();
    bounds
}

fn frames(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_source_near_the_target_is_one_chunk() {
        let times: Vec<u64> = (0..24).map(|i| i * S / 2).collect();
        assert_eq!(windows(&times, 0, 12 * S, 10 * S), [Window { start_ns: 0, end_ns: 12 * S, frames: 24 }]);
    }

    #[test]
    fn a_long_source_is_shared_by_at_most_four_chunks() {
        let times: Vec<u64> = (0..1000).map(|i| i * S).collect();
        assert_eq!(windows(&times, 0, 1000 * S, 10 * S).len(), MAX_WINDOWS_PER_SOURCE);
    }

    #[test]
    fn a_short_film_has_shorter_chunks_and_a_long_one_the_asked_length() {
        assert_eq!(chunk_target(Some(30 * S), 10), 5 * S);
        assert_eq!(chunk_target(Some(2 * S), 10), 4 * S);
        assert_eq!(chunk_target(Some(7200 * S), 10), 10 * S);
        assert_eq!(chunk_target(None, 10), 10 * S);
        assert_eq!(chunk_target(Some(30 * S), 2), 2 * S);
    }

    #[test]
    fn the_first_window_of_a_source_is_the_short_one_and_none_is_much_longer_than_two_targets() {
        let lengths = |frames: u64, target: u64| -> Vec<u32> {
            let times: Vec<u64> = (0..frames).map(|i| i * S).collect();
            windows(&times, 0, frames * S, target * S).iter().map(|window| window.frames).collect()
        };
        assert_eq!(lengths(21, 10), [21]);
        assert_eq!(lengths(22, 10), [5, 17]);
        assert_eq!(lengths(40, 10), [19, 21]);
        assert_eq!(lengths(60, 10), [18, 21, 21]);
        assert_eq!(lengths(100, 10), [25, 25, 25, 25]);
    }

    proptest! {
        #[test]
        fn every_frame_is_in_exactly_one_window(
            gaps in proptest::collection::vec(1u64..200, 0..300), lead in 0u64..500, target in 1u64..3000,
        ) {
            let mut now = lead;
            let times: Vec<u64> = gaps.iter().map(|gap| { let at = now; now += gap; at }).collect();
            let cut = windows(&times, 0, now, target);
            prop_assert_eq!(cut[0].start_ns, 0);
            prop_assert_eq!(cut[cut.len() - 1].end_ns, now);
            for pair in cut.windows(2) {
                prop_assert_eq!(pair[0].end_ns, pair[1].start_ns);
            }
            for window in &cut {
                let inside = times.iter().filter(|t| (window.start_ns..window.end_ns).contains(t)).count();
                prop_assert_eq!(inside, window.frames as usize);
            }
        }
    }
}

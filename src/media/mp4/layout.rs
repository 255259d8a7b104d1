//! Where samples lie: the tracks take turns, so that a reader that plays from a network never waits for a far place.

/// Media time of one turn in nanoseconds: half a second, as most writers have it.
const TURN_NS: i64 = 500_000_000;

/// Samples of one track that lie one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Index of the track.
    pub track: usize,
    /// How many samples, at least 1.
    pub samples: u32,
    /// Their bytes.
    pub bytes: u64,
}

/// The chunks of a file in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The chunks.
    pub chunks: Vec<Chunk>,
}

/// A sample on its way into the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Its decode time in nanoseconds, on the time line that all tracks share; never falls within a track.
    pub time_ns: i64,
    /// Its size.
    pub bytes: u32,
}

impl Layout {
    /// Interleaves `tracks`, each with its samples in decode order.
    pub fn interleave<'a>(tracks: Vec<Box<dyn Iterator<Item = Placed> + 'a>>) -> Self {
        let mut tracks: Vec<_> = tracks.into_iter().map(Iterator::peekable).collect();
        let mut chunks = Vec::new();
        loop {
            let earliest = tracks.iter_mut().filter_map(|track| track.peek().map(|sample| sample.time_ns)).min();
            let Some(earliest) = earliest else { return Self { chunks } };
            let end = earliest.saturating_add(TURN_NS);
            for (index, track) in tracks.iter_mut().enumerate() {
                let mut chunk = Chunk { track: index, samples: 0, bytes: 0 };
                while let Some(sample) = track.next_if(|sample| sample.time_ns < end) {
                    chunk.samples += 1;
                    chunk.bytes += u64::from(sample.bytes);
                }
                if chunk.samples > 0 {
                    chunks.push(chunk);
                }
            }
        }
    }

    /// Bytes of all samples.
    pub fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.bytes).sum()
    }

    /// The chunks of a track with the place of each, counted from `first`.
    pub fn of_track(&self, track: usize, first: u64) -> impl Iterator<Item = (Chunk, u64)> {
        let places = self.chunks.iter().scan(first, |place, chunk| {
            let at = *place;
            *place += chunk.bytes;
            Some((*chunk, at))
        });
        places.filter(move |(chunk, _)| chunk.track == track)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(step_ms: i64, count: usize) -> Vec<Placed> {
        (0..count).map(|n| Placed { time_ns: n as i64 * step_ms * 1_000_000, bytes: n as u32 }).collect()
    }

    #[test]
    fn the_tracks_take_turns_of_half_a_second() {
        let (video, audio) = (samples(40, 25), samples(20, 50));
        let layout = Layout::interleave(vec![Box::new(video.into_iter()), Box::new(audio.into_iter())]);
        let turns: Vec<_> = layout.chunks.iter().map(|chunk| (chunk.track, chunk.samples)).collect();
        assert_eq!(turns, [(0, 13), (1, 25), (0, 12), (1, 25)]);
    }

    proptest! {
        #[test]
        fn every_sample_has_its_own_place(steps in proptest::collection::vec((0i64..3000, 0usize..200), 1..4)) {
            let tracks: Vec<_> = steps.iter().map(|&(step, count)| samples(step, count)).collect();
            let total: u64 = tracks.iter().flatten().map(|sample| u64::from(sample.bytes)).sum();
            let boxed = tracks.iter().map(|track| Box::new(track.iter().copied()) as Box<dyn Iterator<Item = Placed>>);
            let layout = Layout::interleave(boxed.collect());
            prop_assert_eq!(layout.bytes(), total);
            let mut places = Vec::new();
            for (index, track) in tracks.iter().enumerate() {
                let chunks: Vec<_> = layout.of_track(index, 1000).collect();
                prop_assert_eq!(chunks.iter().map(|(chunk, _)| chunk.samples as usize).sum::<usize>(), track.len());
                places.extend(chunks.iter().map(|(chunk, at)| (*at, chunk.bytes)));
            }
            places.sort_unstable();
            let mut end = 1000;
            for (at, bytes) in places {
                prop_assert_eq!(at, end);
                end += bytes;
            }
            prop_assert_eq!(end, 1000 + total);
        }
    }
}

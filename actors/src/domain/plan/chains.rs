//! The chains of a plan: in which order its units are worked on. Computed once for a plan: what follows a chunk is looked
//! up and takes the same time for 100 chunks and for 10,000.

use std::cmp::Reverse;

use super::model::Plan;
use crate::domain::unit::UnitId;

/// What encoding a frame costs, in frames that are decoded only, those in front of a window.
const ENCODE_COST: u64 = 6;

/// The order of the units of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chains {
    num_audio: u16,
    /// How many there are.
    number: usize,
    /// Indices of chunks in the order of their tasks.
    order: Vec<u32>,
    /// The place of each chunk in that order.
    places: Vec<u32>,
}

impl Chains {
    /// The longest chunks come first, so that no encoder is left with a long one at the end while the others have nothing
    /// to do.
    pub fn of(plan: &Plan) -> Self {
        let mut in_front = 0;
        let mut source = "";
        let mut costs: Vec<(Reverse<u64>, u32)> = Vec::with_capacity(plan.chunks().len());
        for chunk in plan.chunks() {
            if chunk.source != source {
                (source, in_front) = (&chunk.source, 0);
            }
            let frames = u64::from(chunk.window.frames);
            costs.push((Reverse(frames * ENCODE_COST + in_front), chunk.index));
            in_front += frames;
        }
        costs.sort_unstable();
        let order: Vec<u32> = costs.into_iter().map(|(_, index)| index).collect();
        let mut places = vec![u32::MAX; order.len()];
        for (place, index) in (0..).zip(&order) {
            if let Some(known) = places.get_mut(*index as usize) {
                *known = place;
            }
        }
        Self { num_audio: plan.num_audio(), number: plan.parallelism.max(1) as usize, order, places }
    }

    pub fn after_split(&self) -> Vec<UnitId> {
        let audio = (0..self.num_audio).map(UnitId::Audio);
        audio.chain(self.order.iter().take(self.number).copied().map(UnitId::Chunk)).collect()
    }

    pub fn after_unit(&self, unit: UnitId) -> Option<UnitId> {
        let UnitId::Chunk(index) = unit else { return None };
        let place = *self.places.get(index as usize)? as usize;
        self.order.get(place.checked_add(self.number)?).copied().map(UnitId::Chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{plan_of, video_of};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_chains_reach_every_unit_once_and_never_have_more_chunks_open_than_there_are_chains(
            chunks in 1u32..60, parallelism in 1u32..20, audio: bool,
        ) {
            let plan = plan_of(chunks, parallelism, audio);
            let mut open = plan.after_split();
            let mut seen = Vec::new();
            while let Some(unit) = open.pop() {
                let open_chunks = open.iter().filter(|unit| unit.is_chunk()).count();
                prop_assert!(open_chunks < parallelism as usize);
                seen.push(unit);
                open.extend(plan.after_unit(unit));
            }
            seen.sort();
            let mut all: Vec<_> = plan.units().collect();
            all.sort();
            prop_assert_eq!(seen, all);
        }
    }

    #[test]
    fn the_longest_chunks_come_first_and_equal_ones_in_their_order() {
        let mut plan = Plan::clone(&plan_of(5, 2, true));
        let video = video_of(&mut plan);
        for (chunk, frames) in video.chunks.iter_mut().zip([70, 175, 125, 175, 168]) {
            chunk.window.frames = frames;
        }
        // The second reads the source of the first, and decodes what is in front of it.
        video.chunks[1].source = video.chunks[0].source.clone();
        let chains = Chains::of(&plan);
        assert_eq!(chains.order, [1, 3, 4, 2, 0]);
        assert_eq!(chains.after_split(), [UnitId::Audio(0), UnitId::Chunk(1), UnitId::Chunk(3)]);
        assert_eq!(chains.after_unit(UnitId::Chunk(3)), Some(UnitId::Chunk(2)));
        assert_eq!(chains.after_unit(UnitId::Chunk(2)), None);
        assert_eq!(chains.after_unit(UnitId::Chunk(5)), None, "the plan has none of that number");
    }
}

//! Times for pictures whose container has those of decoding alone.

use std::collections::BTreeSet;

/// Gives pictures in the order of presentation the times of their units in the order of decoding: what is shown between two
/// pictures that others refer to was decoded behind both. Times of units that gave no picture are left out.
#[derive(Debug, Default)]
pub struct Order {
    waiting: BTreeSet<i64>,
    latest: i64,
}

impl Order {
    /// A unit is decoded.
    pub fn enter(&mut self, time: i64) {
        self.waiting.insert(time);
    }

    /// The picture of the unit that was decoded at the time `own` is shown: one between others, or one that they refer to.
    pub fn leave(&mut self, own: i64, between: bool) -> Option<i64> {
        self.latest = self.latest.max(own);
        if between {
            return self.waiting.pop_first();
        }
        self.waiting = self.waiting.split_off(&(self.latest + 1));
        Some(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times that pictures get; units are decoded two ahead, and those named by `lost` give no picture.
    fn shown(pictures: &[(i64, bool)], lost: &[i64]) -> Vec<i64> {
        let (mut order, mut next) = (Order::default(), 0);
        let mut leave = |&(own, between): &(i64, bool)| {
            while next <= own + 2 {
                order.enter(next);
                next += 1;
            }
            (!lost.contains(&own)).then(|| order.leave(own, between).expect("a time"))
        };
        pictures.iter().filter_map(&mut leave).collect()
    }

    const PICTURES: [(i64, bool); 10] = [
        (0, false),
        (2, true),
        (3, true),
        (1, false),
        (5, true),
        (6, true),
        (4, false),
        (7, false),
        (9, true),
        (8, false),
    ];

    #[test]
    fn pictures_between_others_are_shown_in_front_of_those_that_they_refer_to() {
        assert_eq!(shown(&PICTURES, &[]), (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_unit_without_a_picture_moves_none_but_its_neighbours() {
        assert_eq!(shown(&PICTURES, &[3]), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        assert_eq!(shown(&PICTURES, &[1]), [0, 1, 2, 3, 4, 6, 7, 8, 9]);
        assert_eq!(shown(&PICTURES, &[7]), [0, 1, 2, 3, 4, 5, 6, 7, 9]);
    }
}

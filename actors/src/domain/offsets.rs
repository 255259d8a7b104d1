//! The commit watermark of one partition: the smallest offset that is not finished. Work ends out of order,
//! Kafka remembers one offset; committing past unfinished work would lose it.

use std::collections::BTreeMap;

/// Offsets of one partition in one assignment.
#[derive(Debug, Default)]
pub struct Offsets {
    /// Delivered and not below the watermark; true when finished.
    open: BTreeMap<i64, bool>,
    /// One after the last delivered offset.
    next: Option<i64>,
    committed: Option<i64>,
}

impl Offsets {
    /// A partition whose group position is `start`, if the group has one.
    pub fn starting_at(start: Option<i64>) -> Self {
        Self { open: BTreeMap::new(), next: start, committed: start }
    }

    /// Notes a delivery. A repeated one changes nothing.
    pub fn delivered(&mut self, offset: i64) {
        let below = self.watermark().is_some_and(|watermark| offset < watermark && !self.open.contains_key(&offset));
        if !below {
            self.open.entry(offset).or_insert(false);
        }
        self.next = Some(self.next.map_or(offset + 1, |next| next.max(offset + 1)));
    }

    /// Notes that the work of an offset is finished. One that was never delivered here changes nothing.
    pub fn finished(&mut self, offset: i64) {
        if let Some(done) = self.open.get_mut(&offset) {
            *done = true;
        }
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.get()) {
            entry.remove();
        }
    }

    /// The offset to commit: everything below is finished. Gaps (compacted, aborted) do not hold it back.
    pub fn watermark(&self) -> Option<i64> {
        self.open.keys().next().copied().or(self.next)
    }

    /// The watermark, where it is not committed yet.
    pub fn to_commit(&self) -> Option<i64> {
        self.watermark().filter(|watermark| Some(*watermark) != self.committed)
    }

    /// Notes a successful commit.
    pub fn committed(&mut self, offset: i64) {
        self.committed = Some(offset);
    }

    /// Deliveries that are not finished.
    pub fn unfinished(&self) -> usize {
        self.open.values().filter(|done| !**done).count()
    }

    /// Whether `offset` may be started: less than `window` offsets above the watermark, so that a long task
    /// holds back only a few finished ones behind it. Where nothing is unfinished, every offset may: a gap
    /// (expired, compacted) must not stop the partition.
    pub fn in_window(&self, offset: i64, window: i64) -> bool {
        self.open.keys().next().is_none_or(|watermark| offset < watermark.saturating_add(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_commit_never_passes_unfinished_work(
            start in proptest::option::of(0i64..5),
            steps in proptest::collection::vec((any::<bool>(), 0usize..50), 1..200),
        ) {
            let mut offsets = Offsets::starting_at(start);
            let mut next = start.unwrap_or(0);
            let mut unfinished = BTreeSet::new();
            let mut committed = start.unwrap_or(0);
            for (deliver, pick) in steps {
                if deliver || unfinished.is_empty() {
                    next += (pick % 3) as i64; // gaps
                    offsets.delivered(next);
                    unfinished.insert(next);
                    next += 1;
                } else {
                    let offset = *unfinished.iter().nth(pick % unfinished.len()).expect("not empty");
                    unfinished.remove(&offset);
                    offsets.finished(offset);
                }
                if let Some(watermark) = offsets.to_commit() {
                    prop_assert!(unfinished.iter().all(|offset| *offset >= watermark));
                    prop_assert!(watermark >= committed);
                    committed = watermark;
                    offsets.committed(watermark);
                }
                prop_assert_eq!(offsets.unfinished(), unfinished.len());
            }
            for offset in std::mem::take(&mut unfinished) {
                offsets.finished(offset);
            }
            prop_assert_eq!(offsets.watermark(), Some(next).filter(|_| start.is_some() || next > 0));
        }
    }

    #[test]
    fn work_far_above_the_watermark_waits() {
        let mut offsets = Offsets::starting_at(Some(10));
        offsets.delivered(10);
        offsets.delivered(18);
        assert!(offsets.in_window(17, 8));
        assert!(!offsets.in_window(18, 8));
        offsets.finished(10);
        assert!(offsets.in_window(18, 8));
    }

    #[test]
    fn a_gap_wider_than_the_window_does_not_stop_the_partition() {
        let mut offsets = Offsets::starting_at(Some(10));
        assert!(offsets.in_window(500, 8));
        offsets.delivered(500);
        offsets.finished(500);
        assert!(offsets.in_window(900, 8));
        assert_eq!(offsets.to_commit(), Some(501));
    }

    #[test]
    fn a_second_delivery_of_a_finished_offset_does_not_open_it_again() {
        let mut offsets = Offsets::starting_at(Some(0));
        offsets.delivered(0);
        offsets.delivered(1);
        offsets.finished(0);
        offsets.delivered(0);
        assert_eq!(offsets.watermark(), Some(1));
    }
}

//! Deliveries and commits.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::domain::record::{DeliveryTag, Queue};
use crate::testing::chronicle::Event;

/// One partition in one assignment.
type Assignment = (Queue, i32, u64);

#[derive(Default)]
struct Commits {
    came: HashSet<DeliveryTag>,
    finished: HashMap<Assignment, BTreeSet<i64>>,
    /// The lowest offset of an assignment that is not known to be finished.
    open: HashMap<Assignment, i64>,
    /// The group's position.
    positions: HashMap<(Queue, i32), i64>,
}

/// No delivery is finished twice or without having come; an assignment begins where the group stands; a commit passes
/// nothing but what was finished in its own assignment.
pub(super) fn check(events: &[Event]) {
    let mut commits = Commits::default();
    for event in events {
        match event {
            Event::Delivered { tag, worker } => commits.delivered(*tag, worker),
            Event::Finished { tag, worker } => commits.finished(*tag, worker),
            Event::Committed { queue, partition, epoch, watermark } => {
                commits.committed((*queue, *partition, *epoch), *watermark);
            }
            Event::Rewound => commits.positions.clear(),
            _ => {}
        }
    }
}

fn assignment(tag: DeliveryTag) -> Assignment {
    (tag.queue, tag.partition, tag.epoch)
}

impl Commits {
    fn delivered(&mut self, tag: DeliveryTag, worker: &str) {
        assert!(self.came.insert(tag), "{tag:?} was delivered twice in one epoch, now to {worker}");
        let position = self.positions.get(&(tag.queue, tag.partition)).copied().unwrap_or(0);
        let open = self.open.entry(assignment(tag)).or_insert_with(|| {
            assert_eq!(tag.offset, position, "{tag:?} is not where the group stands");
            tag.offset
        });
        assert!(*open <= tag.offset, "{tag:?} was delivered after {open}");
    }

    fn finished(&mut self, tag: DeliveryTag, worker: &str) {
        assert!(self.came.contains(&tag), "{worker} finished {tag:?}, which never came");
        let finished = self.finished.entry(assignment(tag)).or_default();
        assert!(finished.insert(tag.offset), "{worker} finished {tag:?} twice");
    }

    fn committed(&mut self, assignment: Assignment, watermark: i64) {
        let finished = self.finished.entry(assignment).or_default();
        let open = self.open.entry(assignment).or_default();
        while finished.contains(open) {
            *open += 1;
        }
        assert!(watermark <= *open, "a commit of {assignment:?} to {watermark} passes {open}, which is not finished");
        let (queue, partition, _) = assignment;
        self.positions.insert((queue, partition), watermark);
    }
}

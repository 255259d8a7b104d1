//! Parts.

use std::collections::{HashMap, HashSet};

use crate::domain::checkpoint::PartRecord;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::unit::UnitId;
use crate::testing::chronicle::Event;

type Name = (JobId, Fingerprint, UnitId);

#[derive(Default)]
struct Parts<'a> {
    in_force: HashMap<Name, &'a PartRecord>,
    made: HashSet<Name>,
    lost: HashSet<Name>,
}

/// The first part of a unit stays, unless the store lost everything; one that is recorded was made; only one that an
/// assembly did not find, or may not use, is forgotten.
pub(super) fn check(events: &[Event]) {
    let mut parts = Parts::default();
    for event in events {
        match event {
            Event::Made { job_id, fingerprint, unit } => {
                parts.made.insert((job_id.clone(), fingerprint.clone(), *unit));
            }
            Event::Recorded { job_id, fingerprint, offered, in_force } => {
                parts.recorded((job_id.clone(), fingerprint.clone(), offered.unit), offered, in_force);
            }
            Event::Lost(job_id, fingerprint, units) => {
                parts.lost.extend(units.iter().map(|unit| (job_id.clone(), fingerprint.clone(), *unit)));
            }
            Event::Discarded(job_id, fingerprint, unit) => {
                parts.lost.insert((job_id.clone(), fingerprint.clone(), *unit));
            }
            Event::Forgotten(job_id, fingerprint, unit) => {
                parts.forgotten((job_id.clone(), fingerprint.clone(), *unit));
            }
            Event::Emptied => parts.in_force.clear(),
            _ => {}
        }
    }
}

impl<'a> Parts<'a> {
    fn recorded(&mut self, name: Name, offered: &'a PartRecord, in_force: &'a PartRecord) {
        assert!(self.made.contains(&name), "{name:?} was recorded before it was durable");
        let first = *self.in_force.entry(name).or_insert(offered);
        assert_eq!(first, in_force, "a part was recorded twice");
    }

    fn forgotten(&mut self, name: Name) {
        assert!(self.lost.contains(&name), "{name:?} was forgotten, and nobody had missed it");
        self.in_force.remove(&name);
    }
}

//! Versions of encoders.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::fingerprint::Fingerprint;
use crate::domain::plan::{EncoderFamily, PinnedPlan};
use crate::testing::chronicle::Event;
use crate::testing::service::FakeMachine;

/// Every part was made by a worker that has the versions of its plan. So no job has parts of two.
pub(super) fn check(events: &[Event], machine: &FakeMachine) {
    let split = events.iter().filter_map(|event| match event {
        Event::Split(plan) => Some((plan.fingerprint(), plan)),
        _ => None,
    });
    let plans: HashMap<&Fingerprint, &Arc<PinnedPlan>> = split.collect();
    for event in events {
        let Event::Recorded { job_id, fingerprint, in_force, .. } = event else { continue };
        let Some(plan) = plans.get(fingerprint) else { continue };
        let planned = plan.video_renditions().iter().map(|rendition| rendition.encoder);
        let took_over =
            |(made, planned): (Option<EncoderFamily>, EncoderFamily)| made.is_some_and(|made| made != planned);
        let on_cpu = in_force.parts.iter().map(|part| part.encoder).zip(planned).any(took_over);
        let lacks = machine.versions(&in_force.worker).lacks(&plan.needs(in_force.unit, on_cpu));
        assert!(lacks.is_empty(), "{job_id}: {} of {} was not made with {lacks}", in_force.unit, in_force.worker);
    }
}

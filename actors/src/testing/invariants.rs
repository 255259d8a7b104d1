//! What must be true of every history of a fleet, whatever was done to it. Each invariant reads the chronicle once.
//!
//! * `commits`: a delivery is finished once, and a commit never passes unfinished work
//! * `chains`: what is finished was done, and what follows it was acknowledged before
//! * `parts`: a part is recorded once, and only a lost one is forgotten
//! * `ends`: nothing is completed that was not verified and published; every end is told
//! * `versions`: what is made was made by the versions of its plan
//! * `reports`: progress and status never go back

mod chains;
mod commits;
mod ends;
mod parts;
mod reports;
mod versions;

use super::chronicle::Event;
use super::fleet::Fleet;
use super::stages::Film;
use crate::domain::checkpoint::JobStatus;
use crate::domain::job::JobSpec;

/// Checks everything that needs no knowledge of the jobs. No store was emptied, or nobody can have noticed.
///
/// # Panics
/// Where something is not as it must be.
pub fn check(fleet: &Fleet) {
    check_after_loss(fleet);
    fleet.chronicle.read(reports::only_go_forward);
}

/// As [`check`], for a fleet whose store came back empty: what the service was told before is then not known to a worker
/// that comes later, so the reports of a job may begin anew. Between two losses they only go forward.
///
/// # Panics
/// Where something is not as it must be.
pub fn check_after_loss(fleet: &Fleet) {
    fleet.chronicle.read(|events| {
        commits::check(events);
        chains::check(events, &fleet.log);
        parts::check(events);
        ends::check(events);
        versions::check(events, &fleet.machine);
        reports::check(events);
        reports::are_remembered(events);
    });
}

/// Checks that every last report was taken. For a fleet at rest.
///
/// # Panics
/// Where something is not as it must be.
pub fn check_at_rest(fleet: &Fleet) {
    assert_eq!(fleet.store.outbox_len(), 0, "last reports wait in the outbox");
    fleet.chronicle.read(ends::were_told);
}

/// Checks that a job was completed with a part for each unit of its film, and that nothing of it was lost on the way.
///
/// # Panics
/// Where something is not as it must be.
pub fn check_chains(fleet: &Fleet, job: &JobSpec, film: Film) {
    let completed = fleet.service.last_of(&job.job_id).is_some_and(|report| report.status == JobStatus::Completed);
    assert!(completed, "{} is not completed", job.job_id);
    let units = film.chunks + u32::from(film.audio);
    let recorded = |event: &Event| match event {
        Event::Recorded { job_id, in_force, .. } if *job_id == job.job_id => Some(in_force.unit),
        _ => None,
    };
    let recorded: std::collections::BTreeSet<_> =
        fleet.chronicle.read(|events| events.iter().filter_map(recorded).collect());
    assert!(recorded.len() >= units as usize, "{}: of {units} units only {recorded:?} were recorded", job.job_id);
    fleet.chronicle.read(|events| chains::check(events, &fleet.log));
}

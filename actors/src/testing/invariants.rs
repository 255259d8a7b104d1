//! What must be true of every history of a fleet, whatever was done to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::fleet::Fleet;
use super::log::LogEntry;
use crate::checkpoint::JobStatus;
use crate::job::{JobId, JobSpec};
use crate::plan::Plan;
use crate::plan::testing::{facts_of, identity};
use crate::ports::{DeliveryTag, Queue};
use crate::progress::Report;
use crate::task::{Task, after_split, after_unit, units};

/// Checks everything that needs no knowledge of the jobs.
///
/// # Panics
/// Where something is not as it must be.
pub fn check(fleet: &Fleet) {
    let history = fleet.log.history();
    no_delivery_is_finished_twice_or_without_having_come(&history);
    let mut reports = BTreeMap::<JobId, Vec<Report>>::new();
    for report in fleet.service.taken() {
        reports.entry(report.job_id.clone()).or_default().push(report);
    }
    for reports in reports.values() {
        reports_only_go_forward(reports);
    }
}

/// As [`check`], for a fleet whose store came back empty: what the service was told before is then not known to a worker
/// that comes later, so its reports may begin anew.
///
/// # Panics
/// Where something is not as it must be.
pub fn check_after_loss(fleet: &Fleet) {
    no_delivery_is_finished_twice_or_without_having_come(&fleet.log.history());
}

fn no_delivery_is_finished_twice_or_without_having_come(history: &[LogEntry]) {
    let (mut came, mut finished) = (HashSet::<DeliveryTag>::new(), HashSet::new());
    for entry in history {
        match entry {
            LogEntry::Delivered { tag, .. } => assert!(came.insert(*tag), "{tag:?} was delivered twice in one epoch"),
            LogEntry::Finished { tag, worker } => {
                assert!(came.contains(tag), "{worker} finished {tag:?}, which never came");
                assert!(finished.insert(*tag), "{worker} finished {tag:?} twice");
            }
            LogEntry::Published(_) | LogEntry::Left(_) => {}
        }
    }
}

fn reports_only_go_forward(reports: &[Report]) {
    let mut by_worker = HashMap::<&str, &Report>::new();
    for report in reports {
        if let Some(before) = by_worker.insert(&report.worker, report) {
            assert!(before.sequence <= report.sequence, "an old report came late: {before:?}, then {report:?}");
        }
    }
    let mut by_sequence: Vec<&Report> = reports.iter().collect();
    by_sequence.sort_by_key(|report| report.sequence);
    for pair in by_sequence.windows(2) {
        let [before, after] = pair else { continue };
        assert!(before.progress <= after.progress, "progress went back: {before:?}, then {after:?}");
        assert!(before.status.rank() <= after.status.rank(), "the status went back: {before:?}, then {after:?}");
        assert!(!before.status.is_terminal() || before == after, "{after:?} follows the end {before:?}");
    }
}

/// Checks that nothing of a completed job counted as finished before what follows it was acknowledged.
/// `film` is the one that [`super::stages::FakeStages`] made the plan of; its input was never replaced.
///
/// # Panics
/// Where something is not as it must be.
pub fn check_chains(fleet: &Fleet, job: &JobSpec, film: super::stages::Film) {
    let completed = fleet.service.last_of(&job.job_id).is_some_and(|report| report.status == JobStatus::Completed);
    assert!(completed, "{} is not completed", job.job_id);
    let plan = Plan::build(job.clone(), identity(), facts_of(film.chunks, film.audio), film.parallelism)
        .unwrap_or_else(|failure| panic!("the plan of {}: {failure}", job.job_id));
    let mut published = HashSet::new();
    let mut finished = HashSet::new();
    for entry in fleet.log.history() {
        match entry {
            LogEntry::Published(record) => drop(published.insert(record.key)),
            LogEntry::Finished { tag, .. } => {
                let due = due_after(fleet, &plan, tag, &mut finished);
                for key in due {
                    assert!(published.contains(key.as_bytes()), "{tag:?} was finished before {key} was acknowledged");
                }
            }
            LogEntry::Delivered { .. } | LogEntry::Left(_) => {}
        }
    }
}

/// Keys that must be in the log once `tag` is finished.
fn due_after(fleet: &Fleet, plan: &Plan, tag: DeliveryTag, finished: &mut HashSet<String>) -> Vec<String> {
    let Some(record) = fleet.log.record(tag) else { return Vec::new() };
    let (job_id, fingerprint) = (&plan.job.job_id, plan.fingerprint());
    let key_of = |unit| Task::for_unit(job_id, &fingerprint, unit).key();
    if tag.queue == Queue::Jobs && record.key == job_id.as_str().as_bytes() {
        return after_split(plan).into_iter().map(key_of).collect();
    }
    let Some(task) = record.value.as_deref().and_then(|value| serde_json::from_slice::<Task>(value).ok()) else {
        return Vec::new();
    };
    let Some(unit) = task.unit().filter(|_| task.job_id() == job_id) else { return Vec::new() };
    finished.insert(task.key());
    let mut due: Vec<String> = after_unit(plan, unit).into_iter().map(key_of).collect();
    if units(plan).all(|unit| finished.contains(&key_of(unit))) {
        due.push(format!("{job_id}/assemble"));
    }
    due
}

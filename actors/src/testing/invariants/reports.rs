//! What the service is told.

use std::collections::{BTreeMap, HashMap};

use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::testing::chronicle::Event;

/// A report, and the worker that brought it.
type Told<'a> = (&'a str, &'a Report);

/// Reports have numbers of the store; between two losses of the store they only go forward.
pub(super) fn check(events: &[Event]) {
    let mut loss = 0;
    let mut numbers = HashMap::<(&JobId, u64), u32>::new();
    let mut last = HashMap::<&JobId, u64>::new();
    let mut highest = HashMap::<&JobId, u64>::new();
    let mut reports = BTreeMap::<(&JobId, u32), Vec<Told>>::new();
    for event in events {
        match event {
            Event::Emptied => {
                loss += 1;
                last.clear();
            }
            Event::Numbered(job_id, number) => {
                let before = last.insert(job_id, *number);
                assert!(before < Some(*number), "report {number} of {job_id} follows {before:?}");
                numbers.insert((job_id, *number), loss);
            }
            Event::Ended(job_id, status, number) => {
                let before = highest.get(job_id);
                assert!(before < Some(number), "{job_id} is {status:?} with {number}, which is older than {before:?}");
            }
            Event::Reported { by, report } => {
                let highest = highest.entry(&report.job_id).or_default();
                *highest = (*highest).max(report.sequence);
                let number = (&report.job_id, report.sequence);
                let Some(loss) = numbers.get(&number) else { panic!("{report:?} has a number that nobody gave it") };
                reports.entry((&report.job_id, *loss)).or_default().push((by, report));
            }
            _ => {}
        }
    }
    reports.values().for_each(|reports| go_forward(reports));
}

/// Whatever the store forgets: what a worker tells of a job, it remembers while it lives and the job has not ended.
pub(super) fn are_remembered(events: &[Event]) {
    let mut last = HashMap::<(&str, &JobId), &Report>::new();
    for event in events {
        match event {
            Event::Died(worker) | Event::Left(worker) => last.retain(|(by, _), _| by != worker),
            Event::Ended(job_id, ..) => last.retain(|(_, of), _| *of != job_id),
            Event::Reported { by, report } if !report.status.is_terminal() => {
                if let Some(before) = last.insert((by, &report.job_id), report) {
                    is_forward(before, report);
                }
            }
            _ => {}
        }
    }
}

/// The reports of a job only go forward, over all losses.
pub(super) fn only_go_forward(events: &[Event]) {
    let mut by_job = BTreeMap::<&JobId, Vec<Told>>::new();
    for event in events {
        if let Event::Reported { by, report } = event {
            by_job.entry(&report.job_id).or_default().push((by, report));
        }
    }
    by_job.values().for_each(|reports| go_forward(reports));
}

/// No worker brings an old report after a newer one. What two workers bring may come in any order: the service goes by
/// the numbers.
fn go_forward(reports: &[Told]) {
    let mut by_worker = HashMap::<&str, &Report>::new();
    for (by, report) in reports {
        if let Some(before) = by_worker.insert(by, report) {
            assert!(before.sequence <= report.sequence, "an old report came late: {before:?}, then {report:?}");
        }
    }
    let mut by_sequence: Vec<&Report> = reports.iter().map(|(_, report)| *report).collect();
    by_sequence.sort_by_key(|report| report.sequence);
    for pair in by_sequence.windows(2) {
        let [before, after] = pair else { continue };
        is_forward(before, after);
        assert!(!before.status.is_terminal() || before == after, "{after:?} follows the end {before:?}");
    }
}

fn is_forward(before: &Report, after: &Report) {
    assert!(before.progress <= after.progress, "progress went back: {before:?}, then {after:?}");
    assert!(before.status.rank() <= after.status.rank(), "the status went back: {before:?}, then {after:?}");
}

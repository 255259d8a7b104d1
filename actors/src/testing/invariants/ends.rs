//! The ends of jobs.

use std::collections::{HashMap, HashSet};

use crate::domain::checkpoint::JobStatus;
use crate::domain::job::JobId;
use crate::testing::chronicle::Event;

/// An assembly has all its parts, of one encoder family where there must be one; an output is verified before it has its name, and has it before its job is completed;
/// a job ends once, unless the store forgot the end.
pub(super) fn check(events: &[Event]) {
    let (mut verified, mut published, mut ended) = (HashSet::new(), HashSet::new(), HashMap::new());
    for event in events {
        match event {
            Event::Incomplete(job_id, plan) => panic!("an assembly of {job_id} ({plan}) was begun without all parts"),
            Event::Mixed(job_id, plan) => panic!("an output of {job_id} ({plan}) has parts that do not go together"),
            Event::Verified(job_id, plan) => drop(verified.insert((job_id, plan))),
            Event::Output(job_id, plan) => {
                assert!(
                    verified.contains(&(job_id, plan)),
                    "an output of {job_id} was published before it was verified"
                );
                published.insert(job_id);
            }
            Event::Ended(job_id, status, _) => {
                let there = *status != JobStatus::Completed || published.contains(job_id);
                assert!(there, "{job_id} was completed before its output was published");
                let before = ended.insert(job_id, status);
                assert_eq!(before, None, "{job_id} ended again, as {status:?}");
            }
            Event::Emptied => ended.clear(),
            _ => {}
        }
    }
}

/// The service took the last report of every job that ended.
pub(super) fn were_told(events: &[Event]) {
    let mut told = HashSet::<(&JobId, u64, JobStatus)>::new();
    for event in events {
        if let Event::Reported { report, .. } = event {
            told.insert((&report.job_id, report.sequence, report.status));
        }
    }
    for event in events {
        if let Event::Ended(job_id, status, sequence) = event {
            assert!(told.contains(&(job_id, *sequence, *status)), "nobody was told that {job_id} is {status:?}");
        }
    }
}

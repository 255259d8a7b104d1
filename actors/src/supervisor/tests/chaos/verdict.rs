//! What must be true when the adversary has gone and all is quiet.

use std::collections::HashMap;

use super::adversary::Adversary;
use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::FailureClass;
use crate::domain::job::JobId;
use crate::domain::record::Queue;
use crate::testing::chronicle::Event;
use crate::testing::invariants::{check as check_all, check_after_loss, check_at_rest};

pub(super) fn check(adversary: &Adversary) {
    let fleet = &adversary.fleet;
    if fleet.chronicle.any(|event| *event == Event::Emptied) {
        check_after_loss(fleet);
    } else {
        check_all(fleet);
    }
    check_at_rest(fleet);
    for job_id in &adversary.jobs {
        ended_for_a_reason(adversary, job_id);
        let removed = fleet.stages.is_empty_of(job_id) || was_forgotten(adversary, job_id);
        assert!(removed, "{job_id} has ended, and its work is still there");
    }
    attempts_are_counted_first(adversary);
    what_requires_a_device_is_made_by_one(adversary);
    let letters = fleet.log.records(Queue::DeadLetter);
    assert!(adversary.world.may_fail() || letters.is_empty(), "dead letters: {letters:?}");
}

/// No run of a stage is begun that was not counted: otherwise nobody would give a task up that kills its workers. An input
/// is cut again within the attempt of the task that found its source lost or its outputs different, once for each time.
fn attempts_are_counted_first(adversary: &Adversary) {
    let fleet = &adversary.fleet;
    let mut counted = HashMap::<String, usize>::new();
    fleet.chronicle.read(|events| {
        for event in events {
            if let Event::Counted { task, .. } = event {
                *counted.entry(task.clone()).or_default() += 1;
            }
        }
    });
    for run in fleet.stages.runs().iter().filter(|run| run.cuts_again) {
        let job = run.key.split('/').next().unwrap_or_default();
        *counted.entry(format!("{job}/split")).or_default() += 1;
    }
    // A device that fails costs no attempt: the CPU takes over within it.
    let requires = |key: &str| adversary.requires(key.split('/').next().unwrap_or_default());
    for run in fleet.stages.runs().iter().filter(|run| run.device_failed && !requires(&run.key)) {
        *counted.entry(run.key.clone()).or_default() += 1;
    }
    for run in fleet.stages.runs() {
        let left = counted.entry(run.key.clone()).or_default();
        assert!(*left > 0, "{} was begun by {} without being counted", run.key, run.worker);
        *left -= 1;
    }
}

fn what_requires_a_device_is_made_by_one(adversary: &Adversary) {
    adversary.fleet.chronicle.read(|events| {
        for event in events {
            if let Event::Recorded { job_id, offered, .. } = event
                && adversary.requires(job_id.as_str())
            {
                let by_cpu = offered.encoders().any(|family| !family.is_device());
                assert!(!by_cpu, "{job_id} requires a device, and the CPU made {}", offered.unit);
            }
        }
    });
}

/// Whether the store lost that the job has ended. A part that becomes durable afterwards stays: nobody may remove the work
/// of a job that is not known, because somebody may just be cutting its input.
fn was_forgotten(adversary: &Adversary, job_id: &JobId) -> bool {
    adversary.fleet.chronicle.read(|events| {
        let ended = events.iter().rposition(|event| matches!(event, Event::Ended(of, ..) if of == job_id));
        let emptied = events.iter().rposition(|event| *event == Event::Emptied);
        emptied > ended
    })
}

/// Jobs are completed, unless the adversary gave them a reason to end otherwise.
fn ended_for_a_reason(adversary: &Adversary, job_id: &JobId) {
    for report in adversary.fleet.service.taken_of(job_id).iter().filter(|report| report.status.is_terminal()) {
        match report.status {
            JobStatus::Cancelled => assert!(adversary.cancelled.contains(job_id), "nobody cancelled {job_id}"),
            JobStatus::Failed => failed_for_a_reason(adversary, job_id, report.error.as_ref().map(|error| error.class)),
            _ => assert_eq!(report.status, JobStatus::Completed),
        }
    }
}

fn failed_for_a_reason(adversary: &Adversary, job_id: &JobId, class: Option<FailureClass>) {
    let most = adversary.world.max_attempts;
    let used_up = |event: &Event| match event {
        Event::Counted { job_id: of, attempts, .. } => of == job_id && *attempts >= most,
        _ => false,
    };
    let reason = match class {
        Some(FailureClass::Permanent) => adversary.world.may_fail(),
        Some(FailureClass::Retryable) => adversary.fleet.chronicle.any(used_up),
        // Never where the CPU may do it.
        Some(FailureClass::Device) => adversary.requires(job_id.as_str()) && adversary.fleet.chronicle.any(used_up),
        Some(FailureClass::Interrupted) | None => false,
    };
    assert!(reason, "{job_id} failed without a reason ({class:?})");
}

//! Records that are not work.

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::plan::testing::job;
use crate::domain::record::{Publication, Queue};
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::check;

fn record(queue: Queue, value: Option<&[u8]>) -> Publication {
    let headers = vec![("trace".to_owned(), b"abc".to_vec())];
    Publication { queue, key: b"key".to_vec(), value: value.map(<[u8]>::to_vec), headers }
}

#[actix::test]
async fn what_is_not_work_goes_to_the_dead_letters_as_it_came_and_is_finished() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let values: [(Queue, Option<&[u8]>); 6] = [
        (Queue::Jobs, None),
        (Queue::Jobs, Some(b"")),
        (Queue::Jobs, Some(b"\xff\xfe\x00")),
        (Queue::Jobs, Some(br#"{"job_id": "../../etc"}"#)),
        (Queue::Cpu, Some(br#"{"task": "polish", "job_id": "movie", "fingerprint": "f"}"#)),
        (Queue::Cpu, Some(&[b'x'; 100_000])),
    ];
    for (queue, value) in values {
        fleet.log.put(record(queue, value));
    }
    fleet.quiet().await;
    let letters = fleet.log.records(Queue::DeadLetter);
    assert_eq!(letters.len(), values.len());
    for (_, value) in values {
        assert!(letters.iter().any(|letter| letter.value.as_deref() == value), "{value:?} is not there");
    }
    assert!(letters.iter().all(|letter| letter.headers.contains(&("trace".to_owned(), b"abc".to_vec()))));
    assert!(letters.iter().all(|letter| letter.headers.contains(&("class".to_owned(), b"permanent".to_vec()))));
    assert!(fleet.service.taken().is_empty() && fleet.stages.runs().is_empty());
    check(&fleet);
}

#[actix::test]
async fn a_message_that_names_its_job_but_is_not_valid_is_reported_as_failed() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.log.put(record(Queue::Jobs, Some(br#"{"job_id": "movie", "input": {"uri": "nowhere"}, "outputs": []}"#)));
    let last = fleet.last_report(&"movie".parse().expect("an id")).await;
    assert_eq!(last.status, JobStatus::Failed);
    let error = last.error.expect("an error");
    assert_eq!(error.class, FailureClass::Permanent);
    assert!(error.message.contains("input.uri"), "{error}");
    fleet.quiet().await;
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1);
}

#[actix::test]
async fn other_content_under_the_id_of_a_running_job_does_not_touch_it() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    let mut other = job("movie");
    other.overwrite = true;
    fleet.submit(&other);
    fleet.log.put(record(Queue::Jobs, Some(br#"{"job_id": "movie", "broken": true}"#)));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 2);
    assert_eq!(fleet.stages.begun("movie/split"), 1);
    check(&fleet);
}

#[actix::test]
async fn other_content_does_not_fail_the_job_even_where_its_dead_letter_is_refused() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    for _ in 0..8 {
        fleet.log.refuse_next(Failure::permanent("the record is too large"));
    }
    let mut other = job("movie");
    other.overwrite = true;
    fleet.submit(&other);
    fleet.log.put(record(Queue::Jobs, Some(br#"{"job_id": "movie", "broken": true}"#)));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
}

#[actix::test]
async fn a_dead_letter_that_is_too_large_goes_without_its_value() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.log.refuse_next(Failure::permanent("the record is too large"));
    fleet.log.put(record(Queue::Jobs, Some(b"not a job")));
    fleet.quiet().await;
    let [letter] = fleet.log.records(Queue::DeadLetter).try_into().expect("one dead letter");
    assert_eq!(letter.value, None);
    assert!(letter.headers.iter().any(|(name, _)| name == "value-omitted"));
}

#[actix::test]
async fn tasks_of_jobs_that_nobody_knows_are_finished_without_work() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    for task in ["encode\",\"chunk\":0", "audio\"", "assemble\""] {
        let value = format!(r#"{{"job_id":"gone","fingerprint":"f","task":"{task}}}"#);
        fleet.log.put(record(Queue::Cpu, Some(value.as_bytes())));
    }
    fleet.quiet().await;
    assert!(fleet.stages.runs().is_empty() && fleet.log.records(Queue::DeadLetter).is_empty());
    assert!(fleet.service.taken().is_empty());
}

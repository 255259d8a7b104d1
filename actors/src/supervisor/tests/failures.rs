//! Stages that fail, by class.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::job::JobId;
use crate::domain::plan::testing::job;
use crate::domain::progress::Report;
use crate::domain::record::{Publication, Queue};
use crate::ports::JobStore as _;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::{Act, Film};

/// One task of each stage.
const STAGES: [&str; 4] = ["split", "v00001", "audio", "assemble"];

fn header(letter: &Publication, name: &str) -> String {
    let found = letter.headers.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// Runs a job of which `key` does `acts`.
async fn run_with(fleet: &Fleet, key: &str, acts: Vec<Act>) -> (JobId, Report) {
    fleet.stages.script(&format!("movie/{key}"), acts);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    let last = fleet.last_report(&job_id).await;
    fleet.quiet().await;
    check(fleet);
    (job_id, last)
}

#[actix::test]
async fn a_permanent_failure_of_any_stage_fails_the_job_at_once_with_a_dead_letter() {
    for key in STAGES {
        tokio::time::pause();
        let fleet = Fleet::default();
        let (job_id, last) = run_with(&fleet, key, vec![Act::Fail(Failure::permanent("the input is broken"))]).await;
        assert_eq!(last.status, JobStatus::Failed, "{key}");
        assert_eq!(last.error, Some(Failure::permanent("the input is broken")));
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 1);
        let [letter] = fleet.log.records(Queue::DeadLetter).try_into().expect("one dead letter");
        let expected = if key == "split" { "movie".to_owned() } else { format!("movie/{key}") };
        assert_eq!(String::from_utf8_lossy(&letter.key), expected);
        assert!(letter.value.is_some());
        assert_eq!((header(&letter, "class"), header(&letter, "attempts")), ("permanent".into(), "1".into()));
        assert_eq!(header(&letter, "reason"), "the input is broken");
        assert_eq!(
            header(&letter, "origin-topic"),
            if key == "split" { "transcoding" } else { "transcoding.tasks.cpu" }
        );
        assert!(fleet.stages.is_empty_of(&job_id));
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_failure_that_passes_is_tried_again_and_leaves_no_trace() {
    for key in STAGES {
        tokio::time::pause();
        let fleet = Fleet::default();
        let acts = vec![Act::Fail(Failure::retryable("the disk is full")); 2];
        let (_, last) = run_with(&fleet, key, acts).await;
        assert_eq!((last.status, last.error), (JobStatus::Completed, None), "{key}");
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 3);
        assert!(fleet.log.records(Queue::DeadLetter).is_empty());
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_failure_that_does_not_pass_fails_the_job_after_max_attempts() {
    for key in STAGES {
        tokio::time::pause();
        let fleet = Fleet::default();
        let (_, last) = run_with(&fleet, key, vec![Act::Fail(Failure::retryable("the disk is full")); 9]).await;
        assert_eq!(last.status, JobStatus::Failed, "{key}");
        assert_eq!(last.error.map(|error| error.class), Some(FailureClass::Retryable));
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 3);
        let [letter] = fleet.log.records(Queue::DeadLetter).try_into().expect("one dead letter");
        assert_eq!((header(&letter, "class"), header(&letter, "attempts")), ("retryable".into(), "3".into()));
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_task_that_waits_for_its_next_attempt_occupies_no_encoder() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let film = Film { chunks: 2, parallelism: 2, audio: false };
    fleet.stages.film("bad", film);
    fleet.stages.film("good", film);
    for key in ["bad/v00000", "bad/v00001"] {
        fleet
            .stages
            .script(key, vec![Act::Fail(Failure::retryable("not now")), Act::Fail(Failure::retryable("not now"))]);
    }
    let _worker = fleet.worker("a");
    fleet.submit(&job("bad"));
    let good = fleet.submit(&job("good"));
    let began = Instant::now();
    fleet.last_report(&good).await;
    // split 5 s behind the other one's, chunks 5 s beside the failed attempts, assembly 5 s
    assert!(began.elapsed() < Duration::from_secs(27), "{:?}", began.elapsed());
    fleet.quiet().await;
}

#[actix::test]
async fn an_input_that_cannot_be_looked_at_counts_as_an_attempt() {
    tokio::time::pause();
    let fleet = Fleet::default();
    for _ in 0..3 {
        fleet.stages.fail_identify(Failure::retryable("the share is not mounted"));
    }
    let (_, last) = run_with(&fleet, "none", Vec::new()).await;
    assert_eq!(last.status, JobStatus::Failed);
    assert_eq!(fleet.stages.begun("movie/split"), 0);
}

#[actix::test]
async fn the_other_tasks_of_a_failed_job_are_dropped_when_they_come() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 20, parallelism: 10, audio: false });
    let (job_id, _) = run_with(&fleet, "v00000", vec![Act::Fail(Failure::permanent("no"))]).await;
    assert!(fleet.stages.runs().len() <= 4, "{:?}", fleet.stages.runs());
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1);
    assert!(fleet.stages.is_empty_of(&job_id));
}

#[actix::test]
async fn parts_that_are_lost_are_made_again_and_the_job_is_assembled() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let lost = ["v00001", "audio"].map(|unit| unit.to_owned().try_into().expect("a unit"));
    let (_, last) = run_with(&fleet, "assemble", vec![Act::LoseParts(lost.into())]).await;
    assert_eq!(last.status, JobStatus::Completed);
    let begun = ["v00000", "v00001", "audio", "assemble"].map(|key| fleet.stages.begun(&format!("movie/{key}")));
    assert_eq!(begun, [1, 2, 2, 2]);
}

#[actix::test]
async fn outputs_that_differ_from_the_input_are_made_from_its_beginning_and_then_given_up() {
    for (times, status) in [(1, JobStatus::Completed), (2, JobStatus::Failed)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let (_, last) = run_with(&fleet, "assemble", vec![Act::Differ; times]).await;
        assert_eq!(last.status, status);
        let begun = ["split", "v00000", "v00003", "audio", "assemble"];
        assert_eq!(begun.map(|key| fleet.stages.begun(&format!("movie/{key}"))), [2; 5]);
        if let Some(error) = last.error {
            assert_eq!(error.class, FailureClass::Permanent, "it is not tried a third time");
            assert!(error.message.contains("not what the input shows; it was decoded from its beginning"), "{error:?}");
        }
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_part_that_is_lost_every_time_fails_the_job_in_the_end() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let lost = Act::LoseParts(vec!["v00001".to_owned().try_into().expect("a unit")]);
    let (_, last) = run_with(&fleet, "assemble", vec![lost; 20]).await;
    assert_eq!(last.status, JobStatus::Failed);
}

#[actix::test]
async fn a_task_that_kills_its_worker_every_time_is_given_up() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", vec![Act::Hang; 9]);
    let job_id = fleet.submit(&job("movie"));
    for life in 1..=3 {
        let worker = fleet.worker("a");
        until("the chunk that kills", || fleet.stages.begun("movie/v00000") == life).await;
        fleet.crash("a", &worker);
        worker.ended().await;
    }
    let _worker = fleet.worker("a");
    let last = fleet.last_report(&job_id).await;
    assert!(last.error.is_some_and(|error| error.message.contains("was begun 3 times")));
    assert_eq!(fleet.stages.begun("movie/v00000"), 3);
    let checkpoint = fleet.store.read(job_id).await.expect("the store answers").expect("a checkpoint");
    assert_eq!(checkpoint.status, JobStatus::Failed);
}

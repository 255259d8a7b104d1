//! Storages that are full for a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::Failure;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::metrics as names;
use crate::ports::PartStore as _;
use crate::testing::fleet::Fleet;
use crate::testing::invariants::{check, check_chains};
use crate::testing::meter::Meter;
use crate::testing::stages::{Act, Film};

fn full() -> Failure {
    Failure::interrupted("no space left for /mnt/movie, free some")
}

#[actix::test]
async fn a_full_storage_costs_no_attempt_in_any_stage_and_the_job_goes_on_when_there_is_space() {
    for key in ["split", "v00001", "audio", "assemble"] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script(&format!("movie/{key}"), vec![Act::Fail(full()); 20]);
        let _worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        let last = fleet.last_report(&job_id).await;
        assert_eq!((last.status, last.error), (JobStatus::Completed, None), "{key}");
        fleet.quiet().await;
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 21);
        assert!(fleet.log.records(Queue::DeadLetter).is_empty());
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_full_storage_is_looked_at_again_after_a_second_and_then_less_and_less_often() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", vec![Act::Fail(full()); 20]);
    let _worker = fleet.worker("a");
    let began = Instant::now();
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    // 20 halves of a run, 15 of the pauses between 15 s and 30 s, those before them 15 s to 31 s together.
    let took = began.elapsed();
    assert!((Duration::from_secs(280)..Duration::from_secs(560)).contains(&took), "{took:?}");
}

#[actix::test]
async fn an_input_that_cannot_be_looked_at_for_want_of_space_costs_no_attempt_either() {
    tokio::time::pause();
    let fleet = Fleet::default();
    (0..9).for_each(|_| fleet.stages.fail_identify(full()));
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    let attempts = fleet.store.count_attempt(job_id, "movie/split".into()).await.expect("the store answers");
    assert_eq!(attempts, 2);
}

#[actix::test]
async fn a_full_storage_is_counted_as_an_interruption() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", vec![Act::Fail(full()); 4]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    assert_eq!(meter.counted(names::TASKS_TOTAL, &["stage=encode", "outcome=interrupted"]), 4);
    assert_eq!(meter.counted(names::ERRORS_TOTAL, &["class=interrupted"]), 4);
}

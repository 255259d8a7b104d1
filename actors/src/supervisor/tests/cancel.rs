//! Jobs that somebody asks to stop.

use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::check;
use crate::testing::stages::{Act, Film};

async fn assert_cancelled_once(fleet: &Fleet) {
    let job_id = "movie".parse().expect("an id");
    let last = fleet.last_report(&job_id).await;
    assert_eq!((last.status, last.error, last.outputs), (JobStatus::Cancelled, None, None));
    fleet.quiet().await;
    assert_eq!(fleet.service.taken_of(&job_id).iter().filter(|report| report.status.is_terminal()).count(), 1);
    assert!(fleet.stages.is_empty_of(&job_id));
    assert!(fleet.log.records(Queue::DeadLetter).is_empty());
    check(fleet);
}

#[actix::test]
async fn a_running_job_is_stopped_in_any_stage_at_once() {
    for key in ["split", "v00000", "audio", "assemble"] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let key = format!("movie/{key}");
        fleet.stages.script(&key, [Act::Hang]);
        let _worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        until("the stage", || fleet.stages.begun(&key) == 1).await;
        fleet.log.cancel(&job_id);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(fleet.log.lag(), 0, "{key} runs on");
        assert_cancelled_once(&fleet).await;
        assert_eq!(fleet.stages.begun(&key), 1);
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_job_with_tasks_on_two_workers_is_cancelled_once() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 30, parallelism: 8, audio: true });
    let _workers = [fleet.worker("a"), fleet.worker("b")];
    let job_id = fleet.submit(&job("movie"));
    tokio::time::sleep(Duration::from_secs(12)).await;
    fleet.log.cancel(&job_id);
    assert_cancelled_once(&fleet).await;
}

#[actix::test]
async fn a_job_that_waits_behind_others_is_cancelled_without_being_begun() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("first/split", [Act::Take(Duration::from_secs(60))]);
    let _worker = fleet.worker("a");
    fleet.submit(&job("first"));
    until("the first split", || fleet.stages.begun("first/split") == 1).await;
    let job_id = fleet.submit(&job("movie"));
    fleet.log.cancel(&job_id);
    assert_cancelled_once(&fleet).await;
    assert_eq!(fleet.stages.begun("movie/split"), 0);
}

#[actix::test]
async fn a_cancellation_that_comes_before_its_job_counts() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    until("the group", || worker.status().borrow().ready()).await;
    fleet.log.cancel(&"movie".parse().expect("an id"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    fleet.submit(&job("movie"));
    assert_cancelled_once(&fleet).await;
    assert_eq!(fleet.stages.begun("movie/split"), 0);
}

#[actix::test]
async fn a_worker_that_missed_the_cancellation_sees_it_with_its_next_renewal() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [Act::Hang]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    let step = crate::domain::checkpoint::Advance { cancel: true, ..Default::default() };
    let now = crate::ports::Clock::now(&fleet.clock);
    crate::ports::JobStore::advance(&fleet.store, job_id, step, now).await.expect("the store answers");
    assert_cancelled_once(&fleet).await;
}

#[actix::test]
async fn a_job_that_has_ended_cannot_be_cancelled() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.log.cancel(&job_id);
    tokio::time::sleep(Duration::from_secs(60)).await;
    fleet.submit(&job("movie"));
    fleet.quiet().await;
    let ends: Vec<_> =
        fleet.service.taken_of(&job_id).into_iter().filter(|report| report.status.is_terminal()).collect();
    assert_eq!(ends.iter().map(|report| report.status).collect::<Vec<_>>(), [JobStatus::Completed]);
}

//! What is counted.

use std::time::Duration;

use crate::domain::failure::Failure;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::metrics as names;
use crate::ports::SourceEvent;
use crate::testing::fleet::{Fleet, until};
use crate::testing::meter::Meter;
use crate::testing::stages::{Act, Film};

#[actix::test]
async fn tasks_jobs_media_failures_and_restarts_are_counted() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::Fail(Failure::retryable("the disk is full")), Act::Panic]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.quiet().await;
    assert_eq!(meter.counted(names::TASKS_TOTAL, &["stage=encode", "outcome=done"]), 4);
    assert_eq!(meter.counted(names::TASKS_TOTAL, &["stage=encode", "outcome=retried"]), 1);
    assert_eq!(meter.recorded(names::TASK_DURATION_SECONDS, &["stage=split", "outcome=done"]), 1);
    assert_eq!(meter.counted(names::JOBS_TOTAL, &["outcome=completed"]), 1);
    assert_eq!(meter.recorded(names::JOB_DURATION_SECONDS, &["outcome=completed"]), 1);
    assert_eq!(meter.counted(names::ERRORS_TOTAL, &["class=retryable"]), 1);
    assert_eq!(meter.counted(names::MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=x264"]), 40);
    // Two attempts at a chunk of 10 s failed.
    assert_eq!(wasted(&meter), 20);
    assert_eq!(meter.recorded(names::ENCODE_FPS, &["codec=h264", "encoder=x264"]), 4);
    assert_eq!(meter.recorded(names::ENCODE_SPEED_RATIO, &["codec=h264", "encoder=x264"]), 4);
    assert_eq!(meter.counted(names::ACTOR_RESTARTS_TOTAL, &["actor=encoder"]), 1);
    assert_eq!((meter.shown(names::POOL_SLOTS, &[]), meter.shown(names::POOL_BUSY, &[])), (3.0, 0.0));
}

fn wasted(meter: &Meter) -> u64 {
    meter.counted(names::WASTED_MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=x264"])
}

#[actix::test]
async fn a_job_without_mishap_wastes_nothing_and_a_cancelled_one_neither() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let whole = fleet.submit(&job("whole"));
    fleet.last_report(&whole).await;
    let cancelled = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    fleet.log.cancel(&cancelled);
    fleet.last_report(&cancelled).await;
    assert_eq!(wasted(&meter), 0);
}

#[actix::test]
async fn what_a_dead_worker_had_begun_is_counted_when_it_is_begun_again() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 2, parallelism: 1, audio: false });
    fleet.stages.script("movie/v00001", [Act::Hang]);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00001") == 1).await;
    fleet.crash("a", &worker);
    worker.ended().await;
    let _worker = fleet.worker("b");
    fleet.last_report(&job_id).await;
    assert_eq!(wasted(&meter), 10);
}

#[actix::test]
async fn an_interrupted_attempt_counts_what_it_had_done_and_the_next_one_nothing() {
    for is_drain in [true, false] {
        tokio::time::pause();
        let meter = Meter::default();
        let _local = metrics::set_default_local_recorder(&meter);
        let fleet = Fleet::default();
        fleet.stages.film("movie", Film { chunks: 2, parallelism: 1, audio: false });
        // Both stop at half of their time: 5 s of media.
        let act = if is_drain { Act::Hang } else { Act::Fail(Failure::interrupted("no space left")) };
        fleet.stages.script("movie/v00001", [act]);
        let worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        if is_drain {
            until("the chunk", || fleet.stages.begun("movie/v00001") == 1).await;
            tokio::time::sleep(Duration::from_secs(4)).await;
            worker.drain();
            worker.ended().await;
        }
        let _second = fleet.worker("b");
        fleet.last_report(&job_id).await;
        assert_eq!(wasted(&meter), 5, "{is_drain}");
        tokio::time::resume();
    }
}

#[actix::test]
async fn the_lag_of_a_partition_is_shown_until_it_goes_to_another_worker() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    until("the group", || worker.status().borrow().ready()).await;
    fleet.log.tell("a", SourceEvent::Lag { queue: Queue::Cpu, partition: 3, records: 17 });
    let labels = ["topic=transcoding.tasks.cpu", "partition=3"];
    until("the lag", || meter.shown(names::CONSUMER_LAG, &labels) == 17.0).await;
    fleet.log.tell("a", SourceEvent::Revoked(vec![(Queue::Cpu, 3)]));
    until("no lag", || meter.shown(names::CONSUMER_LAG, &labels) == 0.0).await;
}

//! What is counted.

use crate::failure::Failure;
use crate::metrics as names;
use crate::plan::testing::job;
use crate::ports::{Queue, SourceEvent};
use crate::testing::fleet::{Fleet, until};
use crate::testing::meter::Meter;
use crate::testing::stages::Act;

#[actix::test]
async fn tasks_jobs_media_failures_and_restarts_are_counted() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [Act::Fail(Failure::device("the GPU is gone")), Act::Panic]);
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.quiet().await;
    assert_eq!(meter.counted(names::TASKS_TOTAL, &["stage=encode", "outcome=done"]), 4);
    assert_eq!(meter.counted(names::TASKS_TOTAL, &["stage=encode", "outcome=retried"]), 1);
    assert_eq!(meter.recorded(names::TASK_DURATION_SECONDS, &["stage=split", "outcome=done"]), 1);
    assert_eq!(meter.counted(names::JOBS_TOTAL, &["outcome=completed"]), 1);
    assert_eq!(meter.recorded(names::JOB_DURATION_SECONDS, &["outcome=completed"]), 1);
    assert_eq!(meter.counted(names::ERRORS_TOTAL, &["class=device"]), 1);
    assert_eq!(meter.counted(names::MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=x264"]), 40);
    assert_eq!(meter.counted(names::WASTED_MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=x264"]), 0);
    assert_eq!(meter.recorded(names::ENCODE_FPS, &["codec=h264", "encoder=x264"]), 4);
    assert_eq!(meter.recorded(names::ENCODE_SPEED_RATIO, &["codec=h264", "encoder=x264"]), 4);
    assert_eq!(meter.counted(names::ACTOR_RESTARTS_TOTAL, &["actor=encoder"]), 1);
    assert_eq!((meter.shown(names::POOL_SLOTS, &[]), meter.shown(names::POOL_BUSY, &[])), (3.0, 0.0));
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

//! Actors that panic.

use std::time::Duration;

use super::faulty::Faulty;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::Failure;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::ports::SourceEvent;
use crate::supervisor::{Ended, Supervisor};
use crate::testing::fleet::{Fleet, settings, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::meter::Meter;
use crate::testing::stages::{Act, Film};

#[actix::test]
async fn an_encoder_that_panics_is_replaced_and_its_task_taken_up_again() {
    for key in ["split", "v00001", "audio", "assemble"] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script(&format!("movie/{key}"), [Act::Panic]);
        let _worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "{key}");
        fleet.quiet().await;
        assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 2);
        assert_eq!(fleet.stages.runs().len(), 8);
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_task_that_panics_every_time_fails_its_job_and_not_the_worker() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", vec![Act::Panic; 20]);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Failed);
    assert_eq!(fleet.stages.begun("movie/v00001"), 3);
    fleet.quiet().await;
    let other = fleet.submit(&job("other"));
    assert_eq!(fleet.last_report(&other).await.status, JobStatus::Completed);
    assert!(worker.status().borrow().ready());
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1);
    check(&fleet);
}

#[actix::test]
async fn encoders_that_panic_over_everything_end_the_worker() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    for index in 0..20 {
        fleet.stages.script(&format!("movie-{index}/split"), vec![Act::Panic; 20]);
        fleet.submit(&job(&format!("movie-{index}")));
    }
    let Ended::Failed(failure) = worker.ended().await else { panic!("it did not fail") };
    assert!(failure.message.contains("died too often"), "{failure}");
}

#[actix::test]
async fn a_reporter_that_panics_is_replaced_and_the_last_report_arrives() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.service.panic_next(4);
    let job_id = fleet.submit(&job("movie"));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    assert!(fleet.service.taken_of(&job_id).len() > 3);
    check(&fleet);
}

#[actix::test]
async fn a_consumer_that_panics_is_replaced_and_nothing_is_lost_or_done_twice() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut adapters = fleet.adapters("a");
    adapters.publisher = Faulty::new(fleet.log.clone(), 2);
    let _worker = Supervisor::start(adapters, settings("a"));
    let job_id = fleet.submit(&job("movie"));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert_eq!(fleet.stages.runs().len(), 7);
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn what_runs_when_the_consumer_dies_goes_on_and_runs_no_second_time_beside_it() {
    for after in [1, 7, 9, 12, 15, 22] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        tokio::time::sleep(Duration::from_secs(after)).await;
        fleet.log.tell("a", SourceEvent::Broken(Failure::retryable("the broker closed the connection")));
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "after {after} s");
        fleet.quiet().await;
        assert_eq!(fleet.stages.runs().len(), 7, "after {after} s: {:?}", fleet.stages.runs());
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        worker.stop();
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_capability_actor_that_panics_is_replaced() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut adapters = fleet.adapters("a");
    adapters.probe = Faulty::new(fleet.machine.clone(), 3);
    let worker = Supervisor::start(adapters, settings("a"));
    until("a probe", || worker.status().borrow().ready()).await;
}

#[actix::test]
async fn a_probe_that_always_panics_ends_the_worker() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut adapters = fleet.adapters("a");
    adapters.probe = Faulty::new(fleet.machine.clone(), usize::MAX);
    let worker = Supervisor::start(adapters, settings("a"));
    assert!(matches!(worker.ended().await, Ended::Failed(failure) if failure.message.contains("capability")));
}

#[actix::test]
async fn a_worker_announces_itself_as_long_as_it_lives() {
    use crate::ports::LeaseStore as _;
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    tokio::time::sleep(Duration::from_secs(600)).await;
    let known = fleet.store.workers().await.expect("the store answers");
    assert_eq!(known.iter().map(|info| (info.worker.as_str(), info.slots)).collect::<Vec<_>>(), [("a", 2)]);
    worker.drain();
    worker.ended().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(fleet.store.workers().await.expect("the store answers").is_empty());
}

#[actix::test]
async fn a_checkpointer_that_panics_at_any_call_is_replaced_and_asked_again() {
    for calls in 0..60 {
        tokio::time::pause();
        let fleet = Fleet::default();
        let mut adapters = fleet.adapters("a");
        adapters.store = Faulty::after(calls, fleet.store.clone(), 1);
        let worker = Supervisor::start(adapters, settings("a"));
        let job_id = fleet.submit(&job("movie"));
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "at call {calls}");
        fleet.quiet().await;
        assert_eq!(fleet.stages.runs().len(), 7, "at call {calls}");
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        worker.stop();
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_pool_that_panics_is_replaced_and_its_work_begun_again() {
    for uses in 1..=15 {
        tokio::time::pause();
        let meter = Meter::default();
        let _local = metrics::set_default_local_recorder(&meter);
        meter.panic_on(crate::metrics::POOL_BUSY, uses);
        let fleet = Fleet::default();
        let worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "at use {uses}");
        fleet.quiet().await;
        assert_eq!(meter.counted(crate::metrics::ACTOR_RESTARTS_TOTAL, &["actor=pool"]), 1, "at use {uses}");
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        for run in fleet.stages.runs() {
            assert_eq!(fleet.stages.done(&run.key), 1, "{} at use {uses}", run.key);
        }
        worker.stop();
        tokio::time::resume();
    }
}

//! Dependencies that go away and come back.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::Failure;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::ports::JobStore as _;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::{Act, Film};
use crate::testing::store::Operation;

#[actix::test]
async fn a_store_that_is_away_for_a_minute_costs_a_minute_and_no_attempt() {
    for after in [0, 2, 7, 12, 19, 22] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let _worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        tokio::time::sleep(Duration::from_secs(after)).await;
        fleet.store.set_away(true);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(fleet.service.last_of(&job_id), None);
        fleet.store.set_away(false);
        let back = Instant::now();
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
        assert!(back.elapsed() < Duration::from_secs(120), "{:?} after {after} s", back.elapsed());
        fleet.quiet().await;
        assert!(fleet.stages.runs().iter().all(|run| fleet.stages.begun(&run.key) == 1), "after {after} s");
        assert!(fleet.log.records(Queue::DeadLetter).is_empty());
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn answers_of_the_store_that_are_lost_do_no_harm() {
    for operation in [Operation::Open, Operation::Advance, Operation::Record, Operation::Finish, Operation::Hold] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let _worker = fleet.worker("a");
        fleet.store.fail_next_of(operation, 3);
        fleet.store.lose_next_answers(12);
        let job_id = fleet.submit(&job("movie"));
        assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed, "{operation:?}");
        fleet.quiet().await;
        check(&fleet);
        check_chains(&fleet, &job("movie"), Film::default());
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_store_that_comes_back_empty_in_the_middle_of_a_job_costs_no_part() {
    // Where the store is slow, the service is told of the job while its checkpoint is built again.
    for (after, delay) in [1, 6, 8, 12, 14, 17, 19, 21, 23].into_iter().flat_map(|after| [(after, 0), (after, 400)]) {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.store.delay(Duration::from_millis(delay));
        let _worker = fleet.worker("a");
        let job_id = fleet.submit(&job("movie"));
        tokio::time::sleep(Duration::from_secs(after)).await;
        fleet.store.empty();
        let last = fleet.last_report(&job_id).await;
        assert_eq!((last.status, last.chunks_done), (JobStatus::Completed, 4), "after {after} s");
        fleet.quiet().await;
        for key in ["audio", "v00000", "v00001", "v00002", "v00003"] {
            assert_eq!(fleet.stages.begun(&format!("movie/{key}")), 1, "{key}, emptied after {after} s");
        }
        check(&fleet);
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_broker_that_is_away_holds_the_job_up_and_no_more() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("a chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    fleet.log.set_away(true);
    tokio::time::sleep(Duration::from_secs(300)).await;
    fleet.log.set_away(false);
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert!(fleet.stages.runs().iter().all(|run| fleet.stages.begun(&run.key) == 1));
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn a_slow_acknowledgement_comes_before_the_delivery_counts_as_finished() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.log.set_latency(Duration::from_secs(3));
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    fleet.quiet().await;
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn the_last_report_arrives_though_the_service_is_away_for_an_hour() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.service.set_away(true);
    let began = Instant::now();
    let job_id = fleet.submit(&job("movie"));
    until("the end of the job", || fleet.stages.done("movie/assemble") == 1).await;
    assert!(began.elapsed() < Duration::from_secs(30), "the service slowed the job: {:?}", began.elapsed());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(fleet.service.tried() < 1500, "{} tries in an hour", fleet.service.tried());
    fleet.service.set_away(false);
    let back = Instant::now();
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    assert!(back.elapsed() < Duration::from_secs(20), "{:?}", back.elapsed());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.service.taken_of(&job_id).len(), 1);
}

#[actix::test]
async fn a_slow_service_slows_nothing_and_progress_never_follows_the_last_report() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.service.set_latency(Duration::from_secs(4));
    let began = Instant::now();
    let job_id = fleet.submit(&job("movie"));
    until("the end of the job", || fleet.stages.done("movie/assemble") == 1).await;
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    fleet.last_report(&job_id).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let statuses: Vec<_> = fleet.service.taken_of(&job_id).iter().map(|report| report.status.is_terminal()).collect();
    assert_eq!(statuses.iter().position(|terminal| *terminal), Some(statuses.len() - 1));
    check(&fleet);
}

#[actix::test]
async fn the_last_report_waits_for_the_progress_that_is_on_its_way() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the assembly", || fleet.stages.begun("movie/assemble") == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    fleet.service.set_latency(Duration::from_secs(4));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    fleet.service.set_latency(Duration::ZERO);
    fleet.last_report(&job_id).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(fleet.service.taken_of(&job_id).last().is_some_and(|last| last.status.is_terminal()));
    check(&fleet);
}

#[actix::test]
async fn two_workers_do_not_send_the_same_last_report() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.service.set_latency(Duration::from_secs(7));
    let _workers = [fleet.worker("a"), fleet.worker("b"), fleet.worker("c")];
    let job_id = fleet.submit(&job("movie"));
    fleet.last_report(&job_id).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.service.taken_of(&job_id).iter().filter(|report| report.status.is_terminal()).count(), 1);
}

#[actix::test]
async fn a_service_that_refuses_one_report_for_good_does_not_hold_up_the_others() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = fleet.worker("a");
    fleet.service.set_refusing(true);
    let first = fleet.submit(&job("first"));
    until("the end of the job", || fleet.stages.removed().contains(&first)).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    fleet.service.set_refusing(false);
    let second = fleet.submit(&job("second"));
    fleet.last_report(&second).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(fleet.service.last_of(&first), None);
}

#[actix::test]
async fn a_worker_without_an_encoder_takes_no_work_until_it_has_one() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.machine.set(Ok(Default::default()));
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(!worker.status().borrow().ready() && worker.status().borrow().live());
    assert!(fleet.stages.runs().is_empty());
    fleet.machine.set(Err(Failure::retryable("the probe was killed")));
    tokio::time::sleep(Duration::from_secs(300)).await;
    let able = crate::testing::service::FakeMachine::default();
    fleet.machine.set(crate::ports::CapabilityProbe::probe(&able).await);
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    assert!(worker.status().borrow().ready());
}

#[actix::test]
async fn a_lost_lease_changes_nothing_and_the_first_part_wins() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [Act::Take(Duration::from_secs(200)), Act::Take(Duration::from_secs(5))]);
    let film = Film { chunks: 1, parallelism: 1, audio: false };
    fleet.stages.film("movie", film);
    let _workers = [fleet.worker("a"), fleet.worker("b")];
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    // The lease is gone, and the partition goes to the other worker.
    fleet.store.set_away(true);
    tokio::time::sleep(Duration::from_secs(40)).await;
    fleet.log.shuffle();
    fleet.store.set_away(false);
    let last = fleet.last_report(&job_id).await;
    assert_eq!(last.status, JobStatus::Completed);
    tokio::time::sleep(Duration::from_secs(300)).await;
    fleet.quiet().await;
    let checkpoint = fleet.store.read(job_id.clone()).await.expect("the store answers").expect("a checkpoint");
    assert_eq!(checkpoint.status, JobStatus::Completed);
    assert_eq!(fleet.stages.done("movie/assemble"), 1);
    assert!(fleet.stages.is_empty_of(&job_id));
    check(&fleet);
}

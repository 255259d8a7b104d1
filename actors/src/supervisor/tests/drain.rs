//! Workers that are asked to go.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::Failure;
use crate::domain::plan::testing::job;
use crate::domain::record::Queue;
use crate::ports::{JobStore as _, PartStore as _, SourceEvent};
use crate::supervisor::{Ended, Settings, Supervisor};
use crate::testing::chronicle::Event;
use crate::testing::fleet::{Fleet, settings, until};
use crate::testing::invariants::{check, check_chains};
use crate::testing::stages::{Act, Film};

#[actix::test]
async fn a_drain_lets_running_chunks_end_and_another_worker_goes_on_without_doing_them_again() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let first = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    first.drain();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(!first.status().borrow().ready() && first.status().borrow().live());
    assert_eq!(first.ended().await, Ended::Drained);
    assert!(!first.status().borrow().live());
    assert!(fleet.chronicle.any(|event| *event == Event::Left("a".into())));
    let begun = fleet.stages.runs().len();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(fleet.stages.runs().len(), begun, "something was begun after the drain");
    let _second = fleet.worker("b");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert!(fleet.stages.runs().iter().all(|run| fleet.stages.begun(&run.key) == 1));
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn chunks_that_take_too_long_for_the_drain_are_interrupted_and_that_is_no_attempt() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", vec![Act::Hang; 5]);
    let job_id = fleet.submit(&job("movie"));
    for round in 1..=5 {
        let worker = fleet.worker("a");
        until("the chunk", || fleet.stages.begun("movie/v00000") == round).await;
        let began = Instant::now();
        worker.drain();
        assert_eq!(worker.ended().await, Ended::Drained);
        let took = began.elapsed().as_secs();
        assert!((30..33).contains(&took), "the drain took {took} s");
    }
    let _worker = fleet.worker("b");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    let attempts = fleet.store.count_attempt(job_id, "movie/v00000".into()).await.expect("the store answers");
    assert_eq!(attempts, 2);
    fleet.quiet().await;
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn an_interrupted_chunk_gives_its_lease_back_so_that_the_next_worker_need_not_wait() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [Act::Hang]);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunk", || fleet.stages.begun("movie/v00000") == 1).await;
    worker.drain();
    worker.ended().await;
    let began = Instant::now();
    let _next = fleet.worker("b");
    fleet.last_report(&job_id).await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

#[actix::test]
async fn a_drain_ends_though_everything_is_away() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    fleet.store.set_away(true);
    fleet.log.set_away(true);
    fleet.service.set_away(true);
    let began = Instant::now();
    worker.drain();
    worker.drain();
    assert_eq!(worker.ended().await, Ended::Drained);
    assert!(began.elapsed() < Duration::from_secs(30 + 7 + 10 + 5 + 1), "{:?}", began.elapsed());
}

#[actix::test]
async fn an_idle_worker_drains_at_once() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    until("the group", || worker.status().borrow().ready()).await;
    let began = Instant::now();
    worker.drain();
    assert_eq!(worker.ended().await.exit_code(), 0);
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[actix::test]
async fn tasks_that_wait_are_left_to_others_when_a_worker_drains() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", vec![Act::Fail(Failure::retryable("not now")); 2]);
    let film = Film { chunks: 8, parallelism: 8, audio: true };
    fleet.stages.film("movie", film);
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    worker.drain();
    worker.ended().await;
    assert!(fleet.log.lag() > 0);
    let _next = fleet.worker("b");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
    check_chains(&fleet, &job("movie"), film);
}

#[actix::test]
async fn a_worker_whose_consumer_cannot_go_on_ends_with_the_reason() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    until("the group", || worker.status().borrow().ready()).await;
    fleet.log.tell("a", SourceEvent::Broken(Failure::permanent("the group was fenced")));
    let Ended::Failed(failure) = worker.ended().await else { panic!("it did not fail") };
    assert!(failure.message.contains("fenced"), "{failure}");
    assert!(!worker.status().borrow().live());
}

#[actix::test]
async fn a_worker_that_cannot_connect_tries_a_few_times_and_ends() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut adapters = fleet.adapters("a");
    adapters.connect = std::sync::Arc::new(|_| Err(Failure::retryable("no broker answers")));
    let worker =
        Supervisor::start(adapters, Settings { pool: crate::work::PoolSize { cpu: 1, io: 1 }, ..settings("a") });
    let ended = worker.ended().await;
    assert!(matches!(&ended, Ended::Failed(failure) if failure.message.contains("consumer")), "{ended:?}");
    assert_eq!(ended.exit_code(), 1);
}

#[actix::test]
async fn a_consumer_that_breaks_in_passing_joins_again() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let worker = fleet.worker("a");
    let job_id = fleet.submit(&job("movie"));
    until("the chunks", || fleet.stages.begun("movie/v00000") == 1).await;
    fleet.log.tell("a", SourceEvent::Broken(Failure::retryable("the coordinator moved")));
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    assert!(worker.status().borrow().ready());
    assert!(fleet.stages.runs().iter().all(|run| fleet.stages.begun(&run.key) == 1));
    assert!(fleet.log.records(Queue::DeadLetter).is_empty());
    let checkpoint = fleet.store.read(job_id).await.expect("the store answers").expect("a checkpoint");
    assert_eq!(checkpoint.chunks_done, 4);
    check(&fleet);
    check_chains(&fleet, &job("movie"), Film::default());
}

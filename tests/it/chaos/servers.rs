//! Redis, Kafka and the Transcoding Service fail in the middle of a job.

use std::time::Duration;

use actors::domain::checkpoint::JobStatus;

use super::films::Film;
use super::{VARIABLES, completes, completes_in_order};
use crate::support::fleet::{Fleet, Servers};
use crate::support::kafka::Kafka;
use crate::support::redis::Redis;
use crate::support::service::Answer;

/// How long Redis is away where nothing else says when it comes back.
const AWAY: Duration = Duration::from_secs(30);

/// Two workers in the middle of a job.
async fn in_the_middle(servers: Servers) -> Fleet {
    let fleet = Fleet::start_on(servers, 2, &VARIABLES).await;
    fleet.publish(&Film::Small.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 2).await;
    fleet
}

fn durable_redis() -> Servers {
    Servers { redis: Redis::start_durable(), kafka: None }
}

#[actix_rt::test]
async fn a_redis_that_is_killed_and_comes_back_with_its_data_costs_nothing() {
    let mut fleet = in_the_middle(durable_redis()).await;
    fleet.servers.redis.restart(false);
    completes_in_order(&fleet, "movie", Film::Small).await;
    assert!(fleet.dead_letters().is_empty());
}

#[actix_rt::test]
async fn a_redis_that_comes_back_empty_costs_no_part() {
    let mut fleet = in_the_middle(Servers::default()).await;
    fleet.servers.redis.restart(true);
    completes(&fleet, "movie", Film::Small).await;
    fleet.service.assert_in_order();
    assert!(fleet.log().contains("building it again from the work storage"), "{}", fleet.log());
}

#[actix_rt::test]
async fn while_redis_is_away_no_worker_is_ready_and_no_attempt_is_lost() {
    let mut fleet = in_the_middle(durable_redis()).await;
    fleet.servers.redis.kill();
    for worker in fleet.workers() {
        worker.wait_unready("checkpoint store does not answer").await;
    }
    tokio::time::sleep(AWAY).await;
    fleet.servers.redis.restart(false);
    fleet.workers().iter().for_each(crate::support::worker::Worker::wait_ready);
    completes_in_order(&fleet, "movie", Film::Small).await;
    assert!(fleet.log().contains("checkpoint store is away, work waits for it"), "{}", fleet.log());
    assert!(fleet.log().contains("checkpoint store is back"), "{}", fleet.log());
    let again: f64 = fleet.workers().iter().map(|worker| worker.metric("transcode_wasted_media_seconds_total")).sum();
    assert_eq!(again, 0.0, "chunks were encoded again");
}

#[actix_rt::test]
async fn a_broker_that_is_killed_and_comes_back_loses_no_task() {
    let fleet = in_the_middle(Servers { kafka: Some(Kafka::start()), ..Servers::default() }).await;
    let kafka = fleet.servers.kafka.as_ref().expect("its own");
    kafka.kill();
    for worker in fleet.workers() {
        worker.wait_unready("Kafka does not answer").await;
    }
    kafka.restart();
    fleet.workers().iter().for_each(crate::support::worker::Worker::wait_ready);
    completes_in_order(&fleet, "movie", Film::Small).await;
}

/// The service fails during the whole job; when it is well again, it is told the end.
async fn the_end_is_told_late(answer: Answer) {
    let fleet = Fleet::start(1, &VARIABLES).await;
    fleet.service.otherwise(answer);
    fleet.publish(&Film::Silent.job("movie", fleet.bench.root()));
    // The job ends although nobody listens.
    fleet.wait_for_no_lag();
    fleet.wait_for_status("movie", JobStatus::Completed).await;
    Film::Silent.assert_same(&fleet, "movie");
    fleet.wait_for_no_work_files();
    fleet.service.otherwise(Answer::Status(204));
    let heard = |received: &[crate::support::service::Received]| {
        received.iter().any(|one| one.confirmed && one.report.status == JobStatus::Completed)
    };
    fleet.service.wait_within(super::LONG, "the end is told", heard).await;
    fleet.service.assert_in_order();
}

#[actix_rt::test]
async fn a_service_that_fails_through_the_whole_job_is_told_its_end() {
    the_end_is_told_late(Answer::Status(500)).await;
}

#[actix_rt::test]
async fn a_service_that_answers_nothing_through_the_whole_job_is_told_its_end() {
    the_end_is_told_late(Answer::Hang).await;
}

#[actix_rt::test]
async fn a_service_that_takes_a_minute_for_each_answer_slows_no_job_and_is_told_its_end() {
    the_end_is_told_late(Answer::Slow(Duration::from_secs(60))).await;
}

//! Workers with a device and workers without one, on a real Kafka and a real Redis.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use serde_json::Value;

use super::{DEVICE, check, job, output};
use crate::support::fleet::Fleet;
use crate::support::worker::Worker;

/// A minute in which a dead worker is still announced, and what it takes to notice.
const GONE: Duration = Duration::from_secs(180);

/// The sum of a metric over the lines that contain `label`.
fn counted(worker: &Worker, name: &str, label: &str) -> f64 {
    let (_, page) = worker.get("/metrics").expect("the metrics");
    let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn completed(fleet: &Fleet, job: &Value) {
    let job_id = job["job_id"].as_str().expect("a job id");
    fleet.publish(job);
    let last = fleet.ends_within(GONE, &[job_id]).await.remove(0);
    assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
}

#[actix_rt::test]
async fn a_device_that_fails_is_counted_announced_and_costs_no_attempt() {
    let fails = ("TEST_DEVICE_FAILS", "6:out_of_memory");
    let fleet = Fleet::start(1, &[DEVICE, fails, ("CHUNK_SECONDS", "3")]).await;
    let job = job(&fleet.bench, "movie", "auto", &["mpegts"]);
    completed(&fleet, &job).await;
    check(&output(&fleet.bench, "movie", "mpegts"));
    let worker = &fleet.workers()[0];
    let fallbacks = counted(worker, "transcode_gpu_fallbacks_total", "out_of_memory");
    assert!(fallbacks >= 1.0, "{fallbacks}");
    for family in ["openh264", "x264"] {
        let seconds = counted(worker, "transcode_media_seconds_total", family);
        assert!(seconds >= 3.0, "{family} made {seconds} s");
    }
    assert_eq!(worker.metric("transcode_gpu_sessions"), 0.0);
    assert_eq!(counted(worker, "transcode_tasks_total", "retried"), 0.0, "an attempt was counted");
    let announced: String = fleet.redis(&["GET", &format!("transcode:worker:{}", worker.fleet_name())]).await;
    assert!(announced.contains("openh264"), "{announced}");
    fleet.wait_for_no_lag();
}

#[actix_rt::test]
async fn a_lost_device_takes_readiness_away_until_it_is_seen_to_work() {
    let fails = ("TEST_DEVICE_FAILS", "1:device_lost");
    let fleet = Fleet::start(1, &[DEVICE, fails, ("CHUNK_SECONDS", "3")]).await;
    let job = job(&fleet.bench, "movie", "auto", &["mp4"]);
    fleet.publish(&job);
    fleet.workers()[0].wait_unready("a device is lost").await;
    let last = fleet.ends(&["movie"]).await.remove(0);
    assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    check(&output(&fleet.bench, "movie", "mp4"));
    // A probe is a first chunk, and sees that the stand-in works.
    fleet.workers()[0].wait_ready();
}

#[actix_rt::test]
async fn chunks_for_a_device_are_done_by_the_cpu_when_the_worker_that_had_it_is_dead() {
    let mut fleet = Fleet::start(1, &[DEVICE, ("CHUNK_SECONDS", "3"), ("ENCODER_POOL_SIZE", "1")]).await;
    fleet.add_worker_with(&[("TEST_DEVICE_ENCODER", "")]);
    fleet.workers().iter().for_each(Worker::wait_ready);
    let job = job(&fleet.bench, "movie", "auto", &["mpegts", "mp4"]);
    fleet.publish(&job);
    fleet.chunks_done("movie", 3).await;
    let with_device = fleet.workers()[0].fleet_name();
    fleet.kill(&with_device);
    let last = fleet.ends_within(GONE, &["movie"]).await.remove(0);
    assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    for container in ["mpegts", "mp4"] {
        check(&output(&fleet.bench, "movie", container));
    }
}

#[actix_rt::test]
async fn a_job_that_requires_a_device_stays_queued_until_its_time_is_over() {
    let fleet = Fleet::start(1, &[("GPU_WAIT_TIMEOUT", "4s")]).await;
    let began = Instant::now();
    fleet.publish(&job(&fleet.bench, "movie", "require", &["mp4"]));
    let last = fleet.ends(&["movie"]).await.remove(0);
    assert_eq!(last.status, JobStatus::Failed);
    let error = last.error.expect("a reason").message;
    assert!(error.contains("requires a GPU") && error.contains("GPU_WAIT_TIMEOUT"), "{error}");
    assert!(began.elapsed() >= Duration::from_secs(4));
    let queued = |report: &actors::domain::progress::Report| report.status == JobStatus::Queued;
    assert!(fleet.service.received().iter().any(|one| queued(&one.report)), "nobody was told that it waits");
}

#[actix_rt::test]
async fn a_gpu_that_is_expected_and_missing_costs_no_job() {
    let fleet = Fleet::start(1, &[("GPU_ENABLED", "true"), ("CHUNK_SECONDS", "3")]).await;
    completed(&fleet, &job(&fleet.bench, "movie", "auto", &["mp4"])).await;
    check(&output(&fleet.bench, "movie", "mp4"));
    assert!(fleet.log().contains("capability is missing"), "{}", fleet.log());
}

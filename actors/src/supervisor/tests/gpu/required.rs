//! Jobs that require a device.

use super::*;
use crate::domain::failure::FailureClass;

fn requiring(name: &str) -> JobSpec {
    JobSpec { gpu: GpuMode::Require, ..job(name) }
}

#[actix::test]
async fn a_job_that_requires_a_device_waits_for_one_where_everybody_can_see_it() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _cpu = fleet.worker("cpu");
    let job_id = fleet.submit(&requiring("movie"));
    until("reports", || fleet.service.taken_of(&job_id).len() >= 3).await;
    for report in fleet.service.taken_of(&job_id) {
        assert_eq!((report.status, report.progress), (JobStatus::Queued, 0.0));
        assert_eq!(report.waiting_for.as_deref(), Some("a worker with a GPU that encodes h264"));
    }
    let other = fleet.submit(&job("other"));
    assert_eq!(fleet.last_report(&other).await.status, JobStatus::Completed, "others do not wait with it");
    assert_eq!(fleet.stages.begun("movie/split"), 0);
    let _gpu = gpu_worker(&fleet, "gpu");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
    let chunks = fleet.stages.runs().into_iter().filter(|run| run.key.starts_with("movie/v"));
    assert!(chunks.into_iter().all(|run| run.by_device && run.worker == "gpu"));
}

#[actix::test]
async fn a_job_that_has_waited_long_enough_fails_and_says_why() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _cpu = fleet.worker("cpu");
    let began = tokio::time::Instant::now();
    let job_id = fleet.submit(&requiring("movie"));
    let last = fleet.last_report(&job_id).await;
    let error = last.error.expect("a reason");
    assert_eq!((last.status, error.class), (JobStatus::Failed, FailureClass::Permanent));
    assert!(error.message.contains("requires a GPU") && error.message.contains("GPU_WAIT_TIMEOUT"), "{error}");
    let waited = began.elapsed();
    assert!((Duration::from_secs(600)..Duration::from_secs(640)).contains(&waited), "{waited:?}");
    fleet.quiet().await;
    check(&fleet);
}

#[actix::test]
async fn a_job_that_does_not_fit_the_device_fails_at_once_and_says_so() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut seen = fleet.machine.seen("cpu");
    seen.paths.push(crate::ports::PathCapability {
        max_size: Some((640, 360)),
        ..crate::testing::service::encoder_path(crate::domain::job::VideoCodec::H264, Nvcodec)
    });
    fleet.machine.set_seen("small", seen);
    let _small = fleet.worker("small");
    let job_id = fleet.submit(&requiring("movie"));
    let error = fleet.last_report(&job_id).await.error.expect("a reason");
    assert!(error.message.contains("1280x720"), "{error}");
}

#[actix::test]
async fn a_device_that_fails_is_an_attempt_of_a_job_that_requires_it() {
    for (failures, status) in [(2, JobStatus::Completed), (9, JobStatus::Failed)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.film("movie", Film { chunks: 1, parallelism: 1, audio: false });
        fleet.stages.script("movie/v00000", vec![fault(DeviceFault::OutOfMemory); failures]);
        let _gpu = gpu_worker(&fleet, "gpu");
        let job_id = fleet.submit(&requiring("movie"));
        let last = fleet.last_report(&job_id).await;
        assert_eq!(last.status, status);
        assert!(last.error.is_none_or(|error| error.class == FailureClass::Device));
        assert_eq!(fleet.stages.begun("movie/v00000"), 3);
        assert_eq!(most_attempts(&fleet), 3);
        assert!(!made_by(&fleet).contains(&X264));
        fleet.quiet().await;
        check(&fleet);
        tokio::time::resume();
    }
}

#[actix::test]
async fn chunks_wait_for_a_device_that_went_and_the_job_fails_when_none_comes() {
    for comes_back in [true, false] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let _cpu = fleet.worker("cpu");
        let gpu = gpu_worker(&fleet, "gpu");
        let job_id = fleet.submit(&requiring("movie"));
        until("a chunk", || fleet.stages.done("movie/v00000") == 1).await;
        fleet.crash("gpu", &gpu);
        gpu.ended().await;
        let waits = || fleet.service.taken_of(&job_id).iter().any(|report| report.waiting_for.is_some());
        until("a report of the wait", waits).await;
        let _again = comes_back.then(|| gpu_worker(&fleet, "gpu"));
        let last = fleet.last_report(&job_id).await;
        assert_eq!(last.status, if comes_back { JobStatus::Completed } else { JobStatus::Failed });
        assert!(!made_by(&fleet).contains(&X264), "the CPU made a chunk of it");
        fleet.quiet().await;
        check(&fleet);
        tokio::time::resume();
    }
}

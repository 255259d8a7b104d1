//! Encoders of several versions in one fleet: whose work is whose, and what becomes of work that is nobody's.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::{DeviceFault, Failure, FailureClass};
use crate::domain::job::{GpuMode, JobSpec};
use crate::domain::plan::testing::job;
use crate::domain::plan::{EncoderFamily, EncoderVersions};
use crate::domain::record::Queue;
use crate::ports::{Capabilities, Clock as _, JobStore as _, LeaseStore as _, WorkerInfo};
use crate::supervisor::WorkerHandle;
use crate::testing::chronicle::Event;
use crate::testing::fleet::{Fleet, until};
use crate::testing::invariants::{check, check_at_rest, check_chains};
use crate::testing::stages::{Act, Film, Run};

/// Longer than every delay between two looks at a task.
const A_WHILE: Duration = Duration::from_secs(45);

fn versions(named: &[(&str, &str)]) -> EncoderVersions {
    named.iter().copied().chain([("gstreamer", "1.26.2"), ("avenc_aac", "61")]).collect()
}

fn worker(fleet: &Fleet, name: &str, named: &[(&str, &str)]) -> WorkerHandle {
    fleet.machine.set_versions(name, &versions(named));
    fleet.worker(name)
}

fn chunks_of(fleet: &Fleet, job: &str) -> Vec<Run> {
    let is_chunk = |run: &Run| run.key.starts_with(&format!("{job}/v"));
    fleet.stages.runs().into_iter().filter(is_chunk).collect()
}

/// The highest count of attempts of a task.
fn most_attempts(fleet: &Fleet) -> u32 {
    let counted = |event: &Event| match event {
        Event::Counted { attempts, .. } => Some(*attempts),
        _ => None,
    };
    fleet.chronicle.read(|events| events.iter().filter_map(counted).max().unwrap_or(0))
}

#[actix::test]
async fn jobs_of_a_fleet_with_two_versions_are_each_made_by_one() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _workers = [
        worker(&fleet, "old-0", &[("x264", "r3095")]),
        worker(&fleet, "old-1", &[("x264", "r3095")]),
        worker(&fleet, "new", &[("x264", "r3108")]),
    ];
    let jobs: Vec<JobSpec> = (0..20).map(|number| job(&format!("movie-{number}"))).collect();
    jobs.iter().for_each(|job| drop(fleet.submit(job)));
    let mut used = BTreeSet::new();
    for job in &jobs {
        let last = fleet.last_report(&job.job_id).await;
        assert_eq!((last.status, last.error), (JobStatus::Completed, None));
        let made_by = |run: Run| fleet.machine.versions(&run.worker).get("x264").map(str::to_owned);
        let made_by: BTreeSet<_> = chunks_of(&fleet, job.job_id.as_str()).into_iter().map(made_by).collect();
        assert_eq!(made_by.len(), 1, "{}: {made_by:?}", job.job_id);
        used.extend(made_by);
    }
    assert_eq!(used.len(), 2, "both have planned some: {used:?}");
    fleet.quiet().await;
    check(&fleet);
    check_at_rest(&fleet);
    jobs.iter().for_each(|job| check_chains(&fleet, job, Film::default()));
}

/// A job that a worker has begun which then went; what is left has another version.
async fn orphan(fleet: &Fleet) -> (JobSpec, WorkerHandle) {
    let old = worker(fleet, "old", &[("x264", "r3095")]);
    let spec = job("movie");
    fleet.stages.film("movie", Film { chunks: 6, parallelism: 2, audio: true });
    fleet.submit(&spec);
    until("a chunk", || fleet.stages.done("movie/v00000") == 1).await;
    fleet.crash("old", &old);
    old.ended().await;
    (spec, worker(fleet, "new", &[("x264", "r3108")]))
}

#[actix::test]
async fn a_job_whose_version_nobody_has_waits_visibly_then_fails_and_says_why() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let (spec, _new) = orphan(&fleet).await;
    let began = tokio::time::Instant::now();
    let waits = || fleet.service.taken_of(&spec.job_id).iter().any(|report| report.waiting_for.is_some());
    until("a report of the wait", waits).await;
    let seen = fleet.store.read(spec.job_id.clone()).await.expect("an answer").expect("a checkpoint");
    assert_eq!(seen.waiting_for.as_deref(), Some("a worker with x264 r3095"));
    let other = fleet.submit(&job("other"));
    assert_eq!(fleet.last_report(&other).await.status, JobStatus::Completed, "others do not wait with it");
    let last = fleet.last_report(&spec.job_id).await;
    let error = last.error.expect("a reason");
    assert_eq!((last.status, error.class, last.waiting_for), (JobStatus::Failed, FailureClass::Permanent, None));
    for said in ["x264 r3095", "ENCODER_WAIT_TIMEOUT", "living workers have x264 r3108", "requeue"] {
        assert!(error.message.contains(said), "{said}: {error}");
    }
    // From the end of the announcement of the worker that went, or before.
    let waited = began.elapsed();
    assert!((Duration::from_secs(1800)..Duration::from_secs(1800 + 60 + 45)).contains(&waited), "{waited:?}");
    assert!(chunks_of(&fleet, "movie").iter().all(|run| run.worker == "old"));
    assert_eq!(most_attempts(&fleet), 1, "to wait is no attempt");
    assert_eq!(fleet.log.records(Queue::DeadLetter).len(), 1);
    fleet.quiet().await;
    check(&fleet);
}

#[actix::test]
async fn a_job_that_waits_goes_on_when_its_version_comes_back() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let (spec, _new) = orphan(&fleet).await;
    tokio::time::sleep(Duration::from_secs(900)).await;
    let lag = fleet.log.lag();
    assert!((1..=4).contains(&lag), "what waits is passed on and does not pile up: {lag}");
    let _again = worker(&fleet, "again", &[("x264", "r3095")]);
    let back_at = tokio::time::Instant::now();
    until("a chunk", || chunks_of(&fleet, "movie").iter().any(|run| run.worker == "again")).await;
    assert!(back_at.elapsed() < A_WHILE, "{:?}", back_at.elapsed());
    let last = fleet.last_report(&spec.job_id).await;
    assert_eq!((last.status, last.waiting_for), (JobStatus::Completed, None));
    assert!(chunks_of(&fleet, "movie").iter().all(|run| run.worker != "new"));
    fleet.quiet().await;
    check(&fleet);
    check_at_rest(&fleet);
}

#[actix::test]
async fn while_a_living_worker_has_the_version_a_task_goes_on_without_haste_and_the_job_never_fails() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let (spec, _new) = orphan(&fleet).await;
    let paths = fleet.machine.seen("old").paths;
    let capabilities = Capabilities { paths, versions: versions(&[("x264", "r3095")]), ..Capabilities::default() };
    // It lives and has too much to do to read anything.
    let busy = WorkerInfo { worker: "busy".into(), slots: 1, capabilities, updated_at: fleet.clock.now() };
    let lives_for = Duration::from_secs(3600);
    fleet.store.announce("busy".into(), busy, lives_for).await.expect("announced");
    let passes =
        || fleet.log.records(Queue::Cpu).iter().filter(|record| record.key.starts_with(b"movie/v00002#")).count();
    tokio::time::sleep(A_WHILE).await;
    let before = passes();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let in_a_minute = passes() - before;
    assert!((25..=65).contains(&in_a_minute), "every second or two: {in_a_minute}");
    tokio::time::sleep(lives_for - Duration::from_secs(120)).await;
    assert_eq!(fleet.service.last_of(&spec.job_id), None);
    let seen = fleet.store.read(spec.job_id.clone()).await.expect("an answer").expect("a checkpoint");
    assert_eq!(seen.waiting_for, None);
    assert_eq!(most_attempts(&fleet), 1);
    assert_eq!(fleet.last_report(&spec.job_id).await.status, JobStatus::Failed, "half an hour after it is gone");
}

#[actix::test]
async fn a_device_that_fails_leaves_its_chunk_to_the_cpu_that_the_plan_names() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let gone = Act::Fail(Failure::device_fault(DeviceFault::OutOfMemory, "the GPU is gone"));
    fleet.stages.script("movie/v00001", [gone]);
    fleet.machine.set_device("gpu", Some(EncoderFamily::Nvcodec));
    // It could not plan for anybody who takes over: it has no x264 at all.
    let _workers = [worker(&fleet, "gpu", &[("nvcodec", "570")]), worker(&fleet, "cpu", &[("x264", "r3095")])];
    tokio::time::sleep(A_WHILE).await;
    let job_id = fleet.submit(&job("movie"));
    let last = fleet.last_report(&job_id).await;
    assert_eq!((last.status, last.error), (JobStatus::Completed, None));
    let by = |run: &Run| (run.by_device, run.worker.clone());
    let runs = chunks_of(&fleet, "movie");
    let of_failed: Vec<_> = runs.iter().filter(|run| run.key.ends_with("v00001")).map(by).collect();
    assert_eq!(of_failed, [(true, "gpu".into()), (false, "cpu".into())]);
    assert!(runs.iter().filter(|run| !run.key.ends_with("v00001")).all(|run| by(run) == (true, "gpu".into())));
    fleet.quiet().await;
    check(&fleet);
    check_at_rest(&fleet);
}

#[actix::test]
async fn a_job_that_requires_a_device_is_made_by_one_version_of_it() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let mut workers = Vec::new();
    for (name, driver) in [("old", "535"), ("new", "570")] {
        fleet.machine.set_device(name, Some(EncoderFamily::Nvcodec));
        workers.push(worker(&fleet, name, &[("x264", "r3095"), ("nvcodec", driver)]));
    }
    for number in 0..6 {
        let spec = JobSpec { gpu: GpuMode::Require, ..job(&format!("movie-{number}")) };
        fleet.submit(&spec);
        assert_eq!(fleet.last_report(&spec.job_id).await.status, JobStatus::Completed);
        let by: BTreeSet<String> = chunks_of(&fleet, spec.job_id.as_str()).into_iter().map(|run| run.worker).collect();
        assert_eq!(by.len(), 1, "{by:?}");
    }
    fleet.quiet().await;
    check(&fleet);
}

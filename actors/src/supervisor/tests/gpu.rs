//! Devices: who is given what, and what becomes of a job when they fail, go, or were never there.

mod required;

use std::time::Duration;

use crate::domain::checkpoint::JobStatus;
use crate::domain::failure::{DeviceFault, Failure};
use crate::domain::job::{Container, GpuMode, JobSpec};
use crate::domain::plan::EncoderFamily;
use crate::domain::plan::testing::{job, job_into};
use crate::domain::record::{Publication, Queue};
use crate::gpu::GpuSettings;
use crate::metrics as names;
use crate::ports::{Capabilities, Device, GpuReading, LeaseStore as _};
use crate::supervisor::{Settings, Supervisor, WorkerHandle};
use crate::testing::chronicle::Event;
use crate::testing::fleet::{Fleet, settings, until};
use crate::testing::invariants::{check, check_at_rest, check_chains};
use crate::testing::meter::Meter;
use crate::testing::stages::{Act, Film};
use EncoderFamily::{Nvcodec, X264};

fn fault(fault: DeviceFault) -> Act {
    Act::Fail(Failure::device_fault(fault, "the GPU is gone"))
}

/// A worker that has a device.
fn gpu_worker(fleet: &Fleet, name: &str) -> WorkerHandle {
    fleet.machine.set_device(name, Some(Nvcodec));
    fleet.worker(name)
}

fn worker_with(fleet: &Fleet, name: &str, gpu: GpuSettings) -> WorkerHandle {
    Supervisor::start(fleet.adapters(name), Settings { gpu, ..settings(name) })
}

async fn completed(fleet: &Fleet, job: &JobSpec) {
    let job_id = fleet.submit(job);
    let last = fleet.last_report(&job_id).await;
    assert_eq!((last.status, last.error), (JobStatus::Completed, None));
    fleet.quiet().await;
    check(fleet);
    check_at_rest(fleet);
}

/// Who made the parts of the chunks that are in force, in the order in which they were recorded.
fn made_by(fleet: &Fleet) -> Vec<EncoderFamily> {
    let family = |event: &Event| match event {
        Event::Recorded { in_force, offered, .. } if in_force == offered => in_force.encoders().next(),
        _ => None,
    };
    fleet.chronicle.read(|events| events.iter().filter_map(family).collect())
}

/// The highest count of attempts of a chunk.
fn most_attempts(fleet: &Fleet) -> u32 {
    let counted = |event: &Event| match event {
        Event::Counted { task, attempts, .. } if task.contains("/v") => Some(*attempts),
        _ => None,
    };
    fleet.chronicle.read(|events| events.iter().filter_map(counted).max().unwrap_or(0))
}

#[actix::test]
async fn a_device_that_was_seen_to_work_makes_the_chunks_and_the_cpu_the_rest() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = gpu_worker(&fleet, "a");
    completed(&fleet, &job("movie")).await;
    assert_eq!(made_by(&fleet), [Nvcodec; 4]);
    assert_eq!(fleet.log.records(Queue::Gpu).len(), 4);
    assert_eq!(fleet.log.records(Queue::Cpu).len(), 2, "sound and assembly");
    check_chains(&fleet, &job("movie"), Film::default());
}

#[actix::test]
async fn a_job_that_wants_no_device_gets_none() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let _worker = gpu_worker(&fleet, "a");
    completed(&fleet, &JobSpec { gpu: GpuMode::Off, ..job("movie") }).await;
    assert_eq!(made_by(&fleet), [X264; 4]);
    assert!(fleet.log.records(Queue::Gpu).is_empty());
}

#[actix::test]
async fn a_worker_whose_operator_wants_no_device_uses_none() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.machine.set_device("a", Some(Nvcodec));
    let _worker = worker_with(&fleet, "a", GpuSettings { enabled: false, ..GpuSettings::default() });
    completed(&fleet, &job("movie")).await;
    assert_eq!(made_by(&fleet), [X264; 4]);
}

#[actix::test]
async fn only_workers_with_a_device_make_what_is_planned_for_one() {
    tokio::time::pause();
    let fleet = Fleet::default();
    let (_cpu, _gpu) = (fleet.worker("cpu"), gpu_worker(&fleet, "gpu"));
    // Both have seen each other.
    tokio::time::sleep(Duration::from_secs(30)).await;
    fleet.stages.film("movie", Film { chunks: 12, parallelism: 6, audio: true });
    completed(&fleet, &job("movie")).await;
    assert_eq!(made_by(&fleet), [Nvcodec; 12]);
    let runs = fleet.stages.runs();
    assert!(runs.iter().filter(|run| run.by_device).all(|run| run.worker == "gpu"), "{runs:?}");
}

#[actix::test]
async fn a_device_that_fails_costs_no_attempt_and_the_cpu_makes_the_chunk_at_once() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00001", [fault(DeviceFault::SessionLimit)]);
    fleet.stages.script("movie/v00002", [fault(DeviceFault::Hang)]);
    let _worker = gpu_worker(&fleet, "a");
    completed(&fleet, &job("movie")).await;
    assert_eq!(made_by(&fleet).iter().filter(|family| **family == X264).count(), 2);
    assert_eq!(most_attempts(&fleet), 1);
    assert_eq!(fleet.stages.begun("movie/v00001"), 2);
    assert_eq!(fleet.log.records(Queue::Gpu).len(), 4, "no task was sent again");
    for reason in ["reason=session_limit", "reason=hang"] {
        assert_eq!(meter.counted(names::GPU_FALLBACKS_TOTAL, &[reason]), 1);
    }
    assert_eq!(meter.counted(names::MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=nvcodec"]), 20);
    assert_eq!(meter.counted(names::MEDIA_SECONDS_TOTAL, &["codec=h264", "encoder=x264"]), 20);
    assert_eq!(meter.shown(names::GPU_SESSIONS, &[]), 0.0);
}

#[actix::test]
async fn a_rendition_in_mp4_is_made_by_one_family_in_the_end() {
    for containers in [&[Container::Mp4][..], &[Container::Mpegts, Container::Mp4]] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.film("movie", Film { chunks: 6, parallelism: 2, audio: true });
        // The second chain goes on while the first one fails for good.
        fleet.stages.script("movie/v00002", [fault(DeviceFault::OutOfMemory)]);
        let _worker = gpu_worker(&fleet, "a");
        let job = job_into("movie", containers);
        completed(&fleet, &job).await;
        let discarded = |event: &Event| matches!(event, Event::Discarded(..));
        assert!(fleet.chronicle.any(discarded), "chunks of the device were made again");
        assert!(made_by(&fleet).iter().filter(|family| **family == X264).count() >= 6);
        assert_eq!(fleet.stages.begun("movie/v00004"), 1, "what follows a chunk of the CPU is for the CPU");
        assert!(most_attempts(&fleet) <= 2, "one for each time that a chunk was to be made");
        tokio::time::resume();
    }
}

#[actix::test]
async fn a_rendition_in_a_transport_stream_may_have_parts_of_two_families() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00002", [fault(DeviceFault::BadOutput)]);
    let _worker = gpu_worker(&fleet, "a");
    completed(&fleet, &job("movie")).await;
    assert!(!fleet.chronicle.any(|event| matches!(event, Event::Discarded(..))));
    assert_eq!(made_by(&fleet).iter().filter(|family| **family == Nvcodec).count(), 3);
}

#[actix::test]
async fn a_store_that_was_emptied_knows_from_the_work_storage_who_made_a_part() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 8, parallelism: 2, audio: false });
    fleet.stages.script("movie/v00001", [fault(DeviceFault::Hang)]);
    let _worker = gpu_worker(&fleet, "a");
    let job_id = fleet.submit(&job_into("movie", &[Container::Mp4]));
    until("half of the chunks", || fleet.stages.done("movie/v00003") == 1).await;
    fleet.store.empty();
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    crate::testing::invariants::check_after_loss(&fleet);
}

#[actix::test]
async fn failures_in_a_row_open_the_breaker_and_a_trial_closes_it() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 12, parallelism: 1, audio: false });
    for chunk in 0..3 {
        fleet.stages.script(&format!("movie/v{chunk:05}"), [fault(DeviceFault::Other)]);
    }
    let _worker = gpu_worker(&fleet, "a");
    let job_id = fleet.submit(&job("movie"));
    until("an open breaker", || meter.shown(names::GPU_BREAKER_STATE, &[]) == 2.0).await;
    let announced = || async { fleet.store.workers().await.expect("the store answers") };
    until("a trial that works", || meter.shown(names::GPU_BREAKER_STATE, &[]) == 0.0).await;
    let probes = fleet.machine.probes();
    assert!(probes >= 2, "{probes} looks");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
    let by_device = fleet.stages.runs().iter().filter(|run| run.by_device && run.done).count();
    assert!((1..9).contains(&by_device), "the CPU made some in between, and {by_device} were made by the device");
    assert!(announced().await.iter().any(|worker| worker.capabilities.offers().next().is_some()));
}

#[actix::test]
async fn a_lost_device_takes_readiness_away_and_a_probe_that_sees_it_work_gives_it_back() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.script("movie/v00000", [fault(DeviceFault::DeviceLost)]);
    let worker = gpu_worker(&fleet, "a");
    until("a worker that is ready", || worker.status().borrow().ready()).await;
    let device = Device {
        index: 0,
        name: "GPU".into(),
        driver: "535".into(),
        memory_bytes: 1,
        max_sessions: None,
        lost: Some("it does not answer".into()),
    };
    // What the next probes will see.
    let seen = Capabilities { devices: vec![device], ..fleet.machine.seen("cpu") };
    fleet.machine.set_seen("a", seen);
    completed(&fleet, &job("movie")).await;
    until("a worker that is not ready", || !worker.status().borrow().ready()).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let why = worker.status().borrow().device_lost.clone();
    assert_eq!(why.as_deref(), Some("GPU: it does not answer"));
    fleet.machine.set_device("a", Some(Nvcodec));
    until("a worker that is ready", || worker.status().borrow().ready()).await;
}

#[actix::test]
async fn tasks_for_devices_are_done_by_the_cpu_when_the_last_device_is_gone() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 6, parallelism: 6, audio: false });
    let gpu = gpu_worker(&fleet, "gpu");
    let job_id = fleet.submit(&job("movie"));
    until("a chunk", || fleet.stages.done("movie/v00000") == 1).await;
    fleet.crash("gpu", &gpu);
    gpu.ended().await;
    let _cpu = fleet.worker("cpu");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    fleet.quiet().await;
    check(&fleet);
    assert!(made_by(&fleet).contains(&X264) && made_by(&fleet).contains(&Nvcodec));
}

#[actix::test]
async fn no_more_sessions_are_used_than_there_are() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 6, parallelism: 6, audio: false });
    fleet.machine.set_device("a", Some(Nvcodec));
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let _worker = worker_with(&fleet, "a", GpuSettings { sessions: Some(1), ..GpuSettings::default() });
    let job_id = fleet.submit(&job("movie"));
    let began = tokio::time::Instant::now();
    let last = fleet.last_report(&job_id).await;
    assert_eq!(last.status, JobStatus::Completed);
    assert_eq!(made_by(&fleet), [Nvcodec; 6]);
    // Split, six chunks one after the other, assembly.
    assert!(began.elapsed() >= Duration::from_secs(8 * 5), "{:?}", began.elapsed());
    assert_eq!(most_attempts(&fleet), 1);
    assert_eq!(meter.shown(names::GPU_SESSIONS, &[]), 0.0);
}

#[actix::test]
async fn a_chunk_that_takes_its_worker_along_is_made_by_the_cpu_in_its_last_attempt() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 1, parallelism: 1, audio: false });
    fleet.stages.script("movie/v00000", [Act::Hang, Act::Hang]);
    let job_id = fleet.submit(&job("movie"));
    for life in 1..=2 {
        let worker = gpu_worker(&fleet, "a");
        until("the chunk that kills", || fleet.stages.begun("movie/v00000") == life).await;
        fleet.crash("a", &worker);
        worker.ended().await;
    }
    let _worker = gpu_worker(&fleet, "a");
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
    assert_eq!(made_by(&fleet), [X264]);
}

#[actix::test]
async fn a_chunk_of_the_cpu_that_is_delivered_again_sends_the_next_one_to_the_cpu_too() {
    tokio::time::pause();
    let fleet = Fleet::default();
    fleet.stages.film("movie", Film { chunks: 6, parallelism: 2, audio: false });
    fleet.stages.script("movie/v00002", [fault(DeviceFault::OutOfMemory)]);
    fleet.stages.script("movie/v00004", [Act::Take(Duration::from_secs(60))]);
    let _worker = gpu_worker(&fleet, "a");
    let job_id = fleet.submit(&job_into("movie", &[Container::Mp4]));
    until("what follows", || fleet.stages.begun("movie/v00004") == 1).await;
    let tasks = |queue, unit: &str| -> Vec<_> {
        let is_of = |record: &Publication| record.key.ends_with(unit.as_bytes());
        fleet.log.records(queue).into_iter().filter(is_of).collect()
    };
    tasks(Queue::Gpu, "v00002").into_iter().for_each(|again| fleet.log.put(again));
    until("what follows, again", || tasks(Queue::Cpu, "v00004").len() == 2).await;
    assert!(tasks(Queue::Gpu, "v00004").is_empty());
    assert_eq!(fleet.last_report(&job_id).await.status, JobStatus::Completed);
}

#[actix::test]
async fn whatever_fails_a_device_in_its_last_attempt_the_cpu_makes_the_chunk() {
    for (max_attempts, failures) in [(1, 1), (3, 2)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        fleet.stages.script("movie/v00001", vec![Act::Fail(Failure::retryable("it ended without a word")); failures]);
        fleet.machine.set_device("a", Some(Nvcodec));
        let _worker = Supervisor::start(fleet.adapters("a"), Settings { max_attempts, ..settings("a") });
        completed(&fleet, &job("movie")).await;
        assert_eq!(made_by(&fleet).iter().filter(|family| **family == X264).count(), 1);
        assert_eq!((most_attempts(&fleet), fleet.stages.begun("movie/v00001")), (max_attempts, failures + 1));
        tokio::time::resume();
    }
}

#[actix::test]
async fn the_cpu_has_the_last_word_on_an_input_that_a_device_does_not_understand() {
    for (times, status) in [(1, JobStatus::Completed), (2, JobStatus::Failed)] {
        tokio::time::pause();
        let fleet = Fleet::default();
        let act = Act::Fail(Failure::permanent("the input is broken"));
        fleet.stages.script("movie/v00001", vec![act; times]);
        let _worker = gpu_worker(&fleet, "a");
        let job_id = fleet.submit(&job("movie"));
        assert_eq!(fleet.last_report(&job_id).await.status, status);
        assert_eq!((fleet.stages.begun("movie/v00001"), most_attempts(&fleet)), (2, 1));
        fleet.quiet().await;
        check(&fleet);
        tokio::time::resume();
    }
}

#[actix::test]
async fn what_gpus_do_is_shown() {
    tokio::time::pause();
    let meter = Meter::default();
    let _local = metrics::set_default_local_recorder(&meter);
    let fleet = Fleet::default();
    let (memory_used_bytes, memory_total_bytes) = (3, 80);
    let reading =
        GpuReading { index: 1, encoder: 0.5, decoder: 0.25, compute: 0.125, memory_used_bytes, memory_total_bytes };
    fleet.monitor.set(vec![reading]);
    let _worker = fleet.worker("a");
    let shown = |engine| meter.shown(names::GPU_UTILIZATION_RATIO, &["gpu=1", engine]);
    until("the encoder", || shown("engine=encoder") == 0.5).await;
    assert_eq!((shown("engine=decoder"), shown("engine=compute")), (0.25, 0.125));
    assert_eq!(meter.shown(names::GPU_MEMORY_BYTES, &["gpu=1", "kind=used"]), 3.0);
    assert_eq!(meter.shown(names::GPU_MEMORY_BYTES, &["gpu=1", "kind=total"]), 80.0);
    let labels = ["direction=encode", "codec=h264", "bit_depth=8", "encoder=x264"];
    assert_eq!(meter.shown(names::CAPABILITY, &labels), 1.0);
}

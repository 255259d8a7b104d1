//! Workers that stand still for longer than anybody waits for them, stages that do, and clocks that jump.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::films::Film;
use super::{VARIABLES, completes_in_order};
use crate::support::fleet::Fleet;
use crate::support::process::{gone_within, wait_until_gone};
use crate::support::worker::Worker;

/// Longer than a chunk on a loaded machine stands still by itself.
const STALL: Duration = Duration::from_secs(30);

#[actix_rt::test]
async fn a_worker_that_stands_still_longer_than_its_lease_and_session_harms_nothing_when_it_goes_on() {
    let fleet = Fleet::start(2, &VARIABLES).await;
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 2).await;
    let worker = &fleet.workers()[0];
    worker.signal(libc::SIGSTOP);
    // The other one does it all, when session and leases of this one have run out.
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    worker.signal(libc::SIGCONT);
    worker.wait_ready();
    fleet.publish(&Film::Small.job("next", fleet.bench.root()));
    completes_in_order(&fleet, "next", Film::Small).await;
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    assert_eq!(fleet.stop_all(), [Some(0), Some(0)]);
}

#[actix_rt::test]
async fn a_stage_that_stands_still_is_stopped_and_its_chunk_encoded_again() {
    let stall = format!("{}s", STALL.as_secs());
    let variables = [&VARIABLES[..], &[("STALL_TIMEOUT", stall.as_str())]].concat();
    let fleet = Fleet::start(1, &variables).await;
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 1).await;
    let stage = loop {
        if let [stage, ..] = fleet.workers()[0].stages()[..] {
            break stage;
        }
        tokio::task::yield_now().await;
    };
    // SAFETY: a signal to a process that was a stage of our worker a moment ago.
    unsafe { libc::kill(stage as i32, libc::SIGSTOP) };
    gone_within(2 * STALL, stage).await;
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    let exits = fleet.workers()[0].get("/metrics").expect("metrics").1;
    assert!(exits.contains("transcode_child_exits_total{reason=\"stalled\"} 1\n"), "{exits}");
    assert!(fleet.log().contains("task failed, it is tried again"), "{}", fleet.log());
}

#[actix_rt::test]
async fn a_clock_that_jumps_an_hour_ahead_and_back_changes_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let clock = directory.path().join("clock");
    let jump = |by: &str| std::fs::write(&clock, by).expect("the clock is set");
    jump("+0");
    let preload = faketime(directory.path());
    let variables = [
        &VARIABLES[..],
        &[
            ("LD_PRELOAD", preload.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("a plain path")),
            // A step of the wall clock does not move the monotonic one.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            // Nor does it change the times of files.
            ("NO_FAKE_STAT", "1"),
            ("FAKETIME_CACHE_DURATION", "1"),
        ],
    ]
    .concat();
    let fleet = Fleet::start(2, &variables).await;
    fleet.publish(&Film::Ladder.job("movie", fleet.bench.root()));
    fleet.chunks_done("movie", 2).await;
    jump("+1h");
    fleet.chunks_done("movie", 5).await;
    jump("-1h");
    completes_in_order(&fleet, "movie", Film::Ladder).await;
    let times: Vec<_> = fleet.service.received().iter().map(|one| one.report.updated_at).collect();
    let (first, last) = (times.iter().min().expect("reports"), times.iter().max().expect("reports"));
    assert!(*last - *first > chrono::Duration::hours(1), "the clock did not jump: {first} to {last}");
    fleet.workers().iter().for_each(Worker::wait_ready);
}

/// What has to be loaded first so that a file sets the clock of a program.
fn faketime(directory: &Path) -> String {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    assert!(Path::new(library).exists(), "libfaketime is missing: run `make test-deps`");
    let waits = directory.join("waits.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/chaos/clock.c");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&waits).arg(source).status();
    assert!(compiled.is_ok_and(|status| status.success()), "{source} does not compile: run `make test-deps`");
    format!("{}:{library}", waits.display())
}

#[actix_rt::test]
async fn a_running_job_is_cancelled_on_every_worker_within_five_seconds() {
    let fleet = Fleet::start(3, &VARIABLES).await;
    let mut slow = Film::Ladder.job("movie", fleet.bench.root());
    for output in slow["outputs"].as_array_mut().expect("outputs") {
        output["video"]["preset"] = "veryslow".into();
        output["video"]["height"] = 720.into();
    }
    slow["outputs"].as_array_mut().expect("outputs").truncate(1);
    fleet.publish(&slow);
    while fleet.workers().iter().any(|worker| worker.stages().is_empty()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stages: Vec<u32> = fleet.workers().iter().flat_map(Worker::stages).collect();
    let asked = std::time::Instant::now();
    let cancel = fleet.command(&["cancel", "movie"]).output().expect("cancel");
    assert!(cancel.status.success(), "{}", String::from_utf8_lossy(&cancel.stderr));
    let last = fleet.ends(&["movie"]).await.remove(0);
    for stage in stages {
        wait_until_gone(stage).await;
    }
    fleet.wait_for_no_work_files();
    assert!(asked.elapsed() < Duration::from_secs(5), "it took {:?}", asked.elapsed());
    assert_eq!(last.status, actors::domain::checkpoint::JobStatus::Cancelled, "{last:#?}");
    fleet.wait_for_no_lag();
    fleet.wait_for_no_work_files();
    assert!(fleet.bench.files().iter().all(|name| !name.contains("movie")), "{:?}", fleet.bench.files());
}

//! Jobs from a real Kafka, with a real Redis, on several workers.

use std::time::Duration;

use actors::domain::checkpoint::JobStatus;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::clip::{self, Clip};
use crate::support::fleet::{Fleet, assert_monotonic};
use crate::support::media::{film, frame_times, small_film};
use crate::support::transcode::uri;

pub(super) fn job(fleet: &Fleet, job_id: &str, input: &std::path::Path, height: u32) -> Value {
    json!({
        "job_id": job_id,
        "input": {"uri": uri(input)},
        "outputs": [{
            "uri": uri(&fleet.bench.path(&format!("{job_id}.ts"))),
            "container": "mpegts",
            "video": {"codec": "h264", "height": height, "bitrate": 1_000_000, "preset": "veryfast"},
            "audio": {"codec": "aac"},
        }],
    })
}

pub(super) fn short_clip(fleet: &Fleet) -> (Clip, std::path::PathBuf) {
    let video = "x264enc speed-preset=veryfast key-int-max=25 ! h264parse";
    let clip = Clip {
        frames: 75,
        size: (320, 180),
        ..Clip::new("short.mp4", video, "audioconvert ! avenc_aac ! aacparse", "mp4mux")
    };
    let path = clip.write(fleet.bench.root());
    (clip, path)
}

#[actix_rt::test]
async fn two_workers_share_the_chunks_of_one_job_and_its_progress_only_grows() {
    let fleet = Fleet::start(2, &[("CHUNK_SECONDS", "2"), ("ENCODER_POOL_SIZE", "1")]).await;
    fleet.publish(&job(&fleet, "movie-42", &small_film(), 180));
    let last = fleet.ends(&["movie-42"]).await.remove(0);
    assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
    assert!(last.chunks_total >= 8 && last.chunks_done == last.chunks_total, "{last:#?}");
    assert_monotonic(&fleet.service.received(), "movie-42");
    fleet.service.assert_in_order();

    let made = fleet.bench.path("movie-42.ts");
    let output = &last.outputs.as_deref().expect("outputs")[0];
    let bytes = std::fs::read(&made).expect("the output");
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((output.sha256.as_str(), output.bytes), (digest.as_str(), bytes.len() as u64));
    assert_eq!(output.verification.frames, 720);
    assert_eq!(frame_times(&made).len(), 720);

    for worker in fleet.workers() {
        assert!(worker.metric("transcode_media_seconds_total") > 0.0, "a worker did nothing:\n{}", worker.log());
    }
    fleet.wait_for_no_lag();
    assert_eq!(fleet.work_files(), Vec::<std::path::PathBuf>::new(), "work files are left");
    let status = fleet.command(&["status", "movie-42", "--json"]).output().expect("status");
    let status: Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(status["status"], "completed", "{status}");

    // The same job again is the same job: nothing is done, nothing is reported again.
    let before = fleet.service.received().len();
    fleet.publish(&job(&fleet, "movie-42", &small_film(), 180));
    fleet.wait_for_no_lag();
    assert_eq!(fleet.service.received().len(), before);
}

#[actix_rt::test]
async fn twenty_jobs_at_once_on_two_workers_all_complete() {
    let fleet = Fleet::start(2, &[]).await;
    let (clip, path) = short_clip(&fleet);
    let ids: Vec<String> = (0..20).map(|n| format!("short-{n}")).collect();
    for id in &ids {
        fleet.publish(&job(&fleet, id, &path, 90));
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for last in fleet.ends(&ids).await {
        assert_eq!(last.status, JobStatus::Completed, "{last:#?}");
        let made = fleet.bench.path(&format!("{}.ts", last.job_id));
        assert_eq!(clip::numbers(&made), (0..clip.frames).collect::<Vec<_>>(), "{}", last.job_id);
    }
    fleet.wait_for_no_lag();
    assert!(fleet.dead_letters().is_empty());
}

#[actix_rt::test]
async fn short_jobs_after_a_long_one_finish_before_it() {
    let fleet = Fleet::start(2, &[("CHUNK_SECONDS", "2"), ("JOB_PARALLELISM", "4")]).await;
    let (_, path) = short_clip(&fleet);
    let mut long = job(&fleet, "long", &small_film(), 720);
    long["outputs"][0]["video"]["preset"] = "slow".into();
    fleet.publish(&long);
    fleet
        .service
        .wait_for("the long job encodes", |received| {
            received.iter().any(|one| one.report.job_id.as_str() == "long" && one.report.status == JobStatus::Encoding)
        })
        .await;
    let ids = ["short-a", "short-b", "short-c"];
    for id in ids {
        fleet.publish(&job(&fleet, id, &path, 90));
    }
    let ends = fleet.ends(&["long", "short-a", "short-b", "short-c"]).await;
    assert!(ends.iter().all(|last| last.status == JobStatus::Completed), "{ends:#?}");
    assert_eq!(ends[3].job_id.as_str(), "long", "the long job ended before a short one");
}

#[actix_rt::test]
async fn what_is_no_job_goes_to_the_dead_letters_and_holds_nothing_up() {
    let fleet = Fleet::start(1, &[("GPU_WAIT_TIMEOUT", "0s")]).await;
    let (_, path) = short_clip(&fleet);
    let mut unknown_codec = job(&fleet, "unknown-codec", &path, 90);
    unknown_codec["outputs"][0]["video"]["codec"] = "vp10".into();
    fleet.publish_bytes("garbage", b"this is no job");
    fleet.publish_tombstone("tombstone");
    fleet.publish_bytes("huge", &vec![b'x'; 10 << 20]);
    fleet.publish(&unknown_codec);
    fleet.publish(&job(&fleet, "missing-input", &fleet.bench.path("nothing.mp4"), 90));
    let mut needs_gpu = job(&fleet, "needs-gpu", &path, 90);
    needs_gpu["gpu"] = "require".into();
    fleet.publish(&needs_gpu);
    fleet.publish(&job(&fleet, "good", &path, 90));
    let ends = fleet.ends(&["unknown-codec", "missing-input", "needs-gpu", "good"]).await;
    for last in &ends {
        let expected = if last.job_id.as_str() == "good" { JobStatus::Completed } else { JobStatus::Failed };
        assert_eq!(last.status, expected, "{last:#?}");
    }
    fleet.wait_for_no_lag();
    let letters = fleet.dead_letters();
    for (key, reason) in [
        ("garbage|", "not a valid job"),
        ("tombstone|", "no value"),
        ("huge|", "too many"),
        ("unknown-codec|", "outputs[0].video.codec"),
        ("missing-input|", "nothing.mp4"),
        ("needs-gpu|", "requires a GPU"),
    ] {
        let letter = letters.iter().find(|letter| letter.starts_with(key));
        let letter = letter.unwrap_or_else(|| panic!("no dead letter for {key}: {letters:#?}"));
        assert!(letter.contains("class=permanent") && letter.contains(reason), "{letter}");
    }
    assert_eq!(letters.len(), 6, "{letters:#?}");
    assert_eq!(fleet.bench.files().iter().filter(|name| name.ends_with(".ts")).count(), 1);
}

#[actix_rt::test]
async fn a_job_is_submitted_followed_and_cancelled_from_the_command_line() {
    let fleet = Fleet::start(1, &[("ENCODER_POOL_SIZE", "1")]).await;
    let (_, path) = short_clip(&fleet);
    let file = fleet.bench.job(&job(&fleet, "asked", &path, 90));
    let submit = fleet.command(&["submit", file.to_str().expect("a plain path"), "--wait"]).output().expect("submit");
    assert!(submit.status.success(), "{}", String::from_utf8_lossy(&submit.stderr));
    assert!(String::from_utf8_lossy(&submit.stdout).contains("asked"));

    fleet.publish(&job(&fleet, "unwanted", &film(), 720));
    fleet
        .service
        .wait_for("the unwanted job encodes", |received| {
            received
                .iter()
                .any(|one| one.report.job_id.as_str() == "unwanted" && one.report.status == JobStatus::Encoding)
        })
        .await;
    let cancel = fleet.command(&["cancel", "unwanted"]).output().expect("cancel");
    assert!(cancel.status.success(), "{}", String::from_utf8_lossy(&cancel.stderr));
    let last =
        tokio::time::timeout(Duration::from_secs(20), fleet.ends(&["unwanted"])).await.expect("in time").remove(0);
    assert_eq!(last.status, JobStatus::Cancelled, "{last:#?}");
    fleet.wait_for_no_lag();
    assert!(!fleet.bench.path("unwanted.ts").exists());
    assert!(fleet.work_files().is_empty(), "{:?}", fleet.work_files());
}

#[actix_rt::test]
async fn a_worker_stops_cleanly_when_asked() {
    let fleet = Fleet::start(1, &[]).await;
    let metrics = fleet.workers()[0].get("/metrics").expect("metrics").1;
    for name in ["transcode_pool_slots", "transcode_pool_busy", "transcode_cpu_utilization_ratio"] {
        assert!(metrics.contains(&format!("# TYPE {name}")), "{name} is missing:\n{metrics}");
    }
    assert_eq!(fleet.workers()[0].get("/healthz").map(|(status, _)| status), Some(200));
    assert_eq!(fleet.stop_all(), [Some(0)]);
}

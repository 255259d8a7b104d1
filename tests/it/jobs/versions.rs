//! Workers with two versions of x264 in one fleet, on a real Kafka and a real Redis. The second one is x264 with other
//! options, which it writes into each chunk: so an output shows whose chunks it has.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use serde_json::{Value, json};

use crate::support::clip::Clip;
use crate::support::fleet::Fleet;
use crate::support::media::{judge, text};
use crate::support::service::PATIENCE;
use crate::support::transcode::uri;
use crate::support::worker::Worker;

const FOREIGN: (&str, &str) = ("TEST_X264_OPTIONS", "deblock=-1,-1");
const H264: &str = "x264enc speed-preset=ultrafast key-int-max=25 ! h264parse";

/// A fleet of two workers of which the second has another x264.
async fn fleet(variables: &[(&str, &str)]) -> Fleet {
    let mut fleet = Fleet::start(1, &[&[("CHUNK_SECONDS", "1"), ("GPU_ENABLED", "false")], variables].concat()).await;
    fleet.add_worker_with(&[FOREIGN]);
    fleet.workers().iter().for_each(Worker::wait_ready);
    fleet
}

fn clip(fleet: &Fleet, seconds: u32) -> String {
    let clip = Clip { frames: seconds * 25, size: (320, 180), ..Clip::new("clip.mp4", H264, "", "mp4mux") };
    uri(&clip.write(fleet.bench.root()))
}

fn job(fleet: &Fleet, name: &str, input: &str, preset: &str) -> Value {
    let output = uri(&fleet.bench.path(&format!("{name}.mp4")));
    let video = json!({"codec": "h264", "height": 180, "crf": 30, "preset": preset});
    json!({"job_id": name, "input": {"uri": input}, "outputs": [{"uri": output, "container": "mp4", "video": video}]})
}

/// What the encoders of the chunks of an output were told of deblocking, as the judge finds it in the stream.
fn deblocking(fleet: &Fleet, name: &str) -> Vec<String> {
    let path = fleet.bench.path(&format!("{name}.mp4"));
    let (stream, _) = judge(&["-i", text(&path), "-map", "0:v", "-c", "copy", "-f", "h264", "-"]);
    let told = String::from_utf8_lossy(&stream);
    let words = told.split(' ').filter(|word| word.starts_with("deblock="));
    words.map(str::to_owned).collect()
}

#[actix_rt::test]
async fn each_of_twenty_jobs_of_a_mixed_fleet_has_chunks_of_one_version() {
    let fleet = fleet(&[]).await;
    let input = clip(&fleet, 4);
    let names: Vec<String> = (0..20).map(|number| format!("movie-{number}")).collect();
    names.iter().for_each(|name| fleet.publish(&job(&fleet, name, &input, "veryfast")));
    let ends = fleet.ends_within(PATIENCE * 3, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    for last in &ends {
        assert_eq!((last.status, last.error.as_ref()), (JobStatus::Completed, None), "{last:#?}");
    }
    let mut kinds = BTreeSet::new();
    for name in &names {
        let told = deblocking(&fleet, name);
        let kind: BTreeSet<String> = told.iter().cloned().collect();
        assert!(told.len() >= 3 && kind.len() == 1, "{name}: {told:?}");
        kinds.extend(kind);
    }
    assert_eq!(kinds, BTreeSet::from(["deblock=1:-1:-1".into(), "deblock=1:0:0".into()]));
    let left = |worker: &Worker| {
        let (_, page) = worker.get("/metrics").expect("the metrics");
        page.lines().any(|line| line.starts_with("transcode_tasks_total") && line.contains("outcome=\"left\""))
    };
    assert!(fleet.workers().iter().all(left), "each had tasks of the other");
    fleet.wait_for_no_lag();
}

#[actix_rt::test]
async fn a_job_whose_version_left_the_fleet_waits_visibly_and_fails_with_the_reason() {
    let mut fleet = fleet(&[("ENCODER_WAIT_TIMEOUT", "8s"), ("ENCODER_POOL_SIZE", "1")]).await;
    let input = clip(&fleet, 30);
    fleet.publish(&job(&fleet, "movie", &input, "veryslow"));
    fleet.chunks_done("movie", 1).await;
    let key = "transcode:checkpoint:movie";
    let fingerprint: String = fleet.redis(&["HGET", key, "fingerprint"]).await;
    let parts: Vec<String> = fleet.redis(&["HVALS", &format!("{key}:parts:{fingerprint}")]).await;
    let part: Value = serde_json::from_str(&parts[0]).expect("a part");
    let maker = part["worker"].as_str().expect("a worker").to_owned();
    fleet.stop(&maker);
    // Its announcement would live for a minute.
    let _: i64 = fleet.redis(&["DEL", &format!("transcode:worker:{maker}")]).await;
    let end = Instant::now() + PATIENCE;
    let waiting = loop {
        let told = fleet.command(&["status", "movie"]).output().expect("it runs");
        let told = String::from_utf8_lossy(&told.stdout).into_owned();
        if let Some(line) = told.lines().find(|line| line.starts_with("waiting")) {
            break line.to_owned();
        }
        assert!(Instant::now() < end, "it does not wait:\n{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let version = waiting.strip_prefix("waiting    for a worker with ").unwrap_or_else(|| panic!("{waiting}"));
    assert!(version.starts_with("x264 1"), "{version}");
    let told_so = |reports: &[crate::support::service::Received]| {
        reports.iter().any(|one| one.report.waiting_for.as_deref().is_some_and(|what| what.ends_with(version)))
    };
    fleet.service.wait_for("a report of the wait", told_so).await;
    let last = fleet.ends(&["movie"]).await.remove(0);
    let error = last.error.as_ref().expect("a reason").message.clone();
    assert_eq!((last.status, last.waiting_for), (JobStatus::Failed, None));
    for said in [version, "ENCODER_WAIT_TIMEOUT", "living workers have x264 1", "requeue"] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(!fleet.bench.path("movie.mp4").exists());
    fleet.wait_for_no_lag();
}

//! Jobs that go to the dead letters, and back.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use actors::domain::progress::Report;
use serde_json::{Value, json};

use super::cluster::{job, short_clip};
use crate::support::fleet::{Fleet, assert_monotonic};
use crate::support::media::{frame_times, small_film};
use crate::support::service::Received;

/// What has not happened by then does not happen.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);

/// The answer of a command with `--json`, line by line.
fn ask(fleet: &Fleet, args: &[&str], status: i32) -> Vec<Value> {
    let output = fleet.command(args).arg("--json").output().expect("the program starts");
    assert_eq!(output.status.code(), Some(status), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn reports(received: &[Received], job: &str) -> Vec<Report> {
    received.iter().map(|one| one.report.clone()).filter(|report| report.job_id.as_str() == job).collect()
}

#[actix_rt::test]
async fn a_job_whose_input_was_missing_is_sent_back_and_completes() {
    let fleet = Fleet::start(1, &[]).await;
    assert_eq!(ask(&fleet, &["dead-letters"], 0), Vec::<Value>::new());
    let late = fleet.bench.path("late.mp4");
    fleet.publish(&job(&fleet, "late", &late, 360));
    let failed = fleet.ends(&["late"]).await.remove(0);
    assert_eq!(failed.status, JobStatus::Failed, "{failed:#?}");
    fleet.wait_for_no_lag();

    let [letter] = ask(&fleet, &["dead-letters"], 0).try_into().expect("one letter");
    assert_eq!((&letter["job_id"], &letter["class"]), (&"late".into(), &"permanent".into()), "{letter}");
    assert_eq!((&letter["id"], &letter["requeueable"]), (&"0-0".into(), &true.into()), "{letter}");
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("late.mp4")), "{letter}");
    assert!(letter["origin"]["offset"].is_u64() && letter["timestamp"].is_string(), "{letter}");

    // Long enough that progress is seen on the way.
    std::fs::copy(small_film(), &late).expect("the input arrives");
    assert_eq!(ask(&fleet, &["requeue", "0-0"], 0), [json!({"id": "0-0", "job_id": "late", "status": "requeued"})]);
    let completed = |report: &Report| report.status == JobStatus::Completed;
    let received = fleet.service.wait_for("completed", |all| reports(all, "late").iter().any(completed)).await;
    assert_eq!(frame_times(&fleet.bench.path("late.ts")).len(), 720);
    let (before, after): (Vec<_>, Vec<_>) =
        received.into_iter().partition(|one| one.report.sequence <= failed.sequence);
    assert_monotonic(&after, "late");
    assert!(reports(&after, "late").len() > 1, "progress is reported again: {after:#?}");
    assert!(before.iter().any(|one| one.report == failed));

    fleet.wait_for_no_lag();
    let [refusal] = ask(&fleet, &["requeue", "0-0"], 1).try_into().expect("one line");
    assert!(refusal["error"]["message"].as_str().is_some_and(|why| why.contains("has completed")), "{refusal}");
    assert!(fleet.work_files().is_empty(), "{:?}", fleet.work_files());
}

/// The worker that encodes the first chunk of a job for the `attempt`th time.
async fn encodes(fleet: &Fleet, job: &str, attempt: u32) -> String {
    let (attempts, task) = (format!("transcode:checkpoint:{job}:attempts"), format!("{job}/v00000"));
    let lease = format!("transcode:lease:{task}");
    let end = Instant::now() + PATIENCE;
    loop {
        let begun: Option<u32> = fleet.redis(&["HGET", &attempts, &task]).await;
        let owner: Option<String> = fleet.redis(&["GET", &lease]).await;
        match owner.filter(|_| begun == Some(attempt)) {
            Some(owner) => return owner,
            None => assert!(Instant::now() < end, "attempt {attempt} of {task} has not begun, {begun:?} were"),
        }
        tokio::time::sleep(POLL).await;
    }
}

#[actix_rt::test]
async fn a_job_that_kills_its_worker_is_given_up_and_the_job_beside_it_is_not() {
    let variables = [
        ("MAX_ATTEMPTS", "2"),
        ("ENCODER_POOL_SIZE", "1"),
        // A worker that was killed is missed sooner.
        ("KAFKA_CONFIG_SESSION_TIMEOUT_MS", "6000"),
        ("KAFKA_CONFIG_HEARTBEAT_INTERVAL_MS", "500"),
    ];
    let mut fleet = Fleet::start(2, &variables).await;
    // Its other chunks are done before the first one is begun again, which waits for the lease of the dead.
    let mut poison = job(&fleet, "poison", &small_film(), 720);
    poison["outputs"][0]["video"]["preset"] = "slow".into();
    fleet.publish(&poison);
    for attempt in [1, 2] {
        let worker = encodes(&fleet, "poison", attempt).await;
        fleet.kill(&worker);
        fleet.add_worker();
        if attempt == 1 {
            let (_, path) = short_clip(&fleet);
            fleet.publish(&job(&fleet, "beside", &path, 90));
        }
    }
    let mut ends = fleet.ends(&["poison", "beside"]).await;
    ends.sort_by(|one, other| one.job_id.as_str().cmp(other.job_id.as_str()));
    let ended: Vec<_> = ends.iter().map(|last| (last.job_id.as_str(), last.status)).collect();
    assert_eq!(ended, [("beside", JobStatus::Completed), ("poison", JobStatus::Failed)]);
    assert!(ends[1].error.as_ref().is_some_and(|error| error.message.contains("was begun 2 times")), "{:#?}", ends[1]);
    fleet.wait_for_no_lag();
    let [letter] = ask(&fleet, &["dead-letters"], 0).try_into().expect("one letter");
    assert_eq!((&letter["job_id"], &letter["attempts"]), (&"poison".into(), &2.into()), "{letter}");
    assert_eq!((&letter["class"], &letter["requeueable"]), (&"retryable".into(), &true.into()), "{letter}");
    assert!(letter["reason"].as_str().is_some_and(|reason| reason.contains("never ended")), "{letter}");
    assert!(fleet.work_files().is_empty(), "{:?}", fleet.work_files());
}

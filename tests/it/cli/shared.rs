//! The commands for a fleet: `submit`, `status`, `cancel`.

use std::path::PathBuf;

use actors::domain::checkpoint::JobStatus;
use actors::domain::job::JobSpec;
use actors::domain::record::{Publication, Queue};
use gstreamer_worker::cli::{Exit, Trouble};

use super::fakes::{Fake, Ran, run, text};

const JOB: &str = r#"{"job_id": "movie-42", "input": {"uri": "file:///media/in.mp4"}, "outputs": [
    {"uri": "file:///media/out.ts", "container": "mpegts", "video": {"codec": "h264", "height": 720}}]}"#;

const POD: &[(&str, &str)] = &[("KAFKA_BROKERS", "kafka:9092"), ("REDIS_HOST", "redis")];

fn job() -> JobSpec {
    JobSpec::parse(JOB.as_bytes()).expect("a job")
}

fn job_file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("job.json");
    std::fs::write(&file, content).expect("a file");
    (directory, file)
}

async fn submit(fake: &Fake, content: &str, options: &[&str]) -> Result<Exit, Trouble> {
    submitted(fake, content, options).await.outcome
}

async fn submitted(fake: &Fake, content: &str, options: &[&str]) -> Ran {
    let (_directory, file) = job_file(content);
    let mut args = vec!["submit", text(&file)];
    args.extend(options);
    run(&args, POD, fake).await
}

fn published(fake: &Fake) -> Vec<Publication> {
    fake.published.lock().expect("no panic").clone()
}

#[actix_rt::test]
async fn a_job_is_published_under_its_id() {
    let fake = Fake::that_completes();
    assert_eq!(submit(&fake, JOB, &[]).await.expect("submitted"), Exit::Done);
    let records = published(&fake);
    assert_eq!((records.len(), records[0].queue, records[0].key.as_slice()), (1, Queue::Jobs, &b"movie-42"[..]));
    let value = records[0].value.as_deref().expect("a value");
    assert_eq!(JobSpec::parse(value).expect("a job"), job());
}

#[actix_rt::test]
async fn what_is_not_a_job_is_not_published() {
    let fake = Fake::that_completes();
    for (content, words) in [
        (JOB.replace("720", "721"), "outputs[0].video.height"),
        (JOB.replace("movie-42", "no good id"), "job_id"),
        ("{".into(), "EOF"),
        (String::new(), "EOF"),
    ] {
        let trouble = submit(&fake, &content, &[]).await.expect_err("refused");
        assert_eq!(trouble.status(), 2);
        assert!(trouble.to_string().contains(words), "{trouble}");
    }
    let trouble = run(&["submit", "/none/job.json"], POD, &fake).await.outcome.expect_err("no file");
    assert!(trouble.status() == 2 && trouble.to_string().contains("/none/job.json"), "{trouble}");
    assert!(published(&fake).is_empty());
}

#[actix_rt::test]
async fn an_embedded_broker_cannot_be_submitted_to() {
    let (_directory, file) = job_file(JOB);
    let env = [("KAFKA_BROKERS", "embedded")];
    let trouble = run(&["submit", text(&file)], &env, &Fake::that_completes()).await.outcome;
    let trouble = trouble.expect_err("refused");
    assert!(trouble.status() == 64 && trouble.to_string().contains("use `transcode`"), "{trouble}");
}

#[actix_rt::test]
async fn waiting_ends_with_the_job() {
    for (status, exit) in
        [(JobStatus::Completed, Exit::Done), (JobStatus::Failed, Exit::Failed), (JobStatus::Cancelled, Exit::Failed)]
    {
        let fake = Fake::that_completes();
        fake.jobs.put(&job(), status);
        assert_eq!(submit(&fake, JOB, &["--wait"]).await.expect("an end"), exit, "{status:?}");
    }
}

#[actix_rt::test]
async fn waiting_does_not_take_the_end_of_another_job_with_the_same_id_for_its_own() {
    let fake = Fake::that_completes();
    fake.jobs.put(&JobSpec { overwrite: true, ..job() }, JobStatus::Completed);
    let trouble = submit(&fake, JOB, &["--wait"]).await.expect_err("another job");
    assert!(trouble.status() == 1 && trouble.to_string().contains("another job has the id movie-42"), "{trouble}");
}

#[actix_rt::test]
async fn cancelling_is_kept_in_the_store_and_told_to_the_workers() {
    let fake = Fake::that_completes();
    fake.jobs.put(&job(), JobStatus::Encoding);
    let exit = run(&["cancel", "movie-42"], POD, &fake).await.outcome.expect("asked for");
    assert_eq!(exit, Exit::Done);
    assert!(fake.jobs.get(&job().job_id).expect("a checkpoint").cancel_requested);
    let records = published(&fake);
    assert_eq!((records.len(), records[0].queue, records[0].key.as_slice()), (1, Queue::Control, &b"movie-42"[..]));
    let value = records[0].value.as_deref().expect("a value");
    let value: serde_json::Value = serde_json::from_slice(value).expect("json");
    assert_eq!(value, serde_json::json!({"type": "cancel", "job_id": "movie-42"}));
}

#[actix_rt::test]
async fn a_job_that_ended_is_not_cancelled() {
    let fake = Fake::that_completes();
    fake.jobs.put(&job(), JobStatus::Completed);
    run(&["cancel", "movie-42"], POD, &fake).await.outcome.expect("nothing to do");
    assert!(published(&fake).is_empty() && !fake.jobs.get(&job().job_id).expect("a checkpoint").cancel_requested);
}

#[actix_rt::test]
async fn status_tells_the_end_by_its_exit_status() {
    let fake = Fake::that_completes();
    let status = ["status", "movie-42", "--json"];
    let trouble = run(&status, POD, &fake).await.outcome.expect_err("not known");
    assert!(trouble.status() == 1 && trouble.to_string().contains("no job movie-42 is known"), "{trouble}");
    for (at, exit) in [
        (JobStatus::Encoding, Exit::Done),
        (JobStatus::Completed, Exit::Done),
        (JobStatus::Failed, Exit::Failed),
        (JobStatus::Cancelled, Exit::Failed),
    ] {
        fake.jobs.put(&job(), at);
        assert_eq!(run(&status, POD, &fake).await.outcome.expect("known"), exit, "{at:?}");
    }
    let trouble = run(&["status", "../x"], POD, &fake).await.outcome.expect_err("no id");
    assert_eq!(trouble.status(), 2);
}

#[actix_rt::test]
async fn the_id_is_the_only_result_and_progress_goes_to_standard_error() {
    let fake = Fake::that_completes();
    assert_eq!(submitted(&fake, JOB, &[]).await.out, "movie-42\n");
    fake.jobs.put(&job(), JobStatus::Failed);
    let ran = submitted(&fake, JOB, &["--wait"]).await;
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("movie-42\n", "error: no video track\n"));
    let ran = submitted(&fake, JOB, &["--wait", "--json"]).await;
    let events: Vec<serde_json::Value> =
        ran.out.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!((&events[0]["event"], &events[1]["event"]), (&"submitted".into(), &"failed".into()));
    assert_eq!(events[1]["error"]["class"], "permanent");
}

#[actix_rt::test]
async fn status_is_for_people_and_for_scripts() {
    let fake = Fake::that_completes();
    fake.jobs.put(&job(), JobStatus::Encoding);
    let people = run(&["status", "movie-42"], POD, &fake).await.out;
    assert!(people.starts_with("job        movie-42\nstatus     encoding\n"), "{people}");
    let scripts = run(&["--json", "status", "movie-42"], POD, &fake).await.out;
    let checkpoint: serde_json::Value = serde_json::from_str(&scripts).expect("json");
    assert_eq!((&checkpoint["job_id"], &checkpoint["status"]), (&"movie-42".into(), &"encoding".into()));
}

//! What workers log about jobs: who did what for which job, in which trace, and never a secret.

use actors::domain::checkpoint::JobStatus;
use serde_json::{Map, Value};

use super::cluster::{job, short_clip};
use crate::support::fleet::{Fleet, Servers};
use crate::support::redis::Redis;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const HEADER: &str = "traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// No other text of a log can hold one of these.
const SECRETS: [&str; 3] = ["redis-8f1c", "service-8f1c", "kafka-8f1c"];

/// A fleet of two that logs as JSON from `level` on, with a secret at every place that takes one.
async fn fleet(level: &str) -> Fleet {
    let servers = Servers { redis: Redis::start_with(&["--requirepass", SECRETS[0]]), kafka: None };
    let variables = [
        ("LOG_FORMAT", "json"),
        ("RUST_LOG", level),
        ("REDIS_PASSWORD", SECRETS[0]),
        ("TRANSCODING_SERVICE_TOKEN", SECRETS[1]),
        ("KAFKA_CONFIG_SASL_PASSWORD", SECRETS[2]),
    ];
    Fleet::start_on(servers, 2, &variables).await
}

/// A job that completes and one that fails, both with a trace; the lines of the log, one object each.
async fn lines(fleet: &Fleet) -> Vec<Map<String, Value>> {
    let (_, clip) = short_clip(fleet);
    let jobs = [job(fleet, "good", &clip, 90), job(fleet, "bad", &fleet.bench.path("nothing.mp4"), 90)];
    for job in jobs {
        let id = job["job_id"].as_str().expect("an id");
        fleet.publish_with_headers(id, job.to_string().as_bytes(), &[HEADER]);
    }
    let ends = fleet.ends(&["good", "bad"]).await;
    assert_eq!(ends.iter().filter(|last| last.status == JobStatus::Completed).count(), 1, "{ends:#?}");
    fleet.wait_for_no_lag();
    let log = fleet.log();
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[actix_rt::test]
async fn every_line_of_a_json_log_names_its_worker_and_what_is_done_for_a_job_its_task_and_trace() {
    let fleet = fleet("warn,gstreamer_worker=debug,actors=debug").await;
    let lines = lines(&fleet).await;
    let names: Vec<String> = fleet.workers().iter().map(|worker| worker.fleet_name()).collect();
    for line in &lines {
        assert!(names.iter().any(|name| line["worker"] == **name), "no worker: {line:?}");
        for field in ["timestamp", "level", "target", "message"] {
            assert!(line.get(field).is_some_and(Value::is_string), "no {field}: {line:?}");
        }
        // A task is always one of a job, and all of these jobs have a trace.
        if let Some(task) = line.get("task") {
            let job = line["job_id"].as_str().expect("a job");
            assert!(task.as_str().is_some_and(|task| task.starts_with(&format!("{job}/"))), "{line:?}");
            assert_eq!(line["trace_id"], TRACE_ID, "{line:?}");
        }
    }
    for (message, task) in [("job was split", "good/split"), ("job ended", "good/assemble"), ("job ended", "bad/split")]
    {
        let found =
            lines.iter().any(|line| line["message"] == message && line.get("task").is_some_and(|of| of == task));
        assert!(found, "nobody says `{message}` in {task}: {lines:#?}");
    }
}

#[actix_rt::test]
async fn the_trace_of_a_job_goes_with_its_tasks_and_its_dead_letter() {
    let fleet = fleet("warn").await;
    lines(&fleet).await;
    let tasks = fleet.records("tasks.cpu");
    assert!(tasks.len() >= 3, "chunk, audio, assemble: {tasks:#?}");
    for record in tasks.iter().chain(&fleet.dead_letters()) {
        assert!(record.contains(HEADER), "{record}");
    }
    assert_eq!(fleet.dead_letters().len(), 1);
}

#[actix_rt::test]
async fn no_secret_is_ever_logged_however_much_is() {
    let fleet = fleet("trace").await;
    let lines = lines(&fleet).await;
    assert!(lines.iter().any(|line| line["level"] == "TRACE"), "everything is logged");
    assert!(
        fleet.service.received().iter().all(|one| one.token.as_deref().is_some_and(|token| token.contains(SECRETS[1])))
    );
    let log = fleet.log();
    for secret in SECRETS {
        let told = log.lines().find(|line| line.contains(secret));
        assert_eq!(told, None, "{secret} was logged");
    }
}

//! The admin endpoint over real sockets.

use std::sync::{Arc, Mutex};

use gstreamer_worker::admin::{Admin, Health};
use gstreamer_worker::telemetry;
use serde_json::{Value, json};

/// Status, content type and body.
async fn get(admin: &Admin, path: &str) -> (u16, String, String) {
    let url = format!("http://127.0.0.1:{}{path}", admin.address().port());
    let mut response = awc::Client::default().get(url).send().await.expect("an answer");
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
    let body = response.body().await.expect("a body");
    (response.status().as_u16(), kind.unwrap_or_default(), String::from_utf8(body.to_vec()).expect("text"))
}

fn start(health: Arc<Mutex<Health>>) -> (Admin, metrics_exporter_prometheus::PrometheusRecorder) {
    let recorder = telemetry::recorder().expect("a recorder");
    let health = Arc::new(move || health.lock().expect("no panic").clone());
    (Admin::start(0, recorder.handle(), health).expect("a free port"), recorder)
}

#[actix_rt::test]
async fn health_is_200_or_503_with_the_reasons() {
    let health = Arc::new(Mutex::new(Health::default()));
    let (admin, _) = start(health.clone());
    for path in ["/healthz", "/readyz"] {
        let (status, kind, body) = get(&admin, path).await;
        assert_eq!((status, kind.as_str()), (200, "application/json"), "{path}");
        assert_eq!(serde_json::from_str::<Value>(&body).expect("json"), json!({"status": "ok", "reasons": []}));
    }
    let reason = "redis does not answer since 12 s";
    health.lock().expect("no panic").not_ready.push(reason.into());
    assert_eq!(get(&admin, "/healthz").await.0, 200);
    let (status, _, body) = get(&admin, "/readyz").await;
    assert_eq!(status, 503);
    let body: Value = serde_json::from_str(&body).expect("json");
    assert_eq!(body, json!({"status": "unavailable", "reasons": [reason]}));
    assert_eq!(get(&admin, "/elsewhere").await.0, 404);
}

#[actix_rt::test]
async fn metrics_come_with_help_and_type_and_buckets() {
    let (admin, recorder) = start(Arc::default());
    metrics::with_local_recorder(&recorder, || {
        actors::metrics::describe();
        metrics::histogram!(actors::metrics::ENCODE_FPS, "codec" => "h264", "encoder" => "x264").record(42.0);
        metrics::counter!(actors::metrics::TASKS_TOTAL, "stage" => "encode", "outcome" => "done").increment(3);
        metrics::gauge!(actors::metrics::POOL_SLOTS).set(4.0);
    });
    let (status, kind, body) = get(&admin, "/metrics").await;
    assert_eq!(status, 200);
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    for line in [
        "# HELP transcode_encode_fps Frames per second that one task encodes.",
        "# TYPE transcode_encode_fps histogram",
        r#"transcode_encode_fps_bucket{codec="h264",encoder="x264",le="45"} 1"#,
        r#"transcode_encode_fps_bucket{codec="h264",encoder="x264",le="30"} 0"#,
        "# HELP transcode_tasks_total Attempts of tasks that ended.",
        "# TYPE transcode_tasks_total counter",
        r#"transcode_tasks_total{stage="encode",outcome="done"} 3"#,
        "# TYPE transcode_pool_slots gauge",
        "transcode_pool_slots 4",
    ] {
        assert!(body.lines().any(|found| found == line), "{line}\nis not in\n{body}");
    }
}

#[actix_rt::test]
async fn a_port_that_is_taken_is_a_sentence() {
    let (admin, recorder) = start(Arc::default());
    let port = admin.address().port();
    let failure = Admin::start(port, recorder.handle(), Arc::new(Health::default)).expect_err("taken");
    assert!(failure.message.starts_with(&format!("METRICS_PORT {port} cannot be used")), "{failure}");
}

#[actix_rt::test]
async fn dropping_it_frees_the_port() {
    let (admin, recorder) = start(Arc::default());
    let port = admin.address().port();
    drop(admin);
    let again = || Admin::start(port, recorder.handle(), Arc::new(Health::default));
    // The port is closed by another thread, soon.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(failure) = again() {
        assert!(std::time::Instant::now() < deadline, "{failure}");
        tokio::task::yield_now().await;
    }
}

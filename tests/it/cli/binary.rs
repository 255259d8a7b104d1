//! The real binary: exit statuses, and what stands on which stream.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs the binary with an environment of its own.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gstreamer-worker"));
    command.args(args).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    command.envs(env.iter().copied()).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Standard output as text.
pub fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

#[test]
fn wrong_usage_is_status_two_and_nothing_on_standard_output() {
    for args in [
        &[][..],
        &["dance"],
        &["transcode"],
        &["transcode", "in.mp4"],
        &["transcode", "/none/in.mp4", "out.ts", "--work-dir", "/tmp"],
        &["transcode", "in.mp4", "out.ts", "--bitrate", "lots"],
        &["submit", "/none/job.json"],
        &["status", "not an id"],
        &["requeue"],
        &["requeue", "17"],
        &["dead-letters", "--limit", "few"],
        &["run", "--fast"],
    ] {
        let output = run(args, &[]);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_wrong_configuration_is_status_64_and_all_of_it_is_said() {
    let output = run(&["run"], &[("METRICS_PORT", "high"), ("KAFKA_BROKER", "kafka:9092"), ("LOG_FORMAT", "xml")]);
    assert_eq!(output.status.code(), Some(64));
    let text = err(&output);
    for line in
        ["KAFKA_BROKERS: is not set", "METRICS_PORT: `high`", "LOG_FORMAT: `xml`", "did you mean KAFKA_BROKERS?"]
    {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    for args in
        [&["submit", "-"][..], &["status", "movie-42"], &["cancel", "movie-42"], &["dead-letters"], &["requeue", "0-1"]]
    {
        // `submit` reads its job first, and there is none on standard input.
        let expected = if args[0] == "submit" { 2 } else { 64 };
        assert_eq!(run(args, &[]).status.code(), Some(expected), "{args:?}");
    }
}

#[test]
fn with_json_an_error_is_an_event_too() {
    let output = run(&["run", "--json"], &[]);
    assert_eq!(output.status.code(), Some(64));
    let event: Value = serde_json::from_str(&out(&output)).expect("json");
    assert_eq!((&event["event"], &event["error"]["class"]), (&"error".into(), &"configuration".into()));
}

#[test]
fn the_schema_accepts_the_job_of_the_contract_and_refuses_slips() {
    let output = run(&["schema"], &[]);
    assert_eq!(output.status.code(), Some(0));
    let schema: Value = serde_json::from_str(&out(&output)).expect("json");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let job = r#"{"job_id": "movie-42", "input": {"uri": "file:///media/in.mp4"}, "outputs": [
        {"uri": "file:///media/out/720p.ts", "container": "mpegts",
         "video": {"codec": "h264", "width": 1280, "height": 720, "bitrate": 5000000, "preset": "fast"},
         "audio": {"codec": "aac", "bitrate": 128000}}], "gpu": "auto"}"#;
    let valid = |text: &str| schema.is_valid(&serde_json::from_str(text).expect("json"));
    assert!(valid(job));
    for (from, to) in [("bitrate", "bit_rate"), ("mpegts", "avi"), ("1280", "1281"), ("file:///media/in", "in")] {
        assert!(!valid(&job.replacen(from, to, 1)), "{to}");
    }
}

#[test]
fn help_and_version_are_results() {
    for (args, words) in
        [(&["--version"][..], env!("CARGO_PKG_VERSION")), (&["transcode", "--help"], "--chunk-seconds")]
    {
        let output = run(args, &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains(words), "{args:?}");
    }
    assert!(!out(&run(&["--help"], &[])).contains("stage"), "the inside of stage processes is nobody's business");
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_gstreamer-worker"))
        .arg("schema")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the binary runs");
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(0), ""));
}

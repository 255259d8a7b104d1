//! Devices that fail while jobs run: OpenH264 stands for one, and fails where a test wants it. ffmpeg and GStreamer
//! judge what comes out.

mod fleet;

use std::process::Output;

use serde_json::{Value, json};

use crate::support::media::{frame_times, gstreamer_warnings, small_film, text, warnings};
use crate::support::transcode::{Bench, uri};

/// Frames of the film.
const FRAMES: usize = 720;
/// Offers the stand-in as a device.
const DEVICE: (&str, &str) = ("TEST_DEVICE_ENCODER", "openh264");

/// One output of the film in each of these containers, all of one rendition.
fn job(bench: &Bench, job_id: &str, gpu: &str, containers: &[&str]) -> Value {
    let output = |container: &&str| {
        json!({
            "uri": uri(&output(bench, job_id, container)),
            "container": container,
            "video": {"codec": "h264", "height": 180, "bitrate": 400_000, "preset": "veryfast"},
            "audio": {"codec": "aac"},
        })
    };
    let outputs: Vec<Value> = containers.iter().map(output).collect();
    json!({"job_id": job_id, "gpu": gpu, "input": {"uri": uri(&small_film())}, "outputs": outputs})
}

fn output(bench: &Bench, job_id: &str, container: &str) -> std::path::PathBuf {
    let extension = if container == "mpegts" { "ts" } else { "mp4" };
    bench.path(&format!("{job_id}.{extension}"))
}

/// Every frame is there, in order and at its time, and neither judge has anything to say.
fn check(path: &std::path::Path) {
    let name = path.display();
    assert_eq!(warnings(path), "", "{name}");
    assert_eq!(gstreamer_warnings(path), "", "{name}");
    let times = frame_times(path);
    assert_eq!(times.len(), FRAMES, "{name}");
    for (n, time) in times.iter().enumerate() {
        assert!((time - times[0] - n as f64 / 24.0).abs() < 0.0005, "frame {n} of {name} comes at {time}");
    }
}

/// Runs the job on this machine, with these variables.
fn run(bench: &Bench, job: &Value, variables: &[(&str, &str)]) -> Output {
    let job = bench.job(job);
    let mut command = bench.command(&["--job", text(&job), "--chunk-seconds", "3"]);
    command.envs(variables.iter().copied()).env("RUST_LOG", "info").output().expect("the program starts")
}

fn log(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The set of parameters that each access unit of the transport stream announces, without repetitions.
fn parameter_sets(path: &std::path::Path) -> usize {
    let args = ["-v", "error", "-i", text(path), "-map", "0:v", "-c", "copy", "-bsf:v", "filter_units=pass_types=7"];
    let (stream, _) = crate::support::media::judge(&[&args[..], &["-f", "h264", "-"]].concat());
    let mut sets: Vec<&[u8]> = split(&stream);
    sets.sort_unstable();
    sets.dedup();
    sets.len()
}

/// The NAL units of a byte stream.
fn split(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, bytes)| *bytes == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([stream.len()]);
    let unit = |(start, end): (&usize, usize)| {
        let unit = &stream[*start..end];
        &unit[..unit.len() - unit.iter().rev().take_while(|byte| **byte == 0).count()]
    };
    starts.iter().zip(ends).map(unit).collect()
}

#[test]
fn a_transport_stream_of_which_a_device_made_the_first_chunks_and_the_cpu_the_rest_plays_everywhere() {
    let bench = Bench::new();
    let job = job(&bench, "mixed", "auto", &["mpegts"]);
    let output = run(&bench, &job, &[DEVICE, ("TEST_DEVICE_FAILS", "4:session_limit")]);
    assert!(output.status.success(), "{}", log(&output));
    let made = self::output(&bench, "mixed", "mpegts");
    check(&made);
    assert!(parameter_sets(&made) >= 2, "two encoders made it, each with its parameters");
    assert!(log(&output).contains("the CPU makes the chunk"), "{}", log(&output));
}

#[test]
fn a_job_with_both_containers_of_which_a_device_made_the_first_chunks_plays_everywhere() {
    for fault in ["out_of_memory", "bad_output", "crash"] {
        let bench = Bench::new();
        let job = job(&bench, "both", "auto", &["mpegts", "mp4"]);
        let fails = format!("4:{fault}");
        let output = run(&bench, &job, &[DEVICE, ("TEST_DEVICE_FAILS", fails.as_str())]);
        assert!(output.status.success(), "{fault}: {}", log(&output));
        for container in ["mpegts", "mp4"] {
            check(&self::output(&bench, "both", container));
        }
        assert!(log(&output).contains("the CPU makes all of it"), "{fault}: {}", log(&output));
    }
}

#[test]
fn a_device_that_stops_moving_is_given_up_and_the_cpu_goes_on() {
    let bench = Bench::new();
    let job = job(&bench, "hung", "auto", &["mp4"]);
    let variables = [DEVICE, ("TEST_DEVICE_FAILS", "5:hang"), ("STALL_TIMEOUT", "5s")];
    let output = run(&bench, &job, &variables);
    assert!(output.status.success(), "{}", log(&output));
    check(&self::output(&bench, "hung", "mp4"));
    assert!(log(&output).contains("hang"), "{}", log(&output));
}

#[test]
fn a_device_that_works_makes_all_of_a_job_that_requires_it() {
    let bench = Bench::new();
    let job = job(&bench, "required", "require", &["mpegts", "mp4"]);
    let output = run(&bench, &job, &[DEVICE]);
    assert!(output.status.success(), "{}", log(&output));
    for container in ["mpegts", "mp4"] {
        check(&self::output(&bench, "required", container));
    }
    assert_eq!(parameter_sets(&self::output(&bench, "required", "mpegts")), 1);
}

#[test]
fn a_job_that_requires_a_device_fails_at_once_on_a_machine_of_its_own_that_has_none() {
    let bench = Bench::new();
    let output = run(&bench, &job(&bench, "without", "require", &["mp4"]), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", log(&output));
    assert!(log(&output).contains("the job requires a GPU"), "{}", log(&output));
    assert!(bench.files().iter().all(|name| !name.starts_with("without")), "{:?}", bench.files());
}

//! What people and scripts read while a job runs and when it ended.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::{JobStatus, Outcome};
use actors::domain::failure::Failure;
use gstreamer_worker::cli::{Progress, Streams};

use super::fakes::Paper;
use crate::service::reports::{completed, last, report};

fn progress(json: bool) -> (Progress, Paper, Paper) {
    let (out, err) = (Paper::default(), Paper::default());
    (Progress::new(json, Streams::to(out.clone(), err.clone())), out, err)
}

#[test]
fn plain_lines_come_at_changes_of_stage_and_now_and_then() {
    let (mut progress, out, err) = progress(false);
    let begun = Instant::now();
    for second in 0..12u32 {
        let report = report(u64::from(second) + 1, JobStatus::Encoding, f64::from(second) * 5.0);
        progress.show_at(&report, begun + Duration::from_secs(second.into()));
    }
    progress.show_at(&report(20, JobStatus::Assembling, 95.0), begun + Duration::from_secs(12));
    let text = err.text();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("encoding     0.0 %  chunk 3 of 8\n"), "{text}");
    assert!(text.contains("encoding    25.0 %  chunk 3 of 8  0.75x  eta 00:00:30\n"), "{text}");
    assert!(text.contains("assembling  95.0 %"), "{text}");
    assert_eq!(out.text(), "");
}

#[test]
fn a_completed_job_says_what_was_made_and_how_it_was_checked() {
    let (mut progress, out, err) = progress(false);
    progress.show(&last(9, &completed()));
    let expected = [
        "/media/out/my film.ts",
        "  size      12.35 MB (12,345,678 bytes)",
        "  duration  30.030 s",
        &format!("  sha256    {}", "0123456789abcdef".repeat(4)),
        "  verified  900 frames, 15 of them key frames, 1,440,000 audio samples, audio -21.333 ms from video",
        "  compared  41 pictures and all sound",
        "  source    video 900 packets shown, 2 hidden; audio 1,407 packets shown, 1 lost; 3 frames damaged",
    ];
    assert_eq!(out.text().lines().collect::<Vec<_>>(), expected);
    assert_eq!(err.text(), "");
}

#[test]
fn a_failed_job_is_one_sentence_on_standard_error() {
    let (mut progress, out, err) = progress(false);
    progress.show(&last(9, &Outcome::Failed(Failure::permanent("in.mp4 has no video track, give one with video"))));
    assert_eq!(
        (out.text(), err.text().as_str()),
        (String::new(), "error: in.mp4 has no video track, give one with video\n")
    );
}

#[test]
fn with_json_every_line_of_standard_output_is_one_event() {
    let (mut progress, out, err) = progress(true);
    progress.show(&report(1, JobStatus::Splitting, 0.0));
    progress.show(&report(2, JobStatus::Encoding, 50.0));
    progress.show(&last(3, &completed()));
    let text = out.text();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().expect("a name")).collect();
    assert_eq!(names, ["progress", "progress", "completed"]);
    assert_eq!(events[2]["outputs"][0]["verification"]["frames"], 900);
    assert_eq!(err.text(), "");
}

#[test]
fn a_report_that_was_overtaken_is_not_shown() {
    let (mut progress, out, _) = progress(true);
    progress.show(&report(5, JobStatus::Encoding, 50.0));
    progress.show(&report(4, JobStatus::Encoding, 40.0));
    assert_eq!(out.text().lines().count(), 1);
}

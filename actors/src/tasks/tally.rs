//! What is counted of the work. Media that are encoded again are counted when an attempt begins that is not the first:
//! the attempt that died cannot count anything.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::domain::checkpoint::{Outcome as JobOutcome, PartRecord, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::plan::{Plan, Window};
use crate::domain::task::Stage;
use crate::domain::unit::UnitId;
use crate::metrics as names;

/// How an attempt of a task ended, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its work is done.
    Done,
    /// There was nothing to do.
    Nothing,
    /// It was left to a worker that has the versions of its plan.
    Left,
    /// It is tried again.
    Retried,
    /// Its job failed.
    Failed,
    /// Its job was cancelled.
    Cancelled,
    /// The worker stopped it.
    Interrupted,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Nothing => "nothing_to_do",
            Self::Left => "left",
            Self::Retried => "retried",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether it tells how long the stage takes.
    const fn is_attempt(self) -> bool {
        match self {
            Self::Done | Self::Retried | Self::Failed | Self::Cancelled | Self::Interrupted => true,
            Self::Nothing | Self::Left => false,
        }
    }
}

/// Counts the end of an attempt.
pub(super) fn task(stage: Option<Stage>, outcome: Outcome, took: Duration) {
    let Some(stage) = stage else { return };
    counter!(names::TASKS_TOTAL, "stage" => stage.as_str(), "outcome" => outcome.as_str()).increment(1);
    if outcome.is_attempt() {
        histogram!(names::TASK_DURATION_SECONDS, "stage" => stage.as_str(), "outcome" => outcome.as_str())
            .record(took.as_secs_f64());
    }
}

/// Counts a failure.
pub(super) fn failure(failure: &Failure) {
    counter!(names::ERRORS_TOTAL, "class" => failure.class.as_str()).increment(1);
}

/// Counts the end of a job.
pub(super) fn job(outcome: &JobOutcome, created_at: Timestamp, now: Timestamp) {
    let label = outcome.status().as_str();
    let took = (now - created_at).num_milliseconds().max(0) as f64 / 1000.0;
    counter!(names::JOBS_TOTAL, "outcome" => label).increment(1);
    histogram!(names::JOB_DURATION_SECONDS, "outcome" => label).record(took);
}

/// Counts the media of a part, and of one that was thrown away because another one was first.
pub(super) fn part(plan: &Plan, part: &PartRecord, first: bool) {
    let Some(chunk) = plan.chunk(part.unit) else { return };
    if !first {
        wasted(plan, part.unit, u64::MAX);
    }
    let seconds = length_ns(&chunk.window) as f64 / 1e9;
    for (index, rendition) in plan.video_renditions().iter().enumerate() {
        let made_by = part.parts.get(index).and_then(|part| part.encoder);
        let encoder = made_by.unwrap_or(rendition.encoder);
        let labels = [("codec", rendition.codec.as_str()), ("encoder", encoder.as_str())];
        if first {
            counter!(names::MEDIA_SECONDS_TOTAL, &labels).increment(whole_seconds(length_ns(&chunk.window)));
        }
        if part.encode_seconds > 0.0 {
            histogram!(names::ENCODE_FPS, &labels).record(f64::from(chunk.window.frames) / part.encode_seconds);
            histogram!(names::ENCODE_SPEED_RATIO, &labels).record(seconds / part.encode_seconds);
        }
    }
}

/// Counts media of a chunk that was encoded in vain, at most its whole length, once for each rendition.
pub(super) fn wasted(plan: &Plan, unit: UnitId, media_ns: u64) {
    let Some(chunk) = plan.chunk(unit) else { return };
    let seconds = whole_seconds(media_ns.min(length_ns(&chunk.window)));
    for rendition in plan.video_renditions() {
        let labels = [("codec", rendition.codec.as_str()), ("encoder", rendition.encoder.as_str())];
        counter!(names::WASTED_MEDIA_SECONDS_TOTAL, &labels).increment(seconds);
    }
}

fn length_ns(window: &Window) -> u64 {
    window.end_ns.saturating_sub(window.start_ns)
}

/// Counters are whole numbers; a chunk is several seconds, and what is rounded up and down evens out.
fn whole_seconds(ns: u64) -> u64 {
    (ns as f64 / 1e9).round() as u64
}

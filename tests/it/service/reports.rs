//! Reports of every kind.

use actors::domain::checkpoint::{Checkpoint, JobStatus, Outcome, OutputReport, Verification};
use actors::domain::failure::Failure;
use actors::domain::plan::Account;
use actors::domain::progress::{MediaLength, Report};
use chrono::{DateTime, TimeDelta};

/// A report of `movie-42` on its way.
pub fn report(sequence: u64, status: JobStatus, progress: f64) -> Report {
    let at = DateTime::from_timestamp(1_700_000_000, 123_456_789).expect("an instant");
    let mut checkpoint = Checkpoint::queued("movie-42".parse().expect("an id"), "content".into(), at);
    checkpoint.status = status;
    checkpoint.progress = progress;
    checkpoint.started_at = (status != JobStatus::Queued).then_some(at);
    (checkpoint.chunks_done, checkpoint.chunks_total) = (3, 8);
    let media = Some(MediaLength { seconds: 30.0, frames: 900 });
    Report::of(&checkpoint, sequence, media, "worker-1", at + TimeDelta::seconds(10))
}

/// The last report of a job that ended so.
pub fn last(sequence: u64, outcome: &Outcome) -> Report {
    report(sequence, JobStatus::Assembling, 99.0).ended(outcome)
}

/// Outputs of a completed job.
pub fn completed() -> Outcome {
    Outcome::Completed(vec![OutputReport {
        uri: "file:///media/out/my%20film.ts".into(),
        bytes: 12_345_678,
        duration: 30.03,
        sha256: "0123456789abcdef".repeat(4),
        verification: Verification {
            frames: 900,
            key_frames: 15,
            audio_samples: 1_440_000,
            av_offset_ns: -21_333_333,
            damaged_frames: 3,
            pictures_compared: 41,
            sound_compared: true,
            video_source: Some(Account { shown: 900, hidden: 2, lost: 0 }),
            audio_source: Some(Account { shown: 1407, hidden: 0, lost: 1 }),
        },
    }])
}

/// One of each kind.
pub fn every_kind() -> Vec<Report> {
    use JobStatus::{Assembling, Encoding, Queued, Splitting};
    let failures = [
        Failure::permanent("no video"),
        Failure::retryable("disk"),
        Failure::device("gpu"),
        Failure::interrupted("stop"),
    ];
    let waiting = Report { waiting_for: Some("a worker with x264 164 r3095".into()), ..report(7, Encoding, 41.7) };
    [Queued, Splitting, Encoding, Assembling]
        .into_iter()
        .map(|status| report(7, status, 41.7))
        .chain([waiting, last(8, &completed()), last(8, &Outcome::Cancelled)])
        .chain(failures.map(|failure| last(8, &Outcome::Failed(failure))))
        .collect()
}

//! What the Transcoding Service is told.

use serde::{Deserialize, Serialize};

use crate::domain::checkpoint::{Checkpoint, JobStatus, Outcome, OutputReport, Timestamp};
use crate::domain::failure::Failure;
use crate::domain::job::JobId;

/// Body of `POST {TRANSCODING_SERVICE_URL}/jobs/{job_id}/progress`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job_id: JobId,
    /// Grows with each report of the job, over all workers and generations of it. A report with a lower one than the last is old.
    pub sequence: u64,
    /// Where the job stands. After `failed`, one that is sent back begins anew.
    pub status: JobStatus,
    /// 0 to 100, never less than before.
    pub progress: f64,
    /// Frames of the source done per second since the job was begun.
    pub fps: f64,
    /// Seconds of the source done per second since the job was begun.
    pub speed: f64,
    /// Seconds until the end at this speed; absent while nothing is known.
    pub eta_seconds: Option<f64>,
    /// Chunks with a recorded part.
    pub chunks_done: u32,
    /// Chunks of the plan, 0 before there is one.
    pub chunks_total: u32,
    /// The worker that reports.
    pub worker: String,
    /// When it was so.
    pub updated_at: Timestamp,
    /// What the job waits for, where nobody can go on with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// In the last report of a completed job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<OutputReport>>,
    /// In the last report of a failed job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Length of the media of a job, for speeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MediaLength {
    /// Seconds.
    pub seconds: f64,
    /// Frames.
    pub frames: u64,
}

impl Report {
    /// A report from a checkpoint. `media` is what the plan says of the length, if there is a plan.
    pub fn of(
        checkpoint: &Checkpoint,
        sequence: u64,
        media: Option<MediaLength>,
        worker: &str,
        now: Timestamp,
    ) -> Self {
        let elapsed = checkpoint.started_at.map_or(0.0, |started| (now - started).num_milliseconds() as f64 / 1000.0);
        let done = checkpoint.progress / 100.0;
        let per_second = |whole: f64| if elapsed > 0.0 { whole * done / elapsed } else { 0.0 };
        let media = media.unwrap_or_default();
        Self {
            job_id: checkpoint.job_id.clone(),
            sequence,
            status: checkpoint.status,
            progress: checkpoint.progress,
            fps: per_second(media.frames as f64),
            speed: per_second(media.seconds),
            eta_seconds: (done > 0.0 && elapsed > 0.0).then(|| elapsed * (1.0 - done) / done),
            chunks_done: checkpoint.chunks_done,
            chunks_total: checkpoint.chunks_total,
            worker: worker.into(),
            updated_at: now,
            waiting_for: checkpoint.waiting_for.clone(),
            outputs: None,
            error: None,
        }
    }

    /// The checkpoint that the report speaks of, for a store that has lost it. Its content is not known (empty).
    pub fn checkpoint(&self, now: Timestamp) -> Checkpoint {
        Checkpoint {
            progress: self.progress.clamp(0.0, 100.0),
            chunks_done: self.chunks_done,
            chunks_total: self.chunks_total,
            ..Checkpoint::queued(self.job_id.clone(), String::new(), now)
        }
    }

    /// Makes it the last report of its job.
    #[must_use]
    pub fn ended(mut self, outcome: &Outcome) -> Self {
        self.status = outcome.status();
        self.eta_seconds = None;
        self.waiting_for = None;
        match outcome {
            Outcome::Completed(outputs) => {
                self.progress = 100.0;
                self.eta_seconds = Some(0.0);
                self.outputs = Some(outputs.clone());
            }
            Outcome::Failed(failure) => self.error = Some(failure.clone()),
            Outcome::Cancelled => {}
        }
        self
    }
}

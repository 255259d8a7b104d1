//! What is remembered of a job, and what it may become: the status only moves forward, progress never goes back.
//! A failed job that is sent back begins another *generation*, named by a sequence number: tasks, reports and steps of an
//! earlier one are told by it and change nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
pub use crate::domain::part::PartRecord;
use crate::domain::plan::Account;

/// An instant, shown as RFC 3339.
pub type Timestamp = DateTime<Utc>;

/// Shortest time between two progress reports of a job, over all workers, by the clock of the store.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Known, not begun.
    Queued,
    /// The input is being cut.
    Splitting,
    /// Chunks and audio are being encoded.
    Encoding,
    /// Outputs are being joined and verified.
    Assembling,
    /// Every output is published and was verified.
    Completed,
    /// It cannot be done.
    Failed,
    /// Somebody asked to stop it.
    Cancelled,
}

impl JobStatus {
    /// Whether nothing follows.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// The name used in the checkpoint and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Splitting => "splitting",
            Self::Encoding => "encoding",
            Self::Assembling => "assembling",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Position in the order of a job; terminal ones share the last.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Splitting => 1,
            Self::Encoding => 2,
            Self::Assembling => 3,
            Self::Completed | Self::Failed | Self::Cancelled => 4,
        }
    }

    /// The later of two in the order of a job.
    pub const fn later(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }
}

impl std::str::FromStr for JobStatus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use JobStatus::{Assembling, Cancelled, Completed, Encoding, Failed, Queued, Splitting};
        [Queued, Splitting, Encoding, Assembling, Completed, Failed, Cancelled]
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| format!("`{text}` is not a job status"))
    }
}

/// The checkpoint of a job: the hash at `transcode:checkpoint:{job_id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The job.
    pub job_id: JobId,
    /// Digest of the job's content: the same id with another digest is another job and refused.
    pub content: String,
    /// Where it stands.
    pub status: JobStatus,
    /// 0 to 100, never less than before.
    pub progress: f64,
    /// Sequence number of the last report.
    pub sequence: u64,
    /// The sequence number at which a failed job was opened again, 0 in its first generation: all reports of this generation have
    /// higher ones, all of the generations before have lower ones.
    #[serde(default, rename = "life")]
    pub generation: u64,
    /// First seen.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// First work on it.
    pub started_at: Option<Timestamp>,
    /// Reached a terminal status.
    pub completed_at: Option<Timestamp>,
    /// The plan in force.
    pub fingerprint: Option<Fingerprint>,
    /// Chunks of the plan, 0 before there is one.
    pub chunks_total: u32,
    /// Chunks with a recorded part.
    pub chunks_done: u32,
    /// Somebody asked to stop it.
    pub cancel_requested: bool,
    /// What it waits for, where nobody can go on with it: a noun phrase such as `a worker with x264 164 r3095`.
    #[serde(default)]
    pub waiting_for: Option<String>,
    /// Why it failed.
    pub error: Option<Failure>,
}

/// A step forward of a job that is not its end. Fields that are `None` stay as they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advance {
    /// Ignored where it would be a step back.
    pub status: Option<JobStatus>,
    /// Ignored where it would be less than before.
    pub progress: Option<f64>,
    /// The plan in force from now on, with its number of chunks.
    pub plan: Option<(Fingerprint, u32)>,
    /// Asks every worker to stop the job.
    pub cancel: bool,
    /// What the job waits for from now on, until it moves.
    pub waiting_for: Option<String>,
    /// Take a sequence number for a report, unless one was taken in the last second.
    pub report: bool,
    /// The generation of the job that the step belongs to: one of an earlier generation changes nothing, one of a later generation tells a
    /// store that was emptied, once there is a plan again. `None` where it is right in any generation.
    pub generation: Option<u64>,
}

/// Answer to an [`Advance`].
#[derive(Clone, Debug, PartialEq)]
pub struct Advanced {
    /// The checkpoint after the step.
    pub checkpoint: Checkpoint,
    /// The sequence number for a report, where one was asked for and is due.
    pub sequence: Option<u64>,
}

impl Checkpoint {
    /// A job that was just seen.
    pub fn queued(job_id: JobId, content: String, now: Timestamp) -> Self {
        Self {
            job_id,
            content,
            status: JobStatus::Queued,
            progress: 0.0,
            sequence: 0,
            generation: 0,
            created_at: now,
            updated_at: now,
            started_at: None,
            completed_at: None,
            fingerprint: None,
            chunks_total: 0,
            chunks_done: 0,
            cancel_requested: false,
            waiting_for: None,
            error: None,
        }
    }

    /// The checkpoint of a job that begins anew. `before` is what is known of its generation before: numbers go on from there.
    pub fn reopened(before: Option<&Self>, job_id: JobId, content: String, now: Timestamp, clock: Timestamp) -> Self {
        let mut anew = Self::queued(job_id, content, now);
        anew.sequence = before.map_or(0, |before| before.sequence);
        anew.generation = anew.next_sequence(clock);
        anew
    }

    /// Whether the job may begin anew as one with this `content`: it has failed, and it is that job as far as is known.
    pub fn may_reopen(&self, content: &str) -> bool {
        self.status == JobStatus::Failed && (self.content == content || self.content.is_empty())
    }

    /// Whether the job was opened again and its input was not cut since: all tasks of it are of an earlier generation.
    pub fn awaits_split(&self) -> bool {
        self.generation > 0 && self.fingerprint.is_none() && !self.status.is_terminal()
    }

    /// Whether a step changes anything here: the job has not ended, and the step is not of an earlier generation of it.
    pub fn takes(&self, step: &Advance) -> bool {
        !self.status.is_terminal() && step.generation.is_none_or(|generation| generation >= self.generation)
    }

    /// Applies everything of a step but its report, if the checkpoint [takes](Self::takes) it.
    pub fn advance(&mut self, step: &Advance, now: Timestamp) {
        if !self.takes(step) {
            return;
        }
        let before = (self.status, self.progress, self.fingerprint.clone());
        // Never before there is a plan, see `awaits_split`.
        if self.fingerprint.is_some() {
            self.generation = self.generation.max(step.generation.unwrap_or(0));
        }
        if let Some(status) = step.status.filter(|status| status.rank() > self.status.rank()) {
            self.status = status;
        }
        if self.status != JobStatus::Queued && self.started_at.is_none() {
            self.started_at = Some(now);
        }
        if let Some(progress) = step.progress {
            self.progress = self.progress.max(progress.clamp(0.0, 100.0));
        }
        if let Some((fingerprint, chunks)) = &step.plan {
            if self.fingerprint.as_ref() != Some(fingerprint) {
                self.fingerprint = Some(fingerprint.clone());
                self.chunks_done = 0;
            }
            self.chunks_total = *chunks;
        }
        self.cancel_requested |= step.cancel;
        if before != (self.status, self.progress, self.fingerprint.clone()) {
            self.waiting_for = None;
        }
        if step.waiting_for.is_some() {
            self.waiting_for.clone_from(&step.waiting_for);
        }
        self.updated_at = now;
    }

    /// Ends the job; `false`, and nothing changes, where it had ended before.
    pub fn finish(&mut self, outcome: &Outcome, now: Timestamp) -> bool {
        if self.status.is_terminal() {
            return false;
        }
        self.status = outcome.status();
        self.updated_at = now;
        self.completed_at = Some(now);
        self.waiting_for = None;
        match outcome {
            Outcome::Completed(_) => self.progress = 100.0,
            Outcome::Failed(failure) => self.error = Some(failure.clone()),
            Outcome::Cancelled => {}
        }
        true
    }

    /// Takes the next sequence number. It follows the clock (milliseconds since 1970), so that the numbers of a job go
    /// on growing where the store was emptied and its checkpoint begins anew.
    pub fn next_sequence(&mut self, now: Timestamp) -> u64 {
        let by_clock = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        self.sequence = by_clock.max(self.sequence.saturating_add(1));
        self.sequence
    }
}

/// What a published output is, and how it was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputReport {
    /// Its name.
    pub uri: String,
    /// Size.
    pub bytes: u64,
    /// Length in seconds.
    pub duration: f64,
    /// Of the whole file, in hex.
    pub sha256: String,
    /// What was checked.
    pub verification: Verification,
}

/// What was read back from an output before it got its final name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// Frames found; equal to the plan's.
    pub frames: u64,
    /// Random access points found; equal to the parts'.
    pub key_frames: u64,
    /// Samples of audio that are heard; 0 without audio.
    pub audio_samples: u64,
    /// Start of the audio less start of the video, in nanoseconds; that of the source.
    pub av_offset_ns: i64,
    /// Frames of the source that were damaged or missing: where one is missing the one before it stands.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub damaged_frames: u64,
    /// Pictures that were compared with those of the input.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pictures_compared: u64,
    /// Whether the sound was compared with that of the input, all of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sound_compared: bool,
    /// What became of the packets of the input's video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_source: Option<Account>,
    /// What became of those of its sound, where the output has sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audio_source: Option<Account>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All outputs are published.
    Completed(Vec<OutputReport>),
    /// It cannot be done.
    Failed(Failure),
    /// Somebody asked to stop it.
    Cancelled,
}

impl Outcome {
    /// The status that it gives the job.
    pub const fn status(&self) -> JobStatus {
        match self {
            Self::Completed(_) => JobStatus::Completed,
            Self::Failed(_) => JobStatus::Failed,
            Self::Cancelled => JobStatus::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests;

//! The units of work on Kafka and what follows each of them: chains, no scheduler.
//!
//! A job message is the *split* task. Split emits the audio tasks and the first `parallelism` chunk tasks, the longest
//! chunks first; the *n*-th chunk of that order, when done, emits the one *n + parallelism*; whoever completes the last
//! unit emits *assemble*.

use serde::{Deserialize, Serialize};

use crate::domain::checkpoint::Timestamp;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::unit::UnitId;

/// A task as it travels on the tasks topics. (Split has no task message: the job itself is it.)
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "lowercase", deny_unknown_fields)]
pub enum Task {
    /// Encode one chunk into all renditions.
    Encode {
        /// The job.
        job_id: JobId,
        /// The plan.
        fingerprint: Fingerprint,
        /// Index of the chunk.
        chunk: u32,
        /// By the CPU, whatever the plan says, because other parts of a rendition that must be of one family are so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        on_cpu: bool,
        /// That workers left it to others, where some did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed_on: Option<PassedOn>,
    },
    /// Encode an audio track into all its renditions.
    Audio {
        /// The job.
        job_id: JobId,
        /// The plan.
        fingerprint: Fingerprint,
        /// Number of the track among those that are used.
        #[serde(default, skip_serializing_if = "is_first", deserialize_with = "first")]
        track: u16,
        /// As above.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passed_on: Option<PassedOn>,
    },
    /// Join the parts into the outputs, verify and publish them.
    Assemble {
        /// The job.
        job_id: JobId,
        /// The plan.
        fingerprint: Fingerprint,
    },
}

/// Workers of before know no number and have one track.
const fn is_first(track: &u16) -> bool {
    *track == 0
}

/// No plan of this release has a second one: such a task is for a newer worker, and here it is no task.
fn first<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let track = u16::deserialize(deserializer)?;
    if is_first(&track) {
        Ok(track)
    } else {
        Err(serde::de::Error::custom(format!("audio track {track} is for a newer worker")))
    }
}

/// What a task says of the workers that left it to others: those that have another version of an encoder than its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PassedOn {
    /// How many did.
    pub times: u32,
    /// Since when no living worker was seen that has the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone_since: Option<Timestamp>,
}

/// The kinds of work, as named in metrics, logs and the checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Demux and cut.
    Split,
    /// Encode a chunk.
    Encode,
    /// Encode an audio track.
    Audio,
    /// Join and verify.
    Assemble,
}

impl Stage {
    /// The name used in metrics, logs and headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::Encode => "encode",
            Self::Audio => "audio",
            Self::Assemble => "assemble",
        }
    }

    /// Whether the stage waits for disks and not for a CPU: such stages have slots of their own.
    pub const fn is_io_bound(self) -> bool {
        matches!(self, Self::Split | Self::Assemble)
    }
}

impl Task {
    /// The job that the task belongs to.
    pub fn job_id(&self) -> &JobId {
        match self {
            Self::Encode { job_id, .. } | Self::Audio { job_id, .. } | Self::Assemble { job_id, .. } => job_id,
        }
    }

    /// The plan that the task belongs to.
    pub fn fingerprint(&self) -> &Fingerprint {
        match self {
            Self::Encode { fingerprint, .. } | Self::Audio { fingerprint, .. } | Self::Assemble { fingerprint, .. } => {
                fingerprint
            }
        }
    }

    /// The kind of work.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Encode { .. } => Stage::Encode,
            Self::Audio { .. } => Stage::Audio,
            Self::Assemble { .. } => Stage::Assemble,
        }
    }

    /// The part that the task makes, if it makes one.
    pub const fn unit(&self) -> Option<UnitId> {
        match self {
            Self::Encode { chunk, .. } => Some(UnitId::Chunk(*chunk)),
            Self::Audio { track, .. } => Some(UnitId::Audio(*track)),
            Self::Assemble { .. } => None,
        }
    }

    /// Names the task: spreads those of one job over all partitions.
    pub fn key(&self) -> String {
        match self.unit() {
            Some(unit) => format!("{}/{unit}", self.job_id()),
            None => format!("{}/assemble", self.job_id()),
        }
    }

    /// Whether a chunk is to be encoded by the CPU, whatever the plan says.
    pub const fn is_on_cpu(&self) -> bool {
        matches!(self, Self::Encode { on_cpu: true, .. })
    }

    /// The same for the CPU; other tasks than those of chunks are for it anyway.
    #[must_use]
    pub fn by_cpu(mut self, by_cpu: bool) -> Self {
        if let Self::Encode { on_cpu, .. } = &mut self {
            *on_cpu = by_cpu;
        }
        self
    }

    /// How it was passed on so far.
    pub fn passed_on(&self) -> PassedOn {
        match self {
            Self::Encode { passed_on, .. } | Self::Audio { passed_on, .. } => passed_on.unwrap_or_default(),
            Self::Assemble { .. } => PassedOn::default(),
        }
    }

    /// The same, passed on so. An assembly is for every worker.
    #[must_use]
    pub fn with_passed_on(mut self, passed: PassedOn) -> Self {
        match &mut self {
            Self::Encode { passed_on, .. } | Self::Audio { passed_on, .. } => *passed_on = Some(passed),
            Self::Assemble { .. } => {}
        }
        self
    }

    /// Key of the record: one that was passed on lands in another partition, and so perhaps at another worker.
    pub fn record_key(&self) -> String {
        match self.passed_on().times {
            0 => self.key(),
            times => format!("{}#{times}", self.key()),
        }
    }

    /// The task for one unit of a plan.
    pub fn for_unit(job_id: &JobId, fingerprint: &Fingerprint, unit: UnitId) -> Self {
        let (job_id, fingerprint) = (job_id.clone(), fingerprint.clone());
        match unit {
            UnitId::Chunk(chunk) => Self::Encode { job_id, fingerprint, chunk, on_cpu: false, passed_on: None },
            UnitId::Audio(track) => Self::Audio { job_id, fingerprint, track, passed_on: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_small_json_that_names_its_kind() {
        let job_id: JobId = "movie-42".parse().expect("a job id");
        let task = Task::for_unit(&job_id, &Fingerprint("ab".into()), UnitId::Chunk(3));
        let json = serde_json::to_string(&task).expect("json");
        assert_eq!(json, r#"{"task":"encode","job_id":"movie-42","fingerprint":"ab","chunk":3}"#);
        assert_eq!(serde_json::from_str::<Task>(&json).expect("a task"), task);
        let task = task.by_cpu(true);
        let json = serde_json::to_string(&task).expect("json");
        assert_eq!(json, r#"{"task":"encode","job_id":"movie-42","fingerprint":"ab","chunk":3,"on_cpu":true}"#);
        assert_eq!(serde_json::from_str::<Task>(&json).expect("a task"), task);
    }

    #[test]
    fn a_task_of_a_second_audio_track_is_for_a_newer_worker() {
        let json = r#"{"task":"audio","job_id":"movie-42","fingerprint":"ab"}"#;
        assert_eq!(serde_json::from_str::<Task>(json).expect("a task").unit(), Some(UnitId::Audio(0)));
        let refused = serde_json::from_str::<Task>(&json.replace('}', r#","track":1}"#)).expect_err("not yet");
        assert!(refused.to_string().contains("newer worker"), "{refused}");
    }

    #[test]
    fn a_task_that_is_passed_on_goes_elsewhere_and_stays_the_same_task() {
        let job_id: JobId = "movie-42".parse().expect("a job id");
        let task = Task::for_unit(&job_id, &Fingerprint("ab".into()), UnitId::Chunk(3)).by_cpu(true);
        let alone_since = chrono::DateTime::from_timestamp(1_700_000_000, 0);
        let passed = task.clone().with_passed_on(PassedOn { times: 7, alone_since });
        assert_eq!((passed.key(), passed.record_key()), (task.key(), "movie-42/v00003#7".into()));
        assert_eq!(task.record_key(), task.key());
        let json = serde_json::to_string(&passed).expect("json");
        assert!(json.ends_with(r#""passed_on":{"times":7,"alone_since":"2023-11-14T22:13:20Z"}}"#), "{json}");
        assert_eq!(serde_json::from_str::<Task>(&json).expect("a task"), passed);
        assert!(passed.by_cpu(false).passed_on().times == 7);
    }
}

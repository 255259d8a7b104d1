//! What went wrong, and whose fault it is. A failure gets its class where it is born;
//! policy (retry, fall back, give up) matches on the class and never on the text.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// The surroundings (disk, network, a killed process): trying again can help.
    Retryable,
    /// The input or the job is at fault: trying again gives the same result.
    Permanent,
    /// A GPU or its driver: another way (the CPU) can help.
    Device,
    /// The worker stopped the work itself (shutdown, lost lease, cancel), or a storage is full: not an attempt.
    Interrupted,
}

impl FailureClass {
    /// The name used in metrics, headers and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retryable => "retryable",
            Self::Permanent => "permanent",
            Self::Device => "device",
            Self::Interrupted => "interrupted",
        }
    }
}

impl std::fmt::Display for FailureClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a GPU failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceFault {
    /// It has no more encoding sessions to give.
    SessionLimit,
    /// Its memory is full.
    OutOfMemory,
    /// It fell off the bus, or its driver gave it up: only a restart heals it.
    DeviceLost,
    /// It stopped moving.
    Hang,
    /// What it made is damaged or is not what was asked for.
    BadOutput,
    /// Anything else.
    Other,
}

impl DeviceFault {
    /// The name used in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SessionLimit => "session_limit",
            Self::OutOfMemory => "out_of_memory",
            Self::DeviceLost => "device_lost",
            Self::Hang => "hang",
            Self::BadOutput => "bad_output",
            Self::Other => "other",
        }
    }
}

/// A classified failure with one sentence for the person who reads it: what was wrong,
/// where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Failure {
    /// Who has to act.
    pub class: FailureClass,
    /// One sentence.
    pub message: String,
    /// How the GPU failed, for the class `device`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<DeviceFault>,
}

impl Failure {
    /// A failure of a class that is known only when it runs.
    pub fn of(class: FailureClass, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), fault: None }
    }

    /// A failure of the surroundings.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self::of(FailureClass::Retryable, message)
    }

    /// A failure of the input or the job.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::of(FailureClass::Permanent, message)
    }

    /// A failure of a GPU, of no kind that is known.
    pub fn device(message: impl Into<String>) -> Self {
        Self::of(FailureClass::Device, message)
    }

    /// A failure of a GPU of a known kind.
    pub fn device_fault(fault: DeviceFault, message: impl Into<String>) -> Self {
        Self { fault: Some(fault), ..Self::device(message) }
    }

    /// How the GPU failed; `None` for the other classes.
    pub fn fault(&self) -> Option<DeviceFault> {
        (self.class == FailureClass::Device).then(|| self.fault.unwrap_or(DeviceFault::Other))
    }

    /// Work that was stopped on purpose.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self::of(FailureClass::Interrupted, message)
    }

    /// What it means that a storage has no space left for `path`; `None` where that is not what `error` says. No attempt:
    /// the next ones would end the same way within seconds, and everything is well as soon as there is space.
    pub fn of_full_storage(path: &Path, error: &io::Error) -> Option<Self> {
        let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
        is_full.then(|| Self::interrupted(format!("no space left for {}, free some", path.display())))
    }

    /// Puts `what` in front of the message: `reading the plan: …`.
    #[must_use]
    pub fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

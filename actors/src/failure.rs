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

/// A classified failure with one sentence for the person who reads it: what was wrong,
/// where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Failure {
    /// Who has to act.
    pub class: FailureClass,
    /// One sentence.
    pub message: String,
}

impl Failure {
    /// A failure of the surroundings.
    pub fn retryable(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Retryable, message: message.into() }
    }

    /// A failure of the input or the job.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Permanent, message: message.into() }
    }

    /// A failure of a GPU.
    pub fn device(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Device, message: message.into() }
    }

    /// Work that was stopped on purpose.
    pub fn interrupted(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Interrupted, message: message.into() }
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

//! How commands end: exit status and one clear sentence.

use std::process::ExitCode;

use actors::domain::failure::Failure;
use serde_json::json;

use super::context::Context;
use crate::config::ConfigErrors;

/// The end of a command that did what it can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Done,
    /// 1: the job failed, or a check did; it was said already.
    Failed,
    /// 128 and the number of the signal.
    Interrupted(i32),
}

impl Exit {
    /// The exit status of the process.
    pub fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }
}

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// 2: the arguments are at fault.
    #[error("{0}")]
    Usage(String),
    /// 64: the environment is at fault.
    #[error("the configuration is not accepted:\n{0}")]
    Config(#[from] ConfigErrors),
    /// 1: it was tried and failed.
    #[error("{0}")]
    Failed(#[from] Failure),
}

impl Trouble {
    /// A sentence about the arguments.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage(message.into())
    }

    /// The exit status of the process.
    pub const fn status(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) => 64,
        }
    }

    const fn class(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Config(_) => "configuration",
            Self::Failed(failure) => failure.class.as_str(),
        }
    }
}

/// Says the trouble, if there is one, and gives the exit status.
pub(super) fn finish(outcome: Result<Exit, Trouble>, context: &Context<'_>) -> ExitCode {
    match outcome {
        Ok(exit) => ExitCode::from(exit.status()),
        Err(trouble) => {
            context.note(&format!("error: {trouble}"));
            if context.json {
                let error = json!({"class": trouble.class(), "message": trouble.to_string()});
                context.say(&json!({"event": "error", "error": error}).to_string());
            }
            ExitCode::from(trouble.status())
        }
    }
}

/// A failure of the surroundings, in the words of a command.
pub(super) fn cannot(what: impl std::fmt::Display, error: impl std::fmt::Display) -> Trouble {
    Trouble::Failed(Failure::retryable(format!("{what}: {error}")))
}

//! The Transcoding Service.

use super::answer::Answer;
use crate::domain::progress::Report;

/// The Transcoding Service.
pub trait StatusSink: Send + Sync {
    /// Delivers one report. `permanent` where the service refused this report for good (4xx), `retryable` otherwise.
    fn deliver(&self, report: Report) -> Answer<()>;
}

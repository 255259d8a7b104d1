//! Plain lines for logs of other programs: every change of stage, and one every few seconds.

use std::time::{Duration, Instant};

use actors::domain::checkpoint::JobStatus;
use actors::domain::progress::Report;

use super::words;

/// Between two lines of the same stage.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// What was said last.
#[derive(Default)]
pub(super) struct Lines {
    last: Option<(JobStatus, Instant)>,
}

impl Lines {
    /// The line for a report, if one is due. The end of a job is said by others.
    pub(super) fn due(&mut self, report: &Report, now: Instant) -> Option<String> {
        let due = match self.last {
            None => true,
            Some((status, at)) => status != report.status || now.duration_since(at) >= LINE_EVERY,
        };
        if !due || report.status.is_terminal() {
            return None;
        }
        self.last = Some((report.status, now));
        Some(format!("{:<10} {}", report.status.as_str(), words::standing(report)))
    }
}

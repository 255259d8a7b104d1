//! What a stage process writes to standard error: told on as logs, and the end of it kept for the message of a crash.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::ChildStderr;
use tokio::time::timeout;

use crate::process::lines::Lines;

/// The longest line that is kept.
const MAX_LINE_BYTES: usize = 500;
/// Lines that are kept for the message of a crash.
const LAST_LINES: usize = 5;
/// Lines of one process that go to the log. Some encoders complain about every frame.
const MAX_LOGGED_LINES: u32 = 200;
/// Bytes that are read at once after the end: what fits into a pipe.
const DRAIN_BYTES: usize = 64 << 10;
/// How long the end of the pipe of an ended process may take.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// What makes a line a warning: the words of GLib, GStreamer, x264 and our own logs.
const WARNING_WORDS: [&str; 7] = ["WARN", "ERROR", "CRITICAL", "panicked", "[error]", "[warning]", "fatal"];

/// The log of one process.
#[derive(Debug)]
pub(super) struct StageLog {
    stage: &'static str,
    lines: Lines,
    last: VecDeque<String>,
    logged: u32,
}

impl StageLog {
    pub(super) fn new(stage: &'static str) -> Self {
        Self { stage, lines: Lines::bounded(MAX_LINE_BYTES), last: VecDeque::new(), logged: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let Self { stage, lines, last, logged } = self;
        lines.push(bytes, |line| {
            let line = String::from_utf8_lossy(line).trim_end().to_string();
            if line.is_empty() {
                return;
            }
            *logged = logged.saturating_add(1);
            tell(stage, &line, *logged);
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(line);
        });
    }

    /// Takes what is left in the pipe of a process that has ended.
    pub(super) async fn drain(&mut self, stderr: &mut ChildStderr) {
        let mut buffer = vec![0; DRAIN_BYTES];
        // A process started by the stage may hold the pipe open, so the end may not come.
        let drained = timeout(DRAIN_TIMEOUT, async {
            while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
                self.push(&buffer[..read]);
            }
        });
        let _ = drained.await;
        // Ends a last line without an end.
        self.push(b"\n");
    }

    /// The last lines, for a message.
    pub(super) fn last_words(&self) -> String {
        self.last.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

fn tell(stage: &str, line: &str, number: u32) {
    if number > MAX_LOGGED_LINES {
        if number == MAX_LOGGED_LINES + 1 {
            tracing::debug!(stage, "further lines of this stage process are not shown");
        }
    } else if WARNING_WORDS.iter().any(|word| line.contains(word)) {
        tracing::warn!(stage, line, "stage process");
    } else {
        tracing::debug!(stage, line, "stage process");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_last_lines_are_kept_without_their_ends() {
        let mut log = StageLog::new("encode");
        for number in 0..1000 {
            log.push(format!("line {number}{}\n\n", "x".repeat(number)).as_bytes());
        }
        log.push(b"\xffend\n");
        let words = log.last_words();
        assert!(words.starts_with("line 996") && words.ends_with("| \u{fffd}end"), "{words}");
        assert!(words.len() < (LAST_LINES + 1) * (MAX_LINE_BYTES + 10));
    }
}

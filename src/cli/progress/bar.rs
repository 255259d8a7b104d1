//! The bar on a terminal.

use std::io::{self, Write};
use std::time::Duration;

use actors::domain::progress::Report;
use indicatif::{ProgressBar, ProgressStyle};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::words;

/// Steps of the bar: tenths of a percent.
const STEPS: u64 = 1000;
/// Shows that the command lives while a chunk takes its time.
const TICK_EVERY: Duration = Duration::from_millis(250);
const TEMPLATE: &str = "{spinner} {prefix:<10} [{wide_bar}] {msg}  {elapsed_precise}";

/// The bar; its numbers come from the reports, not from indicatif's own guesses.
pub(super) struct Bar(ProgressBar);

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new(STEPS);
        // A template that cannot be read would show the standard bar.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(TICK_EVERY);
        Self(bar)
    }

    pub(super) fn show(&self, report: &Report) {
        self.0.set_prefix(report.status.as_str());
        self.0.set_message(words::standing(report));
        self.0.set_position((report.progress * 10.0).clamp(0.0, STEPS as f64) as u64);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }

    /// A writer that lifts the bar while it writes.
    pub(super) fn log_writer(&self) -> BoxMakeWriter {
        let bar = self.0.clone();
        BoxMakeWriter::new(move || Above(bar.clone()))
    }
}

/// Writes to standard error above the bar.
struct Above(ProgressBar);

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.suspend(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

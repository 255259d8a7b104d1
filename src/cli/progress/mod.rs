//! Shows reports to people and scripts: a bar on a terminal, a line now and then elsewhere, one JSON object a line with
//! `--json`. Fed with the reports that the Transcoding Service would get, so that it cannot tell another story.

mod bar;
mod lines;
mod words;

use std::time::Instant;

use actors::domain::checkpoint::JobStatus;
use actors::domain::progress::Report;
use serde::Serialize;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use bar::Bar;
use lines::Lines;

use super::streams::Streams;

/// Shows one job from its first report to its last.
pub struct Progress {
    face: Face,
    sequence: u64,
    streams: Streams,
}

enum Face {
    Bar(Bar),
    Lines(Lines),
    Json,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Event<'a> {
    event: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

impl Progress {
    /// On the given streams, in the form that fits them.
    pub fn new(json: bool, streams: Streams) -> Self {
        let face = match (json, streams.is_terminal()) {
            (true, _) => Face::Json,
            (false, true) => Face::Bar(Bar::new()),
            (false, false) => Face::Lines(Lines::default()),
        };
        Self { face, sequence: 0, streams }
    }

    /// Where the log has to write so that it does not run into the bar.
    pub fn log_writer(&self) -> BoxMakeWriter {
        match &self.face {
            Face::Bar(bar) => bar.log_writer(),
            Face::Lines(_) | Face::Json => BoxMakeWriter::new(std::io::stderr),
        }
    }

    /// Shows a report. One that was overtaken by a later one is passed over.
    pub fn show(&mut self, report: &Report) {
        self.show_at(report, Instant::now());
    }

    /// [`Self::show`] at a given time, which decides whether a line is due.
    pub fn show_at(&mut self, report: &Report, now: Instant) {
        if report.sequence < self.sequence {
            return;
        }
        self.sequence = report.sequence;
        match &mut self.face {
            Face::Json => return self.json(report),
            Face::Bar(bar) => bar.show(report),
            Face::Lines(lines) => {
                if let Some(line) = lines.due(report, now) {
                    self.streams.note(&line);
                }
            }
        }
        if report.status.is_terminal() {
            self.end(report);
        }
    }

    /// Takes the bar away and says why the command ends before its job.
    pub fn leave(&mut self, why: &str) {
        self.clear();
        self.streams.note(why);
    }

    fn clear(&self) {
        if let Face::Bar(bar) = &self.face {
            bar.clear();
        }
    }

    fn end(&mut self, report: &Report) {
        self.clear();
        match report.status {
            JobStatus::Completed => {
                for line in words::completed(report) {
                    self.streams.say(&line);
                }
            }
            JobStatus::Failed => self.streams.note(&format!("error: {}", words::failed(report))),
            JobStatus::Cancelled => self.streams.note(&format!("job {} was cancelled", report.job_id)),
            JobStatus::Queued | JobStatus::Splitting | JobStatus::Encoding | JobStatus::Assembling => {}
        }
    }

    fn json(&mut self, report: &Report) {
        let event = if report.status.is_terminal() { report.status.as_str() } else { "progress" };
        // Plain data always serialises.
        let line = serde_json::to_string(&Event { event, report }).unwrap_or_default();
        self.streams.say(&line);
        if report.status == JobStatus::Failed {
            self.streams.note(&format!("error: {}", words::failed(report)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // Whatever ended the command, the terminal is left clean.
        self.clear();
    }
}

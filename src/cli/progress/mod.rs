//! Shows reports to people and scripts: a bar on a terminal, a line now and then elsewhere, one JSON object a line with
//! `--json`. Fed with the reports that the Transcoding Service would get, so that it cannot tell another story.

mod bar;
mod lines;
mod words;

use std::io::{IsTerminal as _, Write};
use std::time::Instant;

use actors::checkpoint::JobStatus;
use actors::progress::Report;
use serde::Serialize;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use bar::Bar;
use lines::Lines;

/// Shows one job from its first report to its last.
pub struct Progress {
    face: Face,
    sequence: u64,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
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
    /// On standard output and standard error, in the form that fits them.
    pub fn new(json: bool) -> Self {
        let face = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Face::Json,
            (false, true) => Face::Bar(Bar::new()),
            (false, false) => Face::Lines(Lines::default()),
        };
        Self { face, sequence: 0, out: Box::new(std::io::stdout()), err: Box::new(std::io::stderr()) }
    }

    /// Plain lines, or JSON, on the given writers: results and the rest.
    pub fn plain(json: bool, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        let face = if json { Face::Json } else { Face::Lines(Lines::default()) };
        Self { face, sequence: 0, out, err }
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
                    put(&mut self.err, &line);
                }
            }
        }
        if report.status.is_terminal() {
            self.end(report);
        }
    }

    /// Takes the bar away, for a command that ends before its job.
    pub fn leave(&mut self) {
        if let Face::Bar(bar) = &self.face {
            bar.clear();
        }
    }

    fn end(&mut self, report: &Report) {
        self.leave();
        match report.status {
            JobStatus::Completed => {
                for line in words::completed(report) {
                    put(&mut self.out, &line);
                }
            }
            JobStatus::Failed => put(&mut self.err, &format!("error: {}", words::failed(report))),
            JobStatus::Cancelled => put(&mut self.err, &format!("job {} was cancelled", report.job_id)),
            JobStatus::Queued | JobStatus::Splitting | JobStatus::Encoding | JobStatus::Assembling => {}
        }
    }

    fn json(&mut self, report: &Report) {
        let event = if report.status.is_terminal() { report.status.as_str() } else { "progress" };
        // Plain data always serialises.
        let line = serde_json::to_string(&Event { event, report }).unwrap_or_default();
        put(&mut self.out, &line);
        if report.status == JobStatus::Failed {
            put(&mut self.err, &format!("error: {}", words::failed(report)));
        }
    }
}

/// A reader that went away must not stop the job.
fn put(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}").and_then(|()| to.flush());
}

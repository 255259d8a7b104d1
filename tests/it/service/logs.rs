//! The two forms of the log.

use std::sync::{Arc, Mutex};

use gstreamer_worker::config::LogFormat;
use gstreamer_worker::telemetry::{POD_FILTER, log};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What is logged by `say` under the filter of a pod.
fn logged(format: LogFormat, say: impl FnOnce()) -> String {
    let text = Arc::new(Mutex::new(Vec::new()));
    let writer = Sink(text.clone());
    let log = log(format, EnvFilter::new(POD_FILTER), false, BoxMakeWriter::new(move || writer.clone()));
    tracing::subscriber::with_default(log, say);
    let text = text.lock().expect("no panic").clone();
    String::from_utf8(text).expect("text")
}

#[derive(Clone)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn json_is_one_object_a_line_with_the_fields_beside_the_message() {
    let text = logged(LogFormat::Json, || {
        tracing::info!(target: "actors::pool", job_id = "movie-42", chunk = 3, "chunk encoded");
        tracing::warn!(target: "some_library", "strange");
        tracing::info!(target: "some_library", "chatter");
        tracing::debug!(target: "actors::pool", "detail");
    });
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(lines.len(), 2, "libraries from warn on, the worker from info on: {text}");
    let first = &lines[0];
    assert_eq!((&first["level"], &first["message"]), (&"INFO".into(), &"chunk encoded".into()));
    assert_eq!((&first["job_id"], &first["chunk"]), (&"movie-42".into(), &3.into()));
}

#[test]
fn text_is_for_people_and_without_colours_in_files() {
    let text = logged(LogFormat::Text, || tracing::info!(target: "actors::pool", job_id = "movie-42", "chunk encoded"));
    assert!(text.contains("INFO") && text.contains("chunk encoded job_id=\"movie-42\""), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

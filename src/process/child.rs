//! The child's side of the protocol: reads the spec, runs the stage, writes events. It ends when the worker closes its
//! standard input, however deep in native code the stage is, because a thread of its own waits for that.

use std::any::Any;
use std::fs::File;
use std::io::{self, BufRead as _, Read as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use actors::domain::failure::Failure;
use serde::Serialize;

use super::isolation;
use crate::protocol::{Stage, StageEvent, StageSpec};

/// The largest spec that is read. A plan with 10,000 chunks has about 5 MB.
const MAX_SPEC_BYTES: u64 = 256 << 20;
/// Progress is told at most this often: stages report each frame.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// The stage failed, and its failure was told.
const STATUS_FAILED: u8 = 1;
/// The process could not be set up, or there was no spec.
const STATUS_SETUP: u8 = 3;
/// The worker is gone or wants no result any more.
const STATUS_ABANDONED: u8 = 4;

/// Called with the media time that is done, in nanoseconds from the beginning of the work of a stage.
pub type Progress<'a> = &'a dyn Fn(u64);

/// A stage process that knows what to do.
pub struct Child(EventPipe);

impl Child {
    /// Runs its stage and tells the worker what came of it. A panic is told as a failure.
    pub fn run<S: Stage>(
        &self,
        spec: &S,
        stage: impl FnOnce(&S, Progress<'_>) -> Result<S::Output, Failure>,
    ) -> ExitCode {
        let progress = |media_ns| self.0.send::<()>(&StageEvent::Progress(media_ns));
        let result = catch_unwind(AssertUnwindSafe(|| stage(spec, &progress)));
        self.0.finish(result.unwrap_or_else(|panic| Err(panicked(panic.as_ref()))))
    }
}

/// Runs the stage that standard input asks for: `dispatch` hands it to [`Child::run`].
///
/// The process belongs to the stage: standard output is taken, the process ends with its parent.
pub fn child_main(dispatch: impl FnOnce(StageSpec, &Child) -> ExitCode) -> ExitCode {
    let events = match isolation::take_stdout().and_then(|events| isolation::die_with_parent().map(|()| events)) {
        Ok(events) => EventPipe::new(events),
        Err(error) => return give_up(&format!("a stage process cannot be set up: {error}")),
    };
    isolation::step_back();
    let spec = match read_spec() {
        Ok(Some(spec)) => spec,
        Ok(None) => return ExitCode::from(STATUS_ABANDONED),
        Err(failure) => return events.finish::<()>(Err(failure)),
    };
    watch_stdin();
    dispatch(spec, &Child(events))
}

fn give_up(message: &str) -> ExitCode {
    eprintln!("{message}");
    ExitCode::from(STATUS_SETUP)
}

/// The spec is one line, so that standard input can stay open behind it. `None` where the worker went away before.
fn read_spec() -> Result<Option<StageSpec>, Failure> {
    let mut line = Vec::new();
    let read = io::stdin().lock().take(MAX_SPEC_BYTES).read_until(b'\n', &mut line);
    match read {
        Ok(_) if line.last() == Some(&b'\n') => serde_json::from_slice(&line)
            .map(Some)
            .map_err(|error| Failure::retryable(format!("a stage process does not understand what to do: {error}"))),
        Ok(read) if read as u64 == MAX_SPEC_BYTES => {
            Err(Failure::permanent(format!("what a stage has to do takes more than {MAX_SPEC_BYTES} bytes")))
        }
        _ => Ok(None),
    }
}

/// Ends the process when the worker closes standard input or is gone.
fn watch_stdin() {
    let wait = || {
        let mut ignored = [0; 64];
        while let Ok(1..) = io::stdin().lock().read(&mut ignored) {}
        isolation::leave(STATUS_ABANDONED);
    };
    if let Err(error) = std::thread::Builder::new().name("stage-stdin".into()).spawn(wait) {
        // The signal at the parent's death still ends the process.
        eprintln!("a stage process cannot watch its standard input: {error}");
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Failure::retryable(format!("the stage panicked: {}", text.unwrap_or("without a message")))
}

/// The way to the worker: one event a line.
struct EventPipe {
    pipe: Mutex<(File, Option<Instant>)>,
}

impl EventPipe {
    fn new(file: File) -> Self {
        Self { pipe: Mutex::new((file, None)) }
    }

    /// Sends the last event.
    fn finish<T: Serialize>(&self, result: Result<T, Failure>) -> ExitCode {
        match result {
            Ok(output) => {
                self.send(&StageEvent::Done(output));
                ExitCode::SUCCESS
            }
            Err(failure) => {
                self.send::<T>(&StageEvent::Failed(failure));
                ExitCode::from(STATUS_FAILED)
            }
        }
    }

    /// Sends an event. Progress that follows another one at once is left out.
    fn send<T: Serialize>(&self, event: &StageEvent<T>) {
        // A thread that panicked while it wrote left at worst half a line, which the worker finds.
        let mut pipe = self.pipe.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (file, last) = &mut *pipe;
        if matches!(event, StageEvent::Progress(_)) {
            let now = Instant::now();
            if last.is_some_and(|last| now - last < PROGRESS_INTERVAL) {
                return;
            }
            *last = Some(now);
        }
        // Serialising plain structs to memory cannot fail; an empty line would be found by the worker.
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        if file.write_all(&line).is_err() {
            isolation::leave(STATUS_ABANDONED);
        }
    }
}

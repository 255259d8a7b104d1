//! The worker's side of a stage process: starts it, tells it what to do, follows what it says, and ends it.
//! Must never leave a process behind: each way out of here stops and reaps it, and dropping the future kills it.

mod launch;
mod log;

use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use actors::domain::failure::Failure;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::exit::{self, ExitCount, Reason};
use super::gauge::Gauge;
use super::lines::Lines;
use super::stop::StopSequence;
use super::watchdog::Movement;
use crate::protocol::{Order, Stage, StageEvent};
use log::StageLog;

pub use launch::Launcher;

/// The longest event: the result of a split with 100,000 chunks.
const MAX_EVENT_BYTES: usize = 32 << 20;
/// How long a look into a pipe takes that should have something in it.
const GLANCE: Duration = Duration::from_millis(10);
/// How much of a line that is no event is shown.
const SHOWN_GARBAGE: usize = 80;

/// Runs stages, each in a process of its own.
#[derive(Clone, Debug)]
pub struct StageProcess {
    launcher: Launcher,
    stall_timeout: Duration,
}

/// How it came that nothing more is expected of a process.
enum End<T> {
    /// It told how it ended.
    Told(Result<T, Failure>),
    /// It closed its standard output without telling.
    Silent,
    /// It told something that is no event.
    Garbage(String),
    /// It does not move.
    Stalled,
    /// It is not wanted any more.
    Stopped,
}

impl StageProcess {
    /// Runs stages with `launcher`, and stops each whose media time does not move for `stall_timeout`.
    pub fn new(launcher: Launcher, stall_timeout: Duration) -> Self {
        Self { launcher, stall_timeout }
    }

    /// Runs one stage to its end. Has to be polled on a thread that outlives it: the kernel kills the process when the
    /// thread that started it ends.
    ///
    /// # Errors
    /// What the stage told; `interrupted` after `stop`; `retryable` where it crashed, stalled or broke the protocol.
    pub async fn run<S: Stage>(
        &self,
        spec: &S,
        gauge: &mut Gauge,
        stop: &CancellationToken,
    ) -> Result<S::Output, Failure> {
        let stage = S::NAME;
        if stop.is_cancelled() {
            return Err(interrupted(stage));
        }
        let mut child = self.launcher.launch()?;
        let mut count = ExitCount::new();
        let mut run = Run::new(&mut child, stage, self.stall_timeout, gauge)?;
        let end = run.follow(spec, stop).await?;
        // The child's standard input is closed by now: the first step of the ladder.
        let Run { mut log, mut stderr, movement, .. } = run;
        let ladder = if matches!(end, End::Stopped) { StopSequence::QUICK } else { StopSequence::PATIENT };
        let status = ladder.stop(&mut child).await;
        log.drain(&mut stderr).await;
        let at = movement.media_seconds();
        let (reason, result) = match end {
            End::Told(Ok(result)) => (Reason::Done, Ok(result)),
            End::Told(Err(failure)) => (Reason::Failed, Err(failure)),
            End::Silent => match status {
                Some(status) => {
                    let (reason, failure) = exit::without_result(stage, status, at, &log.last_words());
                    (reason, Err(failure))
                }
                None => {
                    let message = format!("the {stage} stage closed its output at {at:.1} s of media and did not end");
                    (Reason::Stalled, Err(Failure::retryable(message)))
                }
            },
            End::Garbage(line) => {
                let message = format!("garbage on the protocol of the {stage} stage at {at:.1} s of media: `{line}`");
                (Reason::Garbage, Err(Failure::retryable(message)))
            }
            End::Stalled => {
                let seconds = self.stall_timeout.as_secs_f64();
                let message = format!("the {stage} stage stalled at {at:.1} s of media for {seconds:.0} s");
                (Reason::Stalled, Err(Failure::retryable(message)))
            }
            End::Stopped => (Reason::Stopped, Err(interrupted(stage))),
        };
        count.is(reason);
        if spec.uses_device() { result.map_err(|failure| exit::of_device(reason, failure)) } else { result }
    }
}

fn interrupted(stage: &str) -> Failure {
    Failure::interrupted(format!("the {stage} stage was stopped by its worker"))
}

/// A running process and what was seen of it.
struct Run<'a> {
    stdin: Option<ChildStdin>,
    stdout: tokio::process::ChildStdout,
    stderr: tokio::process::ChildStderr,
    events: Lines,
    log: StageLog,
    movement: Movement,
    gauge: &'a mut Gauge,
}

impl<'a> Run<'a> {
    fn new(
        child: &mut Child,
        stage: &'static str,
        stall_timeout: Duration,
        gauge: &'a mut Gauge,
    ) -> Result<Self, Failure> {
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(Failure::retryable(format!("the {stage} stage was started without its pipes")));
        };
        Ok(Self {
            stdin: Some(stdin),
            stdout,
            stderr,
            events: Lines::bounded(MAX_EVENT_BYTES),
            log: StageLog::new(stage),
            movement: Movement::begun(stall_timeout),
            gauge,
        })
    }

    /// Tells the process what to do and follows it until nothing more is expected of it. Its standard input is closed
    /// then.
    async fn follow<S: Stage>(&mut self, spec: &S, stop: &CancellationToken) -> Result<End<S::Output>, Failure> {
        // The other side reads one line and keeps waiting for the end of its input.
        let mut line = serde_json::to_vec(&Order::of(spec))
            .map_err(|error| Failure::permanent(format!("the stage cannot be described as JSON: {error}")))?;
        line.push(b'\n');
        let mut feed = pin!(feed(self.stdin.take(), line));
        let (mut out, mut err) = (vec![0; 64 << 10], vec![0; 8 << 10]);
        let mut log_is_open = true;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(End::Stopped),
                never = &mut feed => match never {},
                read = self.stdout.read(&mut out) => {
                    if let Some(end) = self.take_events(&out[..read.unwrap_or(0)]) {
                        return Ok(end);
                    }
                }
                read = self.stderr.read(&mut err), if log_is_open => {
                    let read = read.unwrap_or(0);
                    log_is_open = read > 0;
                    self.log.push(&err[..read]);
                }
                () = sleep_until(self.movement.deadline()) => {
                    if let Some(end) = self.look_again(&mut out).await {
                        return Ok(end);
                    }
                }
            }
        }
    }

    /// The deadline of the watchdog is over. That may be because this worker itself stood still: what is in the pipe
    /// counts before the stage is blamed.
    async fn look_again<T: DeserializeOwned>(&mut self, buffer: &mut [u8]) -> Option<End<T>> {
        while self.movement.is_stalled() {
            let Ok(read) = timeout(GLANCE, self.stdout.read(buffer)).await else { return Some(End::Stalled) };
            if let Some(end) = self.take_events(&buffer[..read.unwrap_or(0)]) {
                return Some(end);
            }
        }
        None
    }

    /// Takes what came out of standard output; nothing means that it was closed.
    fn take_events<T: DeserializeOwned>(&mut self, bytes: &[u8]) -> Option<End<T>> {
        if bytes.is_empty() {
            return Some(if self.events.rest().is_empty() { End::Silent } else { garbage(self.events.rest()) });
        }
        let (mut end, movement, gauge) = (None, &mut self.movement, &mut *self.gauge);
        self.events.push(bytes, |line| {
            if end.is_some() {
                return;
            }
            match serde_json::from_slice(line) {
                Ok(StageEvent::Progress(media_ns)) => {
                    movement.observe(media_ns);
                    gauge.media(media_ns);
                }
                Ok(StageEvent::Done(output)) => end = Some(End::Told(Ok(output))),
                Ok(StageEvent::Failed(failure)) => end = Some(End::Told(Err(failure))),
                Err(_) => end = Some(garbage(line)),
            }
        });
        if end.is_none() && self.events.was_overlong() {
            return Some(garbage(self.events.rest()));
        }
        end
    }
}

fn garbage<T>(line: &[u8]) -> End<T> {
    let shown = &line[..line.len().min(SHOWN_GARBAGE)];
    End::Garbage(String::from_utf8_lossy(shown).escape_debug().to_string())
}

/// Writes the spec and then holds standard input open until it is dropped. A process that does not read ends or stalls,
/// which is seen elsewhere.
async fn feed(stdin: Option<ChildStdin>, line: Vec<u8>) -> Infallible {
    let mut stdin = stdin;
    if let Some(stdin) = &mut stdin {
        let _ = stdin.write_all(&line).await;
    }
    drop(line);
    std::future::pending().await
}

//! Runs one piece of work at a time, any stage, each in a child process of its own. If it panics the pool makes a new
//! one, which goes on from the checkpoint. Must never wait for anything but the work and its stop token.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::domain::job::JobId;
use crate::exit::{ExitGuard, stop_with};
use crate::tasks::{self, Tasks};
use crate::trace::{self, TraceParent};
use crate::work::{Disposition, Execute};

/// Work that was stopped may take this long to give its lease back and to end a cancelled job; then it is dropped.
pub const STOP_GRACE: Duration = Duration::from_secs(5);

/// The actor.
pub struct Encoder {
    tasks: Arc<Tasks>,
    end: CancellationToken,
    _exit: ExitGuard,
}

impl Encoder {
    /// An encoder that stops with `end`.
    pub fn new(tasks: Arc<Tasks>, end: CancellationToken, exit: ExitGuard) -> Self {
        Self { tasks, end, _exit: exit }
    }
}

impl Actor for Encoder {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
    }
}

impl Handler<Execute> for Encoder {
    type Result = ResponseActFuture<Self, Disposition>;

    fn handle(&mut self, execute: Execute, _: &mut Self::Context) -> Self::Result {
        let tasks = self.tasks.clone();
        // Runs inside the actor, so that a panic in it ends the actor and nothing else.
        let (span, context) = (span(&execute), TraceParent::of(&execute.delivery.headers));
        let work = async move { trace::under(context, run(&tasks, &execute)).await };
        Box::pin(work.instrument(span).into_actor(self))
    }
}

/// What every line of the log about this work has.
fn span(execute: &Execute) -> tracing::Span {
    let span = tracing::info_span!(
        "task",
        job_id = tracing::field::Empty,
        task = tracing::field::Empty,
        trace_id = tracing::field::Empty
    );
    if let Some(job_id) = execute.work.job_id().map(JobId::as_str) {
        span.record("job_id", job_id);
    }
    if let Some(task) = execute.work.key() {
        span.record("task", task);
    }
    if let Some(context) = TraceParent::of(&execute.delivery.headers) {
        span.record("trace_id", context.trace_id());
    }
    span
}

async fn run(tasks: &Tasks, execute: &Execute) -> Disposition {
    let grace = async {
        execute.stop.cancelled().await;
        tokio::time::sleep(STOP_GRACE).await;
    };
    tokio::select! {
        biased;
        end = tasks::run(tasks, execute) => end,
        () = grace => Disposition::Interrupted,
    }
}

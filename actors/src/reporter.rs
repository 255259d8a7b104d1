//! Tells the Transcoding Service: how far jobs are, once a second and dropped when the service is slow; and how they
//! ended, at least once, through the outbox, however long the service is away. Never slows an encode: it reads the
//! [`InFlight`] and nobody waits for it. Must never send progress of a job after, or beside, its last report; a job that
//! failed and was opened again has another generation, which is told by [`crate::domain::checkpoint::Checkpoint::generation`].

mod memory;
mod outbox;
mod ports;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use actix::prelude::*;
use metrics::gauge;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::checkpoint::Advance;
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::domain::progress::Report;
use crate::exit::{ExitGuard, stop_with};
use crate::in_flight::JobProgress;
use crate::metrics as names;
pub use memory::Memory;
use memory::Seen;
use outbox::Settled;
pub use ports::ReporterPorts;

/// Between two progress reports of a job.
const TICK: Duration = Duration::from_secs(1);
/// A progress report that takes longer is dropped.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two looks at the outbox, for what other workers left there.
const OUTBOX_INTERVAL: Duration = Duration::from_secs(5);
/// Reading the outbox may take this long before the next look.
const PENDING_TIMEOUT: Duration = Duration::from_secs(10);
/// Reports of the outbox that are looked at together.
const MAX_PENDING: usize = 64;

/// Deliver what is in the outbox; answered after a look that began later.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// The actor.
pub struct Reporter {
    ports: ReporterPorts,
    /// Jobs with a report on its way: one at a time.
    sending: HashSet<JobId>,
    /// Last reports that failed: how often, and when to try again.
    failed: HashMap<JobId, (u32, Instant)>,
    look: OutboxLook,
    waiting: Vec<oneshot::Sender<()>>,
    end: CancellationToken,
    _exit: ExitGuard,
}

/// One look at the outbox at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutboxLook {
    /// None.
    Idle,
    /// One is under way.
    Running,
    /// One is under way, and something came since.
    RunningThenAgain,
}

impl Reporter {
    /// A reporter that stops with `end`.
    pub fn new(ports: ReporterPorts, end: CancellationToken, exit: ExitGuard) -> Self {
        Self {
            ports,
            sending: HashSet::new(),
            failed: HashMap::new(),
            look: OutboxLook::Idle,
            waiting: Vec::new(),
            end,
            _exit: exit,
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        for (job, known) in self.ports.memory.of(self.ports.in_flight.jobs()) {
            if self.sending.insert(job.job_id.clone()) {
                self.report(job, known, ctx);
            }
        }
    }

    fn report(&mut self, job: JobProgress, known: Seen, ctx: &mut Context<Self>) {
        let job_id = job.job_id.clone();
        let until = Instant::now() + PROGRESS_TIMEOUT;
        let looked = tokio::time::timeout_at(until, look(self.ports.clone(), job, known));
        ctx.spawn(fut::wrap_future::<_, Self>(looked).map(move |looked, this, ctx| {
            let due = match looked {
                Ok(Ok(due)) => due,
                Ok(Err(failure)) => {
                    tracing::warn!(%job_id, %failure, "progress cannot be written to the checkpoint");
                    None
                }
                Err(_) => {
                    tracing::debug!(%job_id, "progress could not be written in time");
                    None
                }
            };
            match due {
                Some(report) => this.send(report, until, ctx),
                None => this.sent(&job_id, ctx),
            }
        }));
    }

    fn send(&mut self, report: Report, until: Instant, ctx: &mut Context<Self>) {
        let job_id = report.job_id.clone();
        let sent = tokio::time::timeout_at(until, self.ports.sink.deliver(report));
        ctx.spawn(fut::wrap_future::<_, Self>(sent).map(move |sent, this, ctx| {
            match sent {
                Ok(Ok(())) => {}
                Ok(Err(failure)) => tracing::debug!(%job_id, %failure, "progress report was dropped"),
                Err(_) => tracing::debug!(%job_id, "progress report took too long and was dropped"),
            }
            this.sent(&job_id, ctx);
        }));
    }

    /// Nothing of the job is on its way any more.
    fn sent(&mut self, job_id: &JobId, ctx: &mut Context<Self>) {
        self.sending.remove(job_id);
        // Its last report may have waited for this.
        if !self.waiting.is_empty() {
            self.flush(ctx);
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        match self.look {
            OutboxLook::Idle => {
                self.look = OutboxLook::Running;
                let pending = tokio::time::timeout(PENDING_TIMEOUT, self.ports.store.pending(MAX_PENDING));
                ctx.spawn(fut::wrap_future::<_, Self>(pending).map(|pending, this, ctx| match pending {
                    Ok(Ok(reports)) => this.deliver(reports, ctx),
                    Ok(Err(failure)) => {
                        tracing::error!(%failure, "outbox cannot be read, last reports wait in it");
                        this.pin(Vec::new(), 0, ctx);
                    }
                    // The checkpointer has said that the store is away.
                    Err(_) => this.pin(Vec::new(), 0, ctx),
                }));
            }
            OutboxLook::Running | OutboxLook::RunningThenAgain => self.look = OutboxLook::RunningThenAgain,
        }
    }

    fn deliver(&mut self, reports: Vec<Report>, ctx: &mut Context<Self>) {
        gauge!(names::OUTBOX_REPORTS).set(reports.len() as f64);
        let now = Instant::now();
        let mut due = Vec::new();
        let mut held_back = 0;
        for report in reports {
            self.ports.memory.note_end(&report.job_id, report.sequence);
            if self.failed.get(&report.job_id).is_some_and(|(_, at)| *at > now) {
                continue;
            }
            if self.sending.insert(report.job_id.clone()) {
                due.push(report);
            } else {
                held_back += 1;
            }
        }
        let delivery = outbox::deliver(self.ports.clone(), due);
        ctx.spawn(
            fut::wrap_future::<_, Self>(delivery).map(move |settled, this, ctx| this.pin(settled, held_back, ctx)),
        );
    }

    fn pin(&mut self, settled: Vec<(JobId, Settled)>, held_back: usize, ctx: &mut Context<Self>) {
        for (job_id, settled) in settled {
            self.sending.remove(&job_id);
            match settled {
                Settled::Confirmed | Settled::Elsewhere => drop(self.failed.remove(&job_id)),
                Settled::Untried => {}
                Settled::Failed => self.back_off(job_id, ctx),
            }
        }
        let again = std::mem::replace(&mut self.look, OutboxLook::Idle) == OutboxLook::RunningThenAgain;
        if again {
            self.flush(ctx);
        } else if held_back == 0 {
            for reply in self.waiting.drain(..) {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(());
            }
        }
    }

    fn back_off(&mut self, job_id: JobId, ctx: &mut Context<Self>) {
        let (failures, next_at) = self.failed.entry(job_id).or_insert((0, Instant::now()));
        *failures = failures.saturating_add(1);
        let delay = Backoff::NETWORK.jittered(*failures);
        *next_at = Instant::now() + delay;
        ctx.run_later(delay, |this, ctx| this.flush(ctx));
    }

    /// Looks at the outbox when a job ended here.
    fn follow_ends(&self, ctx: &mut Context<Self>) {
        let in_flight = self.ports.in_flight.clone();
        let ended = fut::wrap_future::<_, Self>(async move { in_flight.wait_for_end().await });
        ctx.spawn(ended.map(|(), this, ctx| {
            this.flush(ctx);
            this.follow_ends(ctx);
        }));
    }
}

/// Moves the checkpoint to what is known here, and remembers what it says; gives the report that is due.
async fn look(ports: ReporterPorts, job: JobProgress, known: Seen) -> Result<Option<Report>, Failure> {
    let step = Advance {
        progress: Some(known.percent),
        report: true,
        generation: Some(known.generation),
        ..Advance::default()
    };
    let advanced = ports.store.advance(job.job_id.clone(), step, ports.clock.now()).await?;
    // A checkpoint that is gone is built again by the next task.
    let Some(advanced) = advanced else { return Ok(None) };
    let checkpoint = advanced.checkpoint;
    if checkpoint.status.is_terminal() {
        ports.memory.note_end(&job.job_id, checkpoint.sequence);
        return Ok(None);
    }
    // One that stands before what is known is just being built again: to tell of it would be a step back.
    if checkpoint.status.rank() < known.status.rank() {
        return Ok(None);
    }
    ports.memory.note(&checkpoint);
    let report = |sequence| Report::of(&checkpoint, sequence, job.media, &ports.worker, ports.clock.now());
    Ok(advanced.sequence.map(report))
}

impl Actor for Reporter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
        ctx.run_interval(TICK, |this, ctx| this.tick(ctx));
        ctx.run_interval(OUTBOX_INTERVAL, |this, ctx| this.flush(ctx));
        self.follow_ends(ctx);
        self.flush(ctx);
    }
}

impl Handler<Flush> for Reporter {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) -> Self::Result {
        let (reply, flushed) = oneshot::channel();
        self.waiting.push(reply);
        self.flush(ctx);
        Box::pin(async move { flushed.await.unwrap_or(()) })
    }
}

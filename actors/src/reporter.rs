//! Tells the Transcoding Service: how far jobs are, once a second and dropped when the service is slow; and how they
//! ended, at least once, through the outbox, however long the service is away. Never slows an encode: it reads the
//! [`Board`] and nobody waits for it. Must never send progress of a job after, or beside, its last report; a job that
//! failed and was opened again has another life, which is told by [`crate::checkpoint::Checkpoint::life`].

mod outbox;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use metrics::gauge;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::board::{Board, JobProgress};
use crate::checkpoint::Advance;
use crate::exit::{ExitGuard, stop_with};
use crate::failure::Failure;
use crate::job::JobId;
use crate::metrics as names;
use crate::ports::{Clock, StatusSink, Store};
use crate::progress::Report;
use outbox::Settled;

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
/// Jobs whose progress is remembered though nothing of them runs here.
const MAX_SEEN: usize = 1024;
/// Ended jobs that are remembered, so that no late progress follows.
const MAX_ENDED: usize = 1024;

/// Deliver what is in the outbox; answered after a look that began later.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Flush;

/// What the reporter is connected to.
#[derive(Clone)]
pub struct ReporterPorts {
    /// Sequence numbers and the outbox.
    pub store: Arc<dyn Store>,
    /// The service.
    pub sink: Arc<dyn StatusSink>,
    /// Time stamps.
    pub clock: Arc<dyn Clock>,
    /// What runs here.
    pub board: Board,
    /// Name of this worker.
    pub worker: String,
}

/// The actor.
pub struct Reporter {
    ports: ReporterPorts,
    /// Jobs with a report on its way: one at a time.
    sending: HashSet<JobId>,
    /// What was last seen of a job: a store that comes back empty must not make its progress go back.
    seen: HashMap<JobId, Seen>,
    /// Jobs that ended, with the sequence number of the last report.
    ended: VecDeque<(JobId, u64)>,
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
            seen: HashMap::new(),
            ended: VecDeque::new(),
            failed: HashMap::new(),
            look: OutboxLook::Idle,
            waiting: Vec::new(),
            end,
            _exit: exit,
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let jobs = self.ports.board.jobs();
        if self.seen.len() > MAX_SEEN {
            self.seen.retain(|job_id, _| jobs.iter().any(|job| job.job_id == *job_id));
        }
        for mut job in jobs {
            // What was seen of an earlier life says nothing. A store that was emptied forgets the life.
            let seen = self.seen.get(&job.job_id).copied().filter(|seen| seen.life >= job.life).unwrap_or_default();
            job.life = job.life.max(seen.life);
            if !self.has_ended(&job) && self.sending.insert(job.job_id.clone()) {
                self.report(job, seen, ctx);
            }
        }
    }

    /// Whether this life of the job has ended: its last report has a higher number than its beginning.
    fn has_ended(&self, job: &JobProgress) -> bool {
        self.ended.iter().any(|(job_id, sequence)| *job_id == job.job_id && *sequence >= job.life)
    }

    fn report(&mut self, job: JobProgress, mut known: Seen, ctx: &mut Context<Self>) {
        let job_id = job.job_id.clone();
        known.chunks_done = known.chunks_done.max(job.chunks_done);
        let sent = tokio::time::timeout(PROGRESS_TIMEOUT, report_once(self.ports.clone(), job, known));
        ctx.spawn(fut::wrap_future::<_, Self>(sent).map(move |sent, this, ctx| {
            this.sending.remove(&job_id);
            match sent {
                Ok(Ok(Told::Lives(seen))) => drop(this.seen.insert(job_id, seen)),
                Ok(Ok(Told::Ended(sequence))) => this.note_end(job_id, sequence),
                Ok(Err(failure)) => tracing::warn!(%job_id, %failure, "progress cannot be written to the checkpoint"),
                Err(_) => tracing::debug!(%job_id, "progress report took too long and was dropped"),
            }
            // Its last report may have waited for this.
            if !this.waiting.is_empty() {
                this.flush(ctx);
            }
        }));
    }

    fn note_end(&mut self, job_id: JobId, sequence: u64) {
        // A report that waited long may be of an earlier life than the one that runs.
        if self.seen.get(&job_id).is_some_and(|seen| seen.life <= sequence) {
            self.seen.remove(&job_id);
        }
        match self.ended.iter_mut().find(|(known, _)| *known == job_id) {
            Some((_, last)) => *last = sequence.max(*last),
            None => self.ended.push_back((job_id, sequence)),
        }
        while self.ended.len() > MAX_ENDED {
            self.ended.pop_front();
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
                        this.settle(Vec::new(), 0, ctx);
                    }
                    // The checkpointer has said that the store is away.
                    Err(_) => this.settle(Vec::new(), 0, ctx),
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
            self.note_end(report.job_id.clone(), report.sequence);
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
            fut::wrap_future::<_, Self>(delivery).map(move |settled, this, ctx| this.settle(settled, held_back, ctx)),
        );
    }

    fn settle(&mut self, settled: Vec<(JobId, Settled)>, held_back: usize, ctx: &mut Context<Self>) {
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
        let board = self.ports.board.clone();
        let ended = fut::wrap_future::<_, Self>(async move { board.wait_for_end().await });
        ctx.spawn(ended.map(|(), this, ctx| {
            this.flush(ctx);
            this.follow_ends(ctx);
        }));
    }
}

/// What a report saw of its job.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    chunks_done: u32,
    percent: f64,
    life: u64,
}

/// What a report learned.
#[derive(Clone, Copy, Debug)]
enum Told {
    /// The job goes on.
    Lives(Seen),
    /// It has ended, with this sequence number.
    Ended(u64),
}

/// Moves the checkpoint to what is seen here and, where a report is due, sends it.
async fn report_once(ports: ReporterPorts, job: JobProgress, known: Seen) -> Result<Told, Failure> {
    let percent = job.percent(known.chunks_done).max(known.percent);
    let step = Advance { progress: Some(percent), report: true, life: Some(job.life), ..Advance::default() };
    let advanced = ports.store.advance(job.job_id.clone(), step, ports.clock.now()).await?;
    // A checkpoint that is gone is built again by the next task.
    let Some(advanced) = advanced else { return Ok(Told::Lives(Seen { life: job.life, ..known })) };
    let checkpoint = advanced.checkpoint;
    if checkpoint.status.is_terminal() {
        return Ok(Told::Ended(checkpoint.sequence));
    }
    let seen = Seen { chunks_done: checkpoint.chunks_done, percent: checkpoint.progress, life: checkpoint.life };
    if let Some(sequence) = advanced.sequence {
        let report = Report::of(&checkpoint, sequence, job.media, &ports.worker, ports.clock.now());
        if let Err(failure) = ports.sink.deliver(report).await {
            tracing::debug!(job_id = %job.job_id, %failure, "progress report was dropped");
        }
    }
    Ok(Told::Lives(seen))
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

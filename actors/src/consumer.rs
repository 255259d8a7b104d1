//! Jobs and tasks in, offsets out. Deliveries come by credit and wait here for a slot of the pool;
//! an offset is finished only when everything that follows from it is durable.
//! Must never finish a delivery of work that was interrupted: somebody else takes it up.

mod dispatch;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::failure::{Failure, FailureClass};
use crate::domain::job::JobId;
use crate::domain::record::{Delivery, Queue, TopicNames};
use crate::exit::{ExitGuard, stop_with};
use crate::link::Link;
use crate::metrics as names;
use crate::ports::{ConnectSource, SourceEvent, TaskSource};
use crate::running::RunningKeys;
use crate::status::StatusCell;
use crate::tasks::Cancels;
use crate::work::{Deferral, Disposition, Execute, PoolSize};
use dispatch::{DispatchQueue, Number};

/// When a task that runs elsewhere is looked at again.
const BRIEF_DELAY: Duration = Duration::from_secs(1);
/// Deferred deliveries beside which others still come in; with more of them the credits are used up until leases end.
const MAX_DEFERRED: usize = 32;
/// Deliveries that wait for each slot: enough to keep it busy, few enough that other workers get theirs.
const BUFFER_PER_SLOT: usize = 1;

/// Take work, or leave it to others. Starts with `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct TakeWork(pub bool);

/// Take tasks for GPUs too, or leave them to others. Starts with `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct ReadGpu(pub bool);

/// Start nothing more; answered when nothing runs.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain;

/// Stop what runs; its deliveries are not finished.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct StopRunning;

/// Commit what is finished and leave the group; answered when the source has left.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Leave;

/// What the consumer is connected to.
#[derive(Clone)]
pub struct ConsumerPorts {
    /// Joins the group.
    pub connect: ConnectSource,
    /// The pool.
    pub pool: Link<Execute>,
    /// Cancels jobs.
    pub cancels: Cancels,
    /// Partitions are shown here.
    pub status: StatusCell,
    /// For the labels of lags.
    pub topics: TopicNames,
    /// What runs in the pool, whoever started it.
    pub running: RunningKeys,
}

/// The actor.
pub struct Consumer {
    ports: ConsumerPorts,
    source: Option<Arc<dyn TaskSource>>,
    dispatch: DispatchQueue,
    size: PoolSize,
    /// Deliveries that were allowed and have not come.
    credits: usize,
    phase: Phase,
    /// Partitions whose lag is shown.
    lag_of: HashSet<(Queue, i32)>,
    end: CancellationToken,
    exit: ExitGuard,
}

/// Only ever moves down, but for `Waiting` and `Taking`.
enum Phase {
    /// May not take work.
    Waiting,
    /// Takes work.
    Taking,
    /// Starts nothing more; these wait for the last end.
    Draining(Vec<oneshot::Sender<()>>),
    /// Leaves the group; these wait for it.
    Leaving(Vec<oneshot::Sender<()>>),
    /// Has left.
    Left,
}

impl Consumer {
    /// A consumer for a pool of `size` that stops with `end`.
    pub fn new(ports: ConsumerPorts, size: PoolSize, end: CancellationToken, exit: ExitGuard) -> Self {
        let dispatch = DispatchQueue::new(size, ports.running.clone());
        let lag_of = HashSet::new();
        Self { ports, source: None, dispatch, size, credits: 0, phase: Phase::Waiting, lag_of, end, exit }
    }

    fn connect(&mut self, ctx: &mut Context<Self>) {
        let (events_in, mut events) = mpsc::unbounded_channel();
        match (self.ports.connect)(events_in) {
            Ok(source) => {
                self.source = Some(source);
                ctx.add_stream(futures_util::stream::poll_fn(move |cx| events.poll_recv(cx)));
            }
            Err(failure) => self.broken(failure, ctx),
        }
    }

    fn broken(&mut self, failure: Failure, ctx: &mut Context<Self>) {
        tracing::error!(class = %failure.class, %failure, "consumer cannot go on");
        match failure.class {
            // The supervisor tries again, a limited number of times.
            FailureClass::Retryable | FailureClass::Device | FailureClass::Interrupted => {}
            FailureClass::Permanent => self.exit.give_up(failure),
        }
        ctx.stop();
    }

    fn event(&mut self, event: SourceEvent, ctx: &mut Context<Self>) {
        match event {
            SourceEvent::Delivered(delivery) => self.delivered(delivery, ctx),
            SourceEvent::Cancelled(job_id) => self.cancel(job_id, ctx),
            SourceEvent::Assigned { partitions } => {
                self.ports.status.change(|status| status.assigned = Some(partitions));
            }
            SourceEvent::Revoked(partitions) => {
                self.forget_lag(&partitions);
                self.dispatch.revoke(&partitions);
                self.top_up();
            }
            SourceEvent::Lag { queue, partition, records } => {
                self.lag_of.insert((queue, partition));
                self.set_lag(queue, partition, records as f64);
            }
            SourceEvent::Answers(answers) => self.ports.status.change(|status| status.broker_away = !answers),
            SourceEvent::Left => self.left(),
            SourceEvent::Broken(failure) => self.broken(failure, ctx),
        }
    }

    fn delivered(&mut self, delivery: Delivery, ctx: &mut Context<Self>) {
        self.credits = self.credits.saturating_sub(1);
        match self.phase {
            Phase::Waiting | Phase::Taking => {
                self.dispatch.put(delivery);
                self.dispatch(ctx);
            }
            // Not finished: it comes again, to somebody else.
            Phase::Draining(_) | Phase::Leaving(_) | Phase::Left => {}
        }
    }

    /// Starts what may start, and allows as many deliveries as there is room for.
    fn dispatch(&mut self, ctx: &mut Context<Self>) {
        if !matches!(self.phase, Phase::Taking) {
            return;
        }
        while let Some((number, execute)) = self.dispatch.start_next(Instant::now()) {
            let pool = self.ports.pool.clone();
            let answer = fut::wrap_future::<_, Self>(async move { pool.ask(execute).await });
            ctx.spawn(answer.map(move |end, this, ctx| {
                // Without a pool the worker ends: the delivery is not finished.
                this.ended(number, end.unwrap_or(Disposition::Interrupted), ctx);
            }));
        }
        self.top_up();
    }

    fn top_up(&mut self) {
        let Some(source) = self.source.as_ref().filter(|_| matches!(self.phase, Phase::Taking)) else { return };
        let room = (self.size.cpu + self.size.io) * (1 + BUFFER_PER_SLOT);
        let held =
            self.dispatch.num_active() + self.dispatch.num_deferred().saturating_sub(MAX_DEFERRED) + self.credits;
        let more = room.saturating_sub(held);
        if more > 0 {
            self.credits += more;
            source.grant(more);
        }
    }

    fn ended(&mut self, number: Number, end: Disposition, ctx: &mut Context<Self>) {
        let delay = match end {
            Disposition::Finished => {
                if let (Some(tag), Some(source)) = (self.dispatch.take(number), &self.source) {
                    source.finished(tag);
                }
                None
            }
            // Stopped for its job's sake, but the end of the job is not known yet: look again.
            Disposition::Deferred(Deferral::Briefly) | Disposition::Interrupted => Some(BRIEF_DELAY),
            Disposition::Deferred(Deferral::Increasing) => {
                Some(Backoff::SPACE.jittered(self.dispatch.count_deferral(number)))
            }
            Disposition::Deferred(Deferral::For(delay)) => {
                self.dispatch.count_deferral(number);
                Some(delay)
            }
            Disposition::Retry { attempts } => Some(Backoff::TASK.jittered(attempts)),
        };
        if let Some(delay) = delay {
            self.again(number, delay, ctx);
        }
        self.dispatch(ctx);
        self.drained_if_idle();
    }

    fn again(&mut self, number: Number, delay: Duration, ctx: &mut Context<Self>) {
        match self.phase {
            Phase::Waiting | Phase::Taking => {
                self.dispatch.defer(number, Instant::now() + delay);
                ctx.run_later(delay, |this, ctx| this.dispatch(ctx));
            }
            Phase::Draining(_) | Phase::Leaving(_) | Phase::Left => drop(self.dispatch.take(number)),
        }
    }

    fn cancel(&mut self, job_id: JobId, ctx: &mut Context<Self>) {
        let cancels = self.ports.cancels.clone();
        let asked_for = job_id.clone();
        let request = fut::wrap_future::<_, Self>(async move { cancels.request(&asked_for).await });
        ctx.spawn(request.map(move |answer, this, ctx| match answer {
            Ok(Some(checkpoint)) => {
                // What runs here sees the request when it is stopped; a job of which nothing runs ends here.
                this.dispatch.stop(Some(&job_id));
                let cancels = this.ports.cancels.clone();
                let ending = async move { cancels.end(&checkpoint).await };
                ctx.spawn(fut::wrap_future::<_, Self>(ending).map(move |ended, _, _| log_cancel(&job_id, ended)));
            }
            Ok(None) => tracing::info!(%job_id, "job that nobody has seen yet is cancelled when it comes"),
            Err(failure) => log_cancel(&job_id, Err(failure)),
        }));
    }

    fn drained_if_idle(&mut self) {
        if let Phase::Draining(waiting) = &mut self.phase
            && self.dispatch.num_running() == 0
        {
            answer_all(waiting.drain(..));
        }
    }

    fn left(&mut self) {
        if let Phase::Leaving(waiting) = std::mem::replace(&mut self.phase, Phase::Left) {
            answer_all(waiting);
        }
    }

    fn set_lag(&self, queue: Queue, partition: i32, records: f64) {
        let (topic, partition) = (self.ports.topics.of(queue).to_owned(), partition.to_string());
        gauge!(names::CONSUMER_LAG, "topic" => topic, "partition" => partition).set(records);
    }

    fn forget_lag(&mut self, partitions: &[(Queue, i32)]) {
        for &(queue, partition) in partitions {
            if self.lag_of.remove(&(queue, partition)) {
                self.set_lag(queue, partition, 0.0);
            }
        }
    }
}

/// Whoever asked may have stopped waiting.
fn answer_all(waiting: impl IntoIterator<Item = oneshot::Sender<()>>) {
    for reply in waiting {
        let _ = reply.send(());
    }
}

fn log_cancel(job_id: &JobId, ended: Result<(), Failure>) {
    match ended {
        Ok(()) => tracing::info!(%job_id, "job was asked to stop"),
        Err(failure) => tracing::error!(%job_id, %failure, "job cannot be cancelled, ask again"),
    }
}

impl Actor for Consumer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
        self.connect(ctx);
        // Work that a consumer before this one has started ends without a message to this one, and frees its key.
        ctx.run_interval(BRIEF_DELAY, |this, ctx| this.dispatch(ctx));
    }
}

impl Drop for Consumer {
    /// However it ends, its partitions must go to somebody.
    fn drop(&mut self) {
        if let Some(source) = self.source.take().filter(|_| !matches!(self.phase, Phase::Leaving(_) | Phase::Left)) {
            source.leave();
        }
    }
}

impl StreamHandler<SourceEvent> for Consumer {
    fn handle(&mut self, event: SourceEvent, ctx: &mut Self::Context) {
        self.event(event, ctx);
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        if matches!(self.phase, Phase::Leaving(_) | Phase::Left) {
            self.left();
        } else {
            self.broken(Failure::retryable("the source of tasks ended by itself; its thread may have died"), ctx);
        }
    }
}

impl Handler<TakeWork> for Consumer {
    type Result = ();

    fn handle(&mut self, take: TakeWork, ctx: &mut Self::Context) {
        match self.phase {
            Phase::Waiting | Phase::Taking => self.phase = if take.0 { Phase::Taking } else { Phase::Waiting },
            Phase::Draining(_) | Phase::Leaving(_) | Phase::Left => {}
        }
        self.dispatch(ctx);
    }
}

impl Handler<ReadGpu> for Consumer {
    type Result = ();

    fn handle(&mut self, read: ReadGpu, _: &mut Self::Context) {
        if let Some(source) = &self.source {
            source.read_gpu(read.0);
        }
    }
}

impl Handler<Drain> for Consumer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Drain, _: &mut Self::Context) -> Self::Result {
        let (reply, drained) = oneshot::channel();
        match &mut self.phase {
            Phase::Waiting | Phase::Taking => {
                self.dispatch.drop_waiting();
                self.phase = Phase::Draining(vec![reply]);
            }
            Phase::Draining(waiting) => waiting.push(reply),
            Phase::Leaving(_) | Phase::Left => drop(reply),
        }
        self.drained_if_idle();
        Box::pin(async move { drained.await.unwrap_or(()) })
    }
}

impl Handler<StopRunning> for Consumer {
    type Result = ();

    fn handle(&mut self, _: StopRunning, _: &mut Self::Context) {
        self.dispatch.stop(None);
    }
}

impl Handler<Leave> for Consumer {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Leave, _: &mut Self::Context) -> Self::Result {
        let (reply, left) = oneshot::channel();
        match &mut self.phase {
            Phase::Leaving(waiting) => waiting.push(reply),
            Phase::Left => drop(reply),
            Phase::Waiting | Phase::Taking | Phase::Draining(_) => {
                self.phase = Phase::Leaving(vec![reply]);
                match &self.source {
                    Some(source) => source.leave(),
                    None => self.left(),
                }
            }
        }
        Box::pin(async move { left.await.unwrap_or(()) })
    }
}

//! Owns the actors: starts them, starts them again when they die (not too often), drains and ends the worker.
//!
//! ```text
//! Supervisor ─┬─ Consumer       jobs and tasks in, offsets and successors out
//!             ├─ Capability     what this machine can encode
//!             ├─ Checkpointer   the way to the store
//!             ├─ EncoderPool ── Encoder × (cpu + io)
//!             └─ Reporter       progress and last reports
//! ```
//!
//! The children reach one another only through [`Link`](crate::link::Link)s, which lead to whoever lives. The state that
//! outlives a child is in the store, in the log of the broker, [`InFlight`] and [`RunningKeys`].

mod handle;
mod messages;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use metrics::counter;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use handle::{Adapters, Ended, Settings, WorkerHandle};
use messages::{BeginDrain, EndNow};

use crate::capability::{Ability, Capability, CapabilityPorts};
use crate::checkpointer::{CallStore, Checkpointer, PatientStore};
use crate::consumer::{Consumer, ConsumerPorts, Drain, Leave, ReadGpu, StopRunning, TakeWork};
use crate::domain::failure::Failure;
use crate::encoder::STOP_GRACE;
use crate::exit::{ChildExited, Exit, ExitGuard, Restarts};
use crate::gpu::Gpu;
use crate::in_flight::InFlight;
use crate::link::Socket;
use crate::metrics as names;
use crate::pool::EncoderPool;
use crate::ports::Store;
use crate::reporter::{Flush, Memory, Reporter, ReporterPorts};
use crate::running::RunningKeys;
use crate::status::StatusCell;
use crate::tasks::{PatientPublisher, TaskPorts, TaskSettings, Tasks};
use crate::versions::OwnVersions;
use crate::work::Execute;

/// How often the arbiter shows that it is not stuck.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Stopped work must have ended after this time: its grace and a little more.
const STOP_TIMEOUT: Duration = Duration::from_secs(STOP_GRACE.as_secs() + 2);
/// Leaving the group may take this long; then the group finds out by itself.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Last reports may take this long at the end; other workers deliver the rest.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// What a worker may need after its drain timeout: the three steps above, and some time for the process to end. The grace
/// period of a pod is the drain timeout and this.
pub const AFTER_DRAIN: Duration = Duration::from_secs(25);
const _: () = assert!(
    STOP_TIMEOUT.as_secs() + LEAVE_TIMEOUT.as_secs() + FLUSH_TIMEOUT.as_secs() < AFTER_DRAIN.as_secs(),
    "a drain that takes all of its time would be killed"
);

/// The children, by the name in their exit guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Checkpointer,
    Reporter,
    Pool,
    Consumer,
    Capability,
}

impl Kind {
    /// In the order in which they are started.
    const ALL: [Self; 5] = [Self::Checkpointer, Self::Reporter, Self::Pool, Self::Consumer, Self::Capability];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Checkpointer => "checkpointer",
            Self::Reporter => "reporter",
            Self::Pool => "pool",
            Self::Consumer => "consumer",
            Self::Capability => "capability",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// The actor.
pub struct Supervisor {
    adapters: Adapters,
    settings: Settings,
    /// What tasks reach, and what they share with the children.
    ports: TaskPorts,
    tasks: Arc<Tasks>,
    running: RunningKeys,
    sockets: Sockets,
    consumer: Option<Addr<Consumer>>,
    reporter: Option<Addr<Reporter>>,
    /// What the reporters saw.
    memory: Memory,
    restarts: HashMap<Kind, Restarts>,
    /// Whether tasks for GPUs are taken.
    reads_gpu: bool,
    status: StatusCell,
    /// Ends every actor.
    end: CancellationToken,
    ended: watch::Sender<Option<Ended>>,
}

/// The supervisor's ends of the links between its children.
#[derive(Default)]
struct Sockets {
    store: Socket<CallStore>,
    run: Socket<Execute>,
}

/// Time to start a child again.
#[derive(Message)]
#[rtype(result = "()")]
struct Respawn(Kind);

impl Supervisor {
    /// Starts a worker on the arbiter of the caller. It takes work as soon as a probe has found an encoder.
    pub fn start(adapters: Adapters, settings: Settings) -> WorkerHandle {
        let (ended, when_ended) = watch::channel(None);
        let status = StatusCell::new(settings.pool.cpu + settings.pool.io);
        let followed = status.watch();
        let address = Actor::start(Self::new(adapters, settings, status, ended));
        WorkerHandle::new(address.clone().recipient(), address.recipient(), when_ended, followed)
    }

    fn new(adapters: Adapters, settings: Settings, status: StatusCell, ended: watch::Sender<Option<Ended>>) -> Self {
        let sockets = Sockets::default();
        let store: Arc<dyn Store> = Arc::new(PatientStore::new(sockets.store.link()));
        let ports = TaskPorts {
            store,
            work: adapters.work.clone(),
            stages: adapters.stages.clone(),
            publisher: Arc::new(PatientPublisher::new(adapters.publisher.clone(), settings.topics.clone())),
            clock: adapters.clock.clone(),
            in_flight: InFlight::default(),
            versions: OwnVersions::default(),
            gpu: Gpu::new(settings.gpu),
        };
        let tasks = Tasks::new(
            ports.clone(),
            TaskSettings {
                worker: settings.worker.clone(),
                max_attempts: settings.max_attempts.max(1),
                lease_ttl: settings.lease_ttl,
                topics: settings.topics.clone(),
                encoder_wait_timeout: settings.encoder_wait_timeout,
            },
        );
        Self {
            adapters,
            settings,
            ports,
            tasks: Arc::new(tasks),
            running: RunningKeys::default(),
            sockets,
            consumer: None,
            reporter: None,
            memory: Memory::default(),
            restarts: HashMap::new(),
            reads_gpu: false,
            status,
            end: CancellationToken::new(),
            ended,
        }
    }

    fn spawn(&mut self, kind: Kind, ctx: &mut Context<Self>) {
        let exit = ExitGuard::new(kind.as_str(), 0, ctx.address().recipient());
        let end = self.end.clone();
        match kind {
            Kind::Checkpointer => {
                let checkpointer =
                    Checkpointer::new(self.adapters.store.clone(), self.status.clone(), end, exit).start();
                self.sockets.store.connect(checkpointer.recipient());
            }
            Kind::Reporter => self.reporter = Some(Reporter::new(self.reporter_ports(), end, exit).start()),
            Kind::Pool => {
                let (tasks, status) = (self.tasks.clone(), self.status.clone());
                let pool = EncoderPool::new(tasks, self.settings.pool, status, end, exit).start();
                self.sockets.run.connect(pool.recipient());
            }
            Kind::Consumer => self.spawn_consumer(end, exit),
            Kind::Capability => {
                Capability::new(self.capability_ports(ctx.address().recipient()), end, exit).start();
            }
        }
    }

    fn spawn_consumer(&mut self, end: CancellationToken, exit: ExitGuard) {
        let ports = ConsumerPorts {
            connect: self.adapters.connect.clone(),
            pool: self.sockets.run.link(),
            cancels: self.tasks.cancels(),
            status: self.status.clone(),
            topics: self.settings.topics.clone(),
            running: self.running.clone(),
        };
        let consumer = Consumer::new(ports, self.settings.pool, end, exit).start();
        consumer.do_send(TakeWork(self.status.now().capable));
        consumer.do_send(ReadGpu(self.reads_gpu));
        self.consumer = Some(consumer);
    }

    fn capability_ports(&self, to: Recipient<Ability>) -> CapabilityPorts {
        CapabilityPorts {
            probe: self.adapters.probe.clone(),
            monitor: self.adapters.monitor.clone(),
            store: self.ports.store.clone(),
            clock: self.adapters.clock.clone(),
            gpu: self.ports.gpu.clone(),
            versions: self.ports.versions.clone(),
            worker: self.settings.worker.clone(),
            slots: self.settings.pool.cpu,
            to,
        }
    }

    fn reporter_ports(&self) -> ReporterPorts {
        ReporterPorts {
            store: self.ports.store.clone(),
            sink: self.adapters.sink.clone(),
            clock: self.adapters.clock.clone(),
            in_flight: self.ports.in_flight.clone(),
            memory: self.memory.clone(),
            worker: self.settings.worker.clone(),
        }
    }

    /// Questions to a dead child wait for the next one.
    fn disconnect(&mut self, kind: Kind) {
        match kind {
            Kind::Checkpointer => self.sockets.store.disconnect(),
            Kind::Reporter => self.reporter = None,
            Kind::Pool => self.sockets.run.disconnect(),
            Kind::Consumer => {
                self.consumer = None;
                self.status.change(|status| (status.assigned, status.broker_away) = (None, false));
            }
            Kind::Capability => {}
        }
    }

    fn child_died(&mut self, kind: Kind, ctx: &mut Context<Self>) {
        self.disconnect(kind);
        counter!(names::ACTOR_RESTARTS_TOTAL, "actor" => kind.as_str()).increment(1);
        match self.restarts.entry(kind).or_default().next_delay(Instant::now()) {
            Some(delay) => drop(ctx.notify_later(Respawn(kind), delay)),
            None => {
                let message = format!("the {} died too often, see the errors before this line", kind.as_str());
                self.finish(Ended::Failed(Failure::retryable(message)), ctx);
            }
        }
    }

    fn finish(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        match &ended {
            Ended::Drained => tracing::info!("worker has drained"),
            Ended::Stopped => tracing::warn!("worker was stopped at once"),
            Ended::Failed(failure) => tracing::error!(%failure, "worker cannot go on"),
        }
        self.end.cancel();
        self.status.change(|status| status.ended = true);
        self.ended.send_if_modified(|known| known.is_none() && known.replace(ended).is_none());
        ctx.stop();
    }
}

/// Lets work end, stops what takes too long, leaves the group, delivers last reports. Every step has its deadline; a
/// child that dies meanwhile ends its step.
async fn drain(consumer: Option<Addr<Consumer>>, reporter: Option<Addr<Reporter>>, drain_timeout: Duration) {
    if let Some(consumer) = consumer {
        if tokio::time::timeout(drain_timeout, consumer.send(Drain)).await.is_err() {
            tracing::warn!(?drain_timeout, "work did not end in time, it is stopped and goes on elsewhere");
            consumer.do_send(StopRunning);
            let _ = tokio::time::timeout(STOP_TIMEOUT, consumer.send(Drain)).await;
        }
        if tokio::time::timeout(LEAVE_TIMEOUT, consumer.send(Leave)).await.is_err() {
            tracing::warn!("group was not left in time, it finds out by itself");
        }
    }
    if let Some(reporter) = reporter
        && tokio::time::timeout(FLUSH_TIMEOUT, reporter.send(Flush)).await.is_err()
    {
        tracing::warn!("last reports were not delivered in time, another worker does it");
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        for kind in Kind::ALL {
            self.spawn(kind, ctx);
        }
        ctx.run_interval(BEAT_INTERVAL, |this, _| this.status.change(|status| status.beat_at = Instant::now()));
    }
}

impl Drop for Supervisor {
    /// However it ends, nobody is left behind.
    fn drop(&mut self) {
        self.end.cancel();
        self.status.change(|status| status.ended = true);
    }
}

impl Handler<ChildExited> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: ChildExited, ctx: &mut Self::Context) {
        let Some(kind) = Kind::named(exited.child.actor).filter(|_| !self.end.is_cancelled()) else { return };
        let actor = kind.as_str();
        match exited.exit {
            Exit::Panicked => tracing::error!(actor, "actor panicked, starting it again"),
            Exit::Stopped => tracing::warn!(actor, "actor stopped, starting it again"),
            Exit::GaveUp(failure) => return self.finish(Ended::Failed(failure.context(actor)), ctx),
        }
        self.child_died(kind, ctx);
    }
}

impl Handler<Respawn> for Supervisor {
    type Result = ();

    fn handle(&mut self, respawn: Respawn, ctx: &mut Self::Context) {
        // A draining worker does not join the group again.
        if respawn.0 != Kind::Consumer || !self.status.now().draining {
            self.spawn(respawn.0, ctx);
        }
    }
}

impl Handler<Ability> for Supervisor {
    type Result = ();

    fn handle(&mut self, ability: Ability, _: &mut Self::Context) {
        let Ability { encodes, reads_gpu, device_lost } = ability;
        self.reads_gpu = reads_gpu;
        self.status.change(|status| (status.capable, status.device_lost) = (encodes, device_lost));
        if let Some(consumer) = &self.consumer {
            consumer.do_send(ReadGpu(reads_gpu));
            consumer.do_send(TakeWork(encodes));
        }
    }
}

impl Handler<BeginDrain> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: BeginDrain, ctx: &mut Self::Context) {
        if self.status.now().draining {
            return;
        }
        tracing::info!("worker drains");
        self.status.change(|status| status.draining = true);
        let steps = drain(self.consumer.clone(), self.reporter.clone(), self.settings.drain_timeout);
        ctx.spawn(fut::wrap_future::<_, Self>(steps).map(|(), this, ctx| this.finish(Ended::Drained, ctx)));
    }
}

impl Handler<EndNow> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: EndNow, ctx: &mut Self::Context) {
        self.finish(Ended::Stopped, ctx);
    }
}

#[cfg(test)]
mod tests;

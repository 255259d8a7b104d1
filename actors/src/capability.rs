//! Knows what this machine can really encode: looks at start, every few minutes, and when devices that failed too often
//! are due for a trial; tells the supervisor, announces the worker to the fleet, and shows what GPUs do. A worker without
//! any encoder takes no work, and says why.
//!
//! Who reads the tasks for GPUs: a worker that offers a device, and **every** worker as long as it sees none in the fleet
//! that does. So they are never left to nobody: without a GPU they are done by the CPU, or fail where one is required.
//! Nobody has to move tasks from one topic to another.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use metrics::gauge;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::failure::Failure;
use crate::exit::{ExitGuard, stop_with};
use crate::gpu::Gpu;
use crate::metrics as names;
use crate::ports::{
    Capabilities, CapabilityProbe, Clock, GpuMonitor, GpuReading, PathCapability, Proof, Store, WorkerInfo,
};
use crate::versions::OwnVersions;

/// A driver can go or come back while the worker runs; a probe takes seconds of CPU.
const PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// How long an announcement lives: a dead worker disappears within a minute.
pub const ANNOUNCE_TTL: Duration = Duration::from_secs(60);
/// Two announcements may be lost before the worker disappears.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(20);
/// An announcement that takes longer is dropped; the next one follows.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at what GPUs do: as often as metrics are collected.
const GLANCE_INTERVAL: Duration = Duration::from_secs(5);

/// What the worker can do now; for the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Ability {
    /// An encoder works.
    pub encodes: bool,
    /// It takes tasks for GPUs.
    pub reads_gpu: bool,
    /// Why a device is lost, if one is.
    pub device_lost: Option<String>,
}

/// What the actor is connected to.
pub struct CapabilityPorts {
    /// Tries encoders.
    pub probe: Arc<dyn CapabilityProbe>,
    /// Reads GPUs.
    pub monitor: Arc<dyn GpuMonitor>,
    /// The registry of the fleet.
    pub store: Arc<dyn Store>,
    /// Time stamps.
    pub clock: Arc<dyn Clock>,
    /// The devices of this worker.
    pub gpu: Gpu,
    /// The versions of its encoders.
    pub versions: OwnVersions,
    /// Name of this worker.
    pub worker: String,
    /// Encoders of its pool.
    pub slots: usize,
    /// Is told.
    pub to: Recipient<Ability>,
}

/// The actor.
pub struct Capability {
    ports: CapabilityPorts,
    seen: Option<Capabilities>,
    /// Whether another worker offers a device; `None` before the registry was read.
    others_have_gpu: Option<bool>,
    told: Option<Ability>,
    looking: bool,
    end: CancellationToken,
    _exit: ExitGuard,
}

/// Time to look; carries how often looking has failed in a row.
#[derive(Message)]
#[rtype(result = "()")]
struct Look {
    failures: u32,
}

impl Capability {
    /// An actor that stops with `end`.
    pub fn new(ports: CapabilityPorts, end: CancellationToken, exit: ExitGuard) -> Self {
        Self { ports, seen: None, others_have_gpu: None, told: None, looking: false, end, _exit: exit }
    }

    fn look(&mut self, failures: u32, ctx: &mut Context<Self>) {
        if self.looking {
            return;
        }
        self.looking = true;
        let answer = fut::wrap_future::<_, Self>(self.ports.probe.probe());
        ctx.spawn(answer.map(move |answer, this, ctx| {
            this.looking = false;
            this.looked(answer, failures, ctx);
        }));
    }

    fn looked(&mut self, answer: Result<Capabilities, Failure>, failures: u32, ctx: &mut Context<Self>) {
        match answer {
            Ok(seen) => {
                if !self.seen.as_ref().is_some_and(|before| does_the_same(before, &seen)) {
                    log(&seen);
                }
                seen.paths.iter().for_each(show_path);
                self.ports.gpu.probed(&seen);
                self.ports.versions.set(&seen.versions);
                self.seen = Some(seen);
                self.tell();
                self.announce(ctx);
            }
            Err(failure) => {
                let failures = failures.saturating_add(1);
                tracing::error!(failures, %failure, "cannot find out what this machine can encode, trying again");
                self.ports.gpu.not_probed();
                self.tell();
                ctx.notify_later(Look { failures }, Backoff::NETWORK.jittered(failures));
            }
        }
    }

    /// Tells the supervisor what changed.
    fn tell(&mut self) {
        let Some(seen) = &self.seen else { return };
        let gpu = &self.ports.gpu;
        let ability = Ability {
            encodes: seen.encoders().next().is_some(),
            reads_gpu: !gpu.offers().is_empty() || self.others_have_gpu == Some(false),
            device_lost: gpu.lost(),
        };
        if self.told.as_ref() != Some(&ability) {
            if let Some(lost) = &ability.device_lost {
                tracing::error!(lost, "a device is lost, the CPU is used; restart this worker, or its machine");
            }
            self.told = Some(ability.clone());
            self.ports.to.do_send(ability);
        }
    }

    /// Announces this worker and looks at the others.
    fn announce(&self, ctx: &mut Context<Self>) {
        let Some(seen) = &self.seen else { return };
        let CapabilityPorts { store, worker, slots, clock, gpu, .. } = &self.ports;
        let (worker, store) = (worker.clone(), store.clone());
        let capabilities = gpu.announced(seen);
        let info = WorkerInfo { worker: worker.clone(), slots: *slots, capabilities, updated_at: clock.now() };
        let own = worker.clone();
        let exchange = async move {
            store.announce(worker, info, ANNOUNCE_TTL).await?;
            store.workers().await
        };
        let answer = tokio::time::timeout(ANNOUNCE_TIMEOUT, exchange);
        ctx.spawn(fut::wrap_future::<_, Self>(answer).map(move |answer, this, _| match answer {
            Ok(Ok(workers)) => {
                let mut others = workers.iter().filter(|other| other.worker != own);
                this.others_have_gpu = Some(others.any(|other| other.capabilities.offers().next().is_some()));
                this.tell();
            }
            Ok(Err(failure)) => tracing::warn!(%failure, "worker was not announced"),
            Err(_) => tracing::debug!("worker was not announced in time"),
        }));
    }

    /// Looks at what GPUs do, and whether devices that failed are due for a trial.
    fn glance(&mut self, ctx: &mut Context<Self>) {
        self.tell();
        if !self.looking && self.ports.gpu.begin_trial() {
            tracing::info!("devices that failed are tried again");
            self.look(0, ctx);
        }
        if !self.ports.gpu.is_enabled() {
            return;
        }
        let reading = fut::wrap_future::<_, Self>(self.ports.monitor.read());
        ctx.spawn(reading.map(|readings, _, _| match readings {
            Ok(readings) => readings.iter().for_each(show),
            Err(failure) => tracing::debug!(%failure, "GPUs cannot be read"),
        }));
    }
}

/// Whether two looks found the same. How fast something was does not count.
fn does_the_same(before: &Capabilities, now: &Capabilities) -> bool {
    let without_speed = |seen: &Capabilities| {
        let mut seen = seen.clone();
        for path in seen.paths.iter_mut().filter(|path| path.works()) {
            path.proof = Proof::Works { fps: None };
        }
        seen
    };
    without_speed(before) == without_speed(now)
}

fn log(seen: &Capabilities) {
    for finding in &seen.findings {
        tracing::warn!(finding = finding.what, advice = finding.advice, "capability is missing");
    }
    for device in &seen.devices {
        let memory_mib = device.memory_bytes >> 20;
        tracing::info!(gpu = device.index, name = device.name, driver = device.driver, memory_mib, "GPU found");
    }
    let name =
        |path: &PathCapability| format!("{} {} bits by {}", path.codec.as_str(), path.bit_depth, path.family.as_str());
    let encoders: Vec<String> = seen.encoders().map(name).collect();
    if encoders.is_empty() {
        tracing::error!("no encoder works on this machine, it takes no work; run `doctor` to see what to install");
    } else {
        tracing::info!(encoders = encoders.join(", "), versions = %seen.versions, "encoders that work");
    }
}

fn show_path(path: &PathCapability) {
    let works = if path.works() { 1.0 } else { 0.0 };
    let (direction, codec, encoder) = (path.direction.as_str(), path.codec.as_str(), path.family.as_str());
    let bit_depth = path.bit_depth.to_string();
    gauge!(names::CAPABILITY, "direction" => direction, "codec" => codec, "bit_depth" => bit_depth, "encoder" => encoder)
        .set(works);
}

fn show(reading: &GpuReading) {
    let gpu = reading.index.to_string();
    let engines = [("encoder", reading.encoder), ("decoder", reading.decoder), ("compute", reading.compute)];
    for (engine, share) in engines {
        gauge!(names::GPU_UTILIZATION_RATIO, "gpu" => gpu.clone(), "engine" => engine).set(share);
    }
    for (kind, bytes) in [("used", reading.memory_used_bytes), ("total", reading.memory_total_bytes)] {
        gauge!(names::GPU_MEMORY_BYTES, "gpu" => gpu.clone(), "kind" => kind).set(bytes as f64);
    }
}

impl Actor for Capability {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
        self.look(0, ctx);
        ctx.run_interval(PROBE_INTERVAL, |this, ctx| this.look(0, ctx));
        ctx.run_interval(ANNOUNCE_INTERVAL, |this, ctx| this.announce(ctx));
        ctx.run_interval(GLANCE_INTERVAL, |this, ctx| this.glance(ctx));
    }
}

impl Handler<Look> for Capability {
    type Result = ();

    fn handle(&mut self, look: Look, ctx: &mut Self::Context) {
        self.look(look.failures, ctx);
    }
}

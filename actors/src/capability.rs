//! Knows what this machine can really encode: looks at start and every few minutes, tells the supervisor, and
//! announces the worker to the fleet. A worker without any encoder takes no work, and says why.

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::exit::{ExitGuard, stop_with};
use crate::failure::Failure;
use crate::ports::{Capabilities, CapabilityProbe, Clock, LeaseStore, WorkerInfo};

/// A driver can go or come back while the worker runs; a probe takes seconds of CPU.
const PROBE_INTERVAL: Duration = Duration::from_secs(300);
/// How long an announcement lives: a dead worker disappears within a minute.
pub const ANNOUNCE_TTL: Duration = Duration::from_secs(60);
/// Two announcements may be lost before the worker disappears.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(20);
/// An announcement that takes longer is dropped; the next one follows.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether the machine can encode anything; for the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CanEncode(pub bool);

/// The actor.
pub struct Capability {
    probe: Arc<dyn CapabilityProbe>,
    store: Arc<dyn LeaseStore>,
    clock: Arc<dyn Clock>,
    worker: String,
    slots: usize,
    seen: Option<Capabilities>,
    to: Recipient<CanEncode>,
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
    /// Looks with `probe`, announces `worker` with `slots` encoders in `store`, tells `to`, stops with `end`.
    #[allow(clippy::too_many_arguments)] // Each is a different port; called once.
    pub fn new(
        probe: Arc<dyn CapabilityProbe>,
        store: Arc<dyn LeaseStore>,
        clock: Arc<dyn Clock>,
        worker: String,
        slots: usize,
        to: Recipient<CanEncode>,
        end: CancellationToken,
        exit: ExitGuard,
    ) -> Self {
        Self { probe, store, clock, worker, slots, seen: None, to, end, _exit: exit }
    }

    fn looked(&mut self, answer: Result<Capabilities, Failure>, failures: u32, ctx: &mut Context<Self>) {
        match answer {
            Ok(seen) => {
                self.tell(&seen);
                self.seen = Some(seen);
                self.announce(ctx);
                ctx.notify_later(Look { failures: 0 }, PROBE_INTERVAL);
            }
            Err(failure) => {
                let failures = failures.saturating_add(1);
                tracing::error!(failures, %failure, "cannot find out what this machine can encode, trying again");
                ctx.notify_later(Look { failures }, Backoff::NETWORK.jittered(failures));
            }
        }
    }

    fn tell(&self, seen: &Capabilities) {
        if self.seen.as_ref() != Some(seen) {
            for finding in &seen.findings {
                tracing::warn!(finding = finding.what, advice = finding.advice, "capability is missing");
            }
            let encoders: Vec<_> = seen.encoders().map(|found| found.family.as_str()).collect();
            if encoders.is_empty() {
                tracing::error!(
                    "no encoder works on this machine, it takes no work; run `doctor` to see what to install"
                );
            } else {
                tracing::info!(?encoders, "encoders that work");
            }
        }
        self.to.do_send(CanEncode(seen.encoders().next().is_some()));
    }

    fn announce(&self, ctx: &mut Context<Self>) {
        let Some(capabilities) = self.seen.clone() else { return };
        let (worker, slots, updated_at) = (self.worker.clone(), self.slots, self.clock.now());
        let info = WorkerInfo { worker: worker.clone(), slots, capabilities, updated_at };
        let answer = tokio::time::timeout(ANNOUNCE_TIMEOUT, self.store.announce(worker, info, ANNOUNCE_TTL));
        ctx.spawn(fut::wrap_future::<_, Self>(answer).map(|answer, _, _| match answer {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::warn!(%failure, "worker was not announced"),
            Err(_) => tracing::debug!("worker was not announced in time"),
        }));
    }
}

impl Actor for Capability {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
        ctx.notify(Look { failures: 0 });
        ctx.run_interval(ANNOUNCE_INTERVAL, |this, ctx| this.announce(ctx));
    }
}

impl Handler<Look> for Capability {
    type Result = ();

    fn handle(&mut self, look: Look, ctx: &mut Self::Context) {
        let answer = fut::wrap_future::<_, Self>(self.probe.probe());
        ctx.spawn(answer.map(move |answer, this, ctx| this.looked(answer, look.failures, ctx)));
    }
}

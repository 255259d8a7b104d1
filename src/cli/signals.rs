//! SIGINT and SIGTERM: the first asks to stop, the second ends the process at once. The only owner of both.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::Trouble;
use super::exit::{Exit, cannot};

/// What was received so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    stop: CancellationToken,
    received: Arc<AtomicI32>,
}

impl Signals {
    /// Begins to listen, as a task of this thread's runtime.
    pub(super) fn listen() -> Result<Self, Trouble> {
        let open = |kind| signal(kind).map_err(|error| cannot("signals cannot be received", error));
        let (interrupt, terminate) = (open(SignalKind::interrupt())?, open(SignalKind::terminate())?);
        let signals = Self::default();
        actix_rt::spawn(signals.clone().receive(interrupt, terminate));
        Ok(signals)
    }

    /// Cancelled by the first signal.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The end of the command, if a signal was received.
    pub(super) fn interrupted(&self) -> Option<Exit> {
        match self.received.load(Ordering::Acquire) {
            0 => None,
            number => Some(Exit::Interrupted(number)),
        }
    }

    async fn receive(self, mut interrupt: Signal, mut terminate: Signal) {
        loop {
            let kind = tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            };
            let number = kind.as_raw_value();
            if self.received.swap(number, Ordering::AcqRel) != 0 {
                tracing::warn!(signal = number, "second signal, ending at once");
                std::process::exit(i32::from(Exit::Interrupted(number).status()));
            }
            tracing::info!(signal = number, "stopping");
            self.stop.cancel();
        }
    }
}

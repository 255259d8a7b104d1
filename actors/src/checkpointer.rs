//! Owns the way to the checkpoint store. While the store is away it waits and tries again, and nobody's task fails:
//! a call ends when the store has answered, refused for good, or when the asker no longer waits.
//! Peers reach it as [`PatientStore`], which is a store like the one behind it.

mod call;
mod patient;

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use call::CallStore;
pub use patient::PatientStore;

use crate::domain::backoff::Backoff;
use crate::domain::failure::Failure;
use crate::exit::{ExitGuard, stop_with};
use crate::ports::Store;
use crate::status::StatusCell;

/// While the store is away, a line in the log this often.
const AWAY_LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The actor.
pub struct Checkpointer {
    store: Arc<dyn Store>,
    away: Away,
    end: CancellationToken,
    _exit: ExitGuard,
}

/// Since when the store is away, and when that was last logged.
#[derive(Clone)]
struct Away {
    status: StatusCell,
    since: std::rc::Rc<std::cell::Cell<Option<(Instant, Instant)>>>,
}

impl Checkpointer {
    /// A checkpointer for `store` that stops with `end`.
    pub fn new(store: Arc<dyn Store>, status: StatusCell, end: CancellationToken, exit: ExitGuard) -> Self {
        // What the one before it knew, it has to find out itself.
        status.change(|status| status.store_away = false);
        Self { store, away: Away { status, since: Default::default() }, end, _exit: exit }
    }
}

impl Actor for Checkpointer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        stop_with(ctx, &self.end);
    }
}

impl Handler<CallStore> for Checkpointer {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, call: CallStore, _: &mut Self::Context) -> Self::Result {
        let (store, away) = (self.store.clone(), self.away.clone());
        Box::pin(
            async move {
                tokio::select! {
                    biased;
                    () = call.abandoned.cancelled() => {}
                    () = persist(store, &away, &call) => {}
                }
            }
            .into_actor(self),
        )
    }
}

/// Tries a call until the store answers.
async fn persist(store: Arc<dyn Store>, away: &Away, call: &CallStore) {
    let mut failures = 0;
    while let Err(failure) = (call.attempt)(store.clone()).await {
        failures += 1;
        away.note(call.what, &failure);
        tokio::time::sleep(Backoff::NETWORK.jittered(failures)).await;
    }
    away.over();
}

impl Away {
    fn note(&self, what: &str, failure: &Failure) {
        self.status.change(|status| status.store_away = true);
        let now = Instant::now();
        let (since, logged) = self.since.get().unwrap_or((now, now));
        if since == now || now.duration_since(logged) >= AWAY_LOG_INTERVAL {
            let away_seconds = now.duration_since(since).as_secs();
            tracing::warn!(call = what, away_seconds, %failure, "checkpoint store is away, work waits for it");
            self.since.set(Some((since, now)));
        }
    }

    fn over(&self) {
        if let Some((since, _)) = self.since.take() {
            self.status.change(|status| status.store_away = false);
            tracing::info!(away_seconds = since.elapsed().as_secs(), "checkpoint store is back");
        }
    }
}

//! Watches the poll thread.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// When the poll thread polled last. A poll thread that stopped makes the worker unfit: liveness looks at this.
#[derive(Clone, Debug)]
pub struct PollClock(Arc<Mutex<Instant>>);

impl Default for PollClock {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl PollClock {
    /// The instant of the last poll; before the first one, the making of the clock.
    pub fn last_poll(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn touch(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

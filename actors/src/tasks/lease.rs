//! The leases of tasks. They only avoid doing work twice: losing one changes nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::failure::Failure;
use crate::ports::LeaseStore;

/// Giving a lease back may take this long; after that it runs out by itself.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// The shortest time between two renewals.
const MIN_RENEWAL: Duration = Duration::from_millis(100);

/// Takes leases for this worker.
#[derive(Clone)]
pub(super) struct Leases {
    store: Arc<dyn LeaseStore>,
    worker: String,
    ttl: Duration,
}

/// A lease that is held; given back when dropped, or by [`Lease::release`] in time.
pub(super) struct Lease {
    store: Arc<dyn LeaseStore>,
    task: String,
    owner: String,
    ttl: Duration,
    released: bool,
}

impl Leases {
    pub fn new(store: Arc<dyn LeaseStore>, worker: String, ttl: Duration) -> Self {
        Self { store, worker, ttl }
    }

    /// Takes the lease of `task`; `None` where another worker has it.
    pub async fn hold(&self, task: String) -> Result<Option<Lease>, Failure> {
        self.hold_as(self.worker.clone(), task).await
    }

    /// Takes the lease of `task` for another task of this worker; `None` where anybody else has it, on this worker too.
    pub async fn hold_within(&self, other: &str, task: String) -> Result<Option<Lease>, Failure> {
        self.hold_as(format!("{} {other}", self.worker), task).await
    }

    async fn hold_as(&self, owner: String, task: String) -> Result<Option<Lease>, Failure> {
        let held = self.store.hold(task.clone(), owner.clone(), self.ttl).await?;
        Ok(held.then(|| Lease { store: self.store.clone(), task, owner, ttl: self.ttl, released: false }))
    }
}

impl Lease {
    pub fn task(&self) -> &str {
        &self.task
    }

    /// When it is to be renewed, and again after that.
    pub fn renewal_interval(&self) -> Duration {
        (self.ttl / 3).max(MIN_RENEWAL)
    }

    /// Whether it is still held, and is for another TTL.
    pub async fn renew(&self) -> Result<bool, Failure> {
        self.store.hold(self.task.clone(), self.owner.clone(), self.ttl).await
    }

    /// Gives the lease back, and waits for that a moment.
    pub async fn release(mut self) {
        self.released = true;
        let answer = self.store.release(self.task.clone(), self.owner.clone());
        match tokio::time::timeout(RELEASE_TIMEOUT, answer).await {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => tracing::debug!(task = self.task, %failure, "lease was not given back"),
            Err(_) => tracing::debug!(task = self.task, "lease was not given back in time"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        // Nobody can wait here. Without a runtime the process ends, and the lease runs out.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let answer = self.store.release(self.task.clone(), self.owner.clone());
            runtime.spawn(tokio::time::timeout(RELEASE_TIMEOUT, answer));
        }
    }
}

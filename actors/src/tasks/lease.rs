//! The lease of a task while its stage runs. It only avoids doing work twice: losing it changes nothing.
//! Its renewal also looks whether the job still wants the work, in case a cancellation passed this worker by.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Workbench;
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::ports::{OnProgress, RunStage, StageRequest, StageRunner, Store};

/// Giving a lease back may take this long; after that it runs out by itself.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// The shortest time between two renewals.
const MIN_RENEWAL: Duration = Duration::from_millis(100);

/// A lease that is held; given back when dropped, or by [`Lease::release`] in time.
pub(super) struct Lease {
    store: Arc<dyn Store>,
    task: String,
    owner: String,
    released: bool,
}

impl Lease {
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

impl Workbench {
    /// Takes the lease of `task`; `None` where another worker has it.
    pub(super) async fn hold(&self, task: String) -> Result<Option<Lease>, Failure> {
        self.hold_as(self.settings.worker.clone(), task).await
    }

    /// As [`Self::hold`], for an `owner` that is not this worker as a whole.
    pub(super) async fn hold_as(&self, owner: String, task: String) -> Result<Option<Lease>, Failure> {
        let held = self.store.hold(task.clone(), owner.clone(), self.settings.lease_ttl).await?;
        Ok(held.then(|| Lease { store: self.store.clone(), task, owner, released: false }))
    }

    /// Runs a stage under a lease that is renewed while it runs.
    pub(super) async fn run_stage<R: StageRequest>(
        &self,
        job_id: &JobId,
        lease: &Lease,
        request: R,
        progress: OnProgress,
        stop: &CancellationToken,
    ) -> Result<R::Output, Failure>
    where
        dyn StageRunner: RunStage<R>,
    {
        let stop = stop.child_token();
        let stage = self.stages.run(request, progress, stop.clone());
        tokio::select! {
            biased;
            outcome = stage => outcome,
            never = self.renew(job_id, lease, &stop) => match never {},
        }
    }

    async fn renew(&self, job_id: &JobId, lease: &Lease, stop: &CancellationToken) -> std::convert::Infallible {
        loop {
            tokio::time::sleep((self.settings.lease_ttl / 3).max(MIN_RENEWAL)).await;
            match self.store.hold(lease.task.clone(), lease.owner.clone(), self.settings.lease_ttl).await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(%job_id, task = lease.task, "lease went to another worker, going on"),
                Err(failure) => tracing::warn!(%job_id, task = lease.task, %failure, "lease was not renewed, going on"),
            }
            let checkpoint = self.store.read(job_id.clone()).await.ok().flatten();
            if checkpoint.is_some_and(|checkpoint| checkpoint.cancel_requested || checkpoint.status.is_terminal()) {
                stop.cancel();
            }
        }
    }
}

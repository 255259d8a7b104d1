//! Runs a stage under the lease of its task. The renewal of the lease also looks whether the job still wants the work, in
//! case a cancellation passed this worker by.

use std::convert::Infallible;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::job_state::JobStates;
use super::lease::Lease;
use crate::domain::failure::Failure;
use crate::domain::job::JobId;
use crate::ports::{OnProgress, RunStage, StageRequest, StageRunner};

/// Runs stages.
#[derive(Clone)]
pub(super) struct Stages {
    runner: Arc<dyn StageRunner>,
    states: JobStates,
}

impl Stages {
    pub fn new(runner: Arc<dyn StageRunner>, states: JobStates) -> Self {
        Self { runner, states }
    }

    /// Runs a stage under a lease that is renewed while it runs.
    pub async fn run<R: StageRequest>(
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
        let stage = self.runner.run(request, progress, stop.clone());
        tokio::select! {
            biased;
            outcome = stage => outcome,
            never = self.renew(job_id, lease, &stop) => match never {},
        }
    }

    async fn renew(&self, job_id: &JobId, lease: &Lease, stop: &CancellationToken) -> Infallible {
        loop {
            tokio::time::sleep(lease.renewal_interval()).await;
            match lease.renew().await {
                Ok(true) => {}
                Ok(false) => tracing::warn!(%job_id, task = lease.task(), "lease went to another worker, going on"),
                Err(failure) => {
                    tracing::warn!(%job_id, task = lease.task(), %failure, "lease was not renewed, going on");
                }
            }
            let checkpoint = self.states.read(job_id).await.ok().flatten();
            if checkpoint.is_some_and(|checkpoint| checkpoint.cancel_requested || checkpoint.status.is_terminal()) {
                stop.cancel();
            }
        }
    }
}

//! The parts of plans: the store has their records, the work storage has the files and a record beside each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::checkpoint::PartRecord;
use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::domain::unit::UnitId;
use crate::ports::{Clock, PartStore, Recorded, WorkStorage};

/// The parts.
#[derive(Clone)]
pub(super) struct Parts {
    store: Arc<dyn PartStore>,
    work: Arc<dyn WorkStorage>,
    clock: Arc<dyn Clock>,
}

impl Parts {
    pub fn new(store: Arc<dyn PartStore>, work: Arc<dyn WorkStorage>, clock: Arc<dyn Clock>) -> Self {
        Self { store, work, clock }
    }

    /// All recorded parts of a plan.
    pub async fn all(&self, plan: &PinnedPlan) -> Result<BTreeMap<UnitId, PartRecord>, Failure> {
        self.store.parts(plan.job.job_id.clone(), plan.fingerprint().clone()).await
    }

    /// Units of a plan that have a part.
    pub async fn count(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Result<u32, Failure> {
        let parts = self.store.parts(job_id.clone(), fingerprint.clone()).await?;
        Ok(u32::try_from(parts.len()).unwrap_or(u32::MAX))
    }

    pub async fn is_recorded(&self, job_id: &JobId, fingerprint: &Fingerprint, unit: UnitId) -> Result<bool, Failure> {
        Ok(self.store.part(job_id.clone(), fingerprint.clone(), unit).await?.is_some())
    }

    /// Records a part unless one is recorded for its unit.
    pub async fn record(
        &self,
        job_id: &JobId,
        fingerprint: &Fingerprint,
        part: PartRecord,
    ) -> Result<Recorded, Failure> {
        self.store.record(job_id.clone(), fingerprint.clone(), part, self.clock.now()).await
    }

    /// Records the parts of the work storage that the store does not know; returns how many units have a part then.
    pub async fn restore(&self, plan: &PinnedPlan) -> Result<u32, Failure> {
        let (job_id, fingerprint) = (&plan.job.job_id, plan.fingerprint());
        let known = self.store.parts(job_id.clone(), fingerprint.clone()).await?;
        let stored = self.work.recorded_parts(job_id.clone(), fingerprint.clone()).await?;
        let mut units_done = u32::try_from(known.len()).unwrap_or(u32::MAX);
        let missing = |part: &PartRecord| !known.contains_key(&part.unit);
        for part in stored.into_iter().filter(missing) {
            let unit = part.unit;
            units_done = self.record(job_id, fingerprint, part).await?.units_done;
            tracing::info!(%job_id, %unit, "part of the work storage was recorded again");
        }
        Ok(units_done)
    }

    /// Forgets the record of a part whose file is lost or damaged.
    pub async fn forget(&self, plan: &PinnedPlan, unit: UnitId) -> Result<(), Failure> {
        self.store.forget(plan.job.job_id.clone(), plan.fingerprint().clone(), unit).await
    }

    /// Forgets a part that is there and cannot be used.
    pub async fn discard(&self, plan: &PinnedPlan, unit: UnitId) -> Result<(), Failure> {
        self.work.discard(plan.job.job_id.clone(), plan.fingerprint().clone(), unit).await?;
        self.forget(plan, unit).await
    }
}

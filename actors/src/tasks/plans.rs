//! The plans of jobs. Those that were used recently are kept in memory, so that not every chunk reads its plan from the work
//! storage; a plan never changes under its fingerprint. Bounded: the oldest leaves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::failure::Failure;
use crate::domain::fingerprint::Fingerprint;
use crate::domain::job::JobId;
use crate::domain::plan::PinnedPlan;
use crate::ports::WorkStorage;

/// Plans kept: more jobs than a worker meets in a minute. A plan of a long film is a few hundred kB.
const MAX_PLANS: usize = 32;

/// Reads plans. Clones share what is kept.
#[derive(Clone)]
pub(super) struct Plans {
    work: Arc<dyn WorkStorage>,
    recent: RecentPlans,
}

impl Plans {
    pub fn new(work: Arc<dyn WorkStorage>) -> Self {
        Self { work, recent: RecentPlans::default() }
    }

    /// The plan of a job, kept for the next task.
    pub async fn read(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Result<Option<Arc<PinnedPlan>>, Failure> {
        if let Some(plan) = self.recent(job_id, fingerprint) {
            return Ok(Some(plan));
        }
        let plan = self.stored(job_id, fingerprint).await?;
        if let Some(plan) = &plan {
            self.keep(plan);
        }
        Ok(plan)
    }

    /// The plan of a job as the work storage has it now.
    pub async fn stored(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Result<Option<Arc<PinnedPlan>>, Failure> {
        self.work.plan(job_id.clone(), fingerprint.clone()).await
    }

    /// A plan that was kept.
    pub fn recent(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Option<Arc<PinnedPlan>> {
        self.recent.get(job_id, fingerprint)
    }

    pub fn keep(&self, plan: &Arc<PinnedPlan>) {
        self.recent.keep(plan);
    }

    /// Drops the plans of a job that ended.
    pub fn forget(&self, job_id: &JobId) {
        self.recent.forget(job_id);
    }
}

/// Plans by job and fingerprint.
#[derive(Clone, Default)]
struct RecentPlans {
    known: Arc<Mutex<VecDeque<Arc<PinnedPlan>>>>,
}

impl RecentPlans {
    fn get(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Option<Arc<PinnedPlan>> {
        let known = self.lock();
        known.iter().find(|plan| plan.job.job_id == *job_id && plan.fingerprint() == fingerprint).cloned()
    }

    fn keep(&self, plan: &Arc<PinnedPlan>) {
        if self.get(&plan.job.job_id, plan.fingerprint()).is_some() {
            return;
        }
        let mut known = self.lock();
        known.push_back(plan.clone());
        while known.len() > MAX_PLANS {
            known.pop_front();
        }
    }

    fn forget(&self, job_id: &JobId) {
        self.lock().retain(|plan| plan.job.job_id != *job_id);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<PinnedPlan>>> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::plan::testing::plan_of;

    #[test]
    fn the_oldest_plans_leave_and_those_of_an_ended_job_too() {
        let plans = RecentPlans::default();
        let all: Vec<_> = (1..).take(MAX_PLANS + 1).map(|chunks| Arc::new(plan_of(chunks, 1, false))).collect();
        for plan in &all {
            plans.keep(plan);
            plans.keep(plan);
        }
        let known = |plan: &PinnedPlan| plans.get(&plan.job.job_id, plan.fingerprint()).is_some();
        assert!(!known(&all[0]) && known(&all[1]));
        plans.forget(&all[0].job.job_id);
        assert!(!known(&all[1]));
    }
}

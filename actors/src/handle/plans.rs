//! The plans that were used lately, so that not every chunk reads its plan from the work storage.
//! A plan never changes under its fingerprint. Bounded: the oldest leaves.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::job::JobId;
use crate::plan::{Fingerprint, Plan};

/// Plans kept: more jobs than a worker meets in a minute. A plan of a long film is a few hundred kB.
const MAX_PLANS: usize = 32;

type Known = (JobId, Fingerprint, Arc<Plan>);

/// Plans by job and fingerprint. Clones share them.
#[derive(Clone, Default)]
pub struct Plans {
    known: Arc<Mutex<VecDeque<Known>>>,
}

impl Plans {
    /// A plan that was kept.
    pub fn get(&self, job_id: &JobId, fingerprint: &Fingerprint) -> Option<Arc<Plan>> {
        let known = self.lock();
        let found = known.iter().find(|(id, print, _)| id == job_id && print == fingerprint);
        found.map(|(_, _, plan)| plan.clone())
    }

    /// Keeps a plan.
    pub fn keep(&self, fingerprint: &Fingerprint, plan: &Arc<Plan>) {
        let job_id = &plan.job.job_id;
        if self.get(job_id, fingerprint).is_some() {
            return;
        }
        let mut known = self.lock();
        known.push_back((job_id.clone(), fingerprint.clone(), plan.clone()));
        while known.len() > MAX_PLANS {
            known.pop_front();
        }
    }

    /// Forgets the plans of a job that ended.
    pub fn forget(&self, job_id: &JobId) {
        self.lock().retain(|(id, _, _)| id != job_id);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Known>> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::plan_of;

    #[test]
    fn the_oldest_plans_leave_and_those_of_an_ended_job_too() {
        let plans = Plans::default();
        let plan = Arc::new(plan_of(1, 1, false));
        let print = |index: usize| Fingerprint(index.to_string());
        for index in 0..=MAX_PLANS {
            plans.keep(&print(index), &plan);
            plans.keep(&print(index), &plan);
        }
        assert!(plans.get(&plan.job.job_id, &print(0)).is_none());
        assert!(plans.get(&plan.job.job_id, &print(1)).is_some());
        plans.forget(&plan.job.job_id);
        assert!(plans.get(&plan.job.job_id, &print(1)).is_none());
    }
}

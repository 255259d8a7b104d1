//! Since when jobs wait for a GPU on this worker. In memory only: a worker that starts again begins to count anew.
//! (The wait before the split is counted from the checkpoint.) Bounded: the oldest leave.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::job::JobId;

/// Jobs that are remembered; more do not wait on one worker, whose credits end long before.
const MAX_WAITS: usize = 1024;

/// Clones share it.
#[derive(Clone, Default)]
pub(super) struct Waits {
    since: Arc<Mutex<VecDeque<(JobId, Instant)>>>,
}

impl Waits {
    /// How long a job has waited, from the first call.
    pub fn waited(&self, job_id: &JobId) -> Duration {
        let mut since = self.lock();
        if let Some((_, began)) = since.iter().find(|(known, _)| known == job_id) {
            return began.elapsed();
        }
        since.push_back((job_id.clone(), Instant::now()));
        while since.len() > MAX_WAITS {
            since.pop_front();
        }
        Duration::ZERO
    }

    /// It waits no more.
    pub fn forget(&self, job_id: &JobId) {
        self.lock().retain(|(known, _)| known != job_id);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(JobId, Instant)>> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Cancellations that came before their job: the control topic and the topic of jobs have no common order.
//! Kept in memory only: a worker that starts later does not know of them. Bounded: the oldest leave,
//! and a day later another job may have the id.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::job::JobId;

/// Cancellations that are remembered; each is at most 128 bytes.
const MAX_CANCELS: usize = 1024;

/// How long a cancellation is remembered.
const CANCEL_TTL: Duration = Duration::from_secs(24 * 3600);

type Waiting = VecDeque<(JobId, Instant)>;

/// Jobs that are cancelled when they come. Clones share them.
#[derive(Clone, Default)]
pub(super) struct EarlyCancels {
    jobs: Arc<Mutex<Waiting>>,
}

impl EarlyCancels {
    /// The job is to be cancelled when it comes.
    pub fn remember(&self, job_id: &JobId) {
        let mut jobs = self.lock();
        jobs.retain(|(known, _)| known != job_id);
        jobs.push_back((job_id.clone(), Instant::now()));
        while jobs.len() > MAX_CANCELS {
            jobs.pop_front();
        }
    }

    /// Whether the job is to be cancelled; asked once.
    pub fn take(&self, job_id: &JobId) -> bool {
        let mut jobs = self.lock();
        jobs.retain(|(_, since)| since.elapsed() < CANCEL_TTL);
        let before = jobs.len();
        jobs.retain(|(known, _)| known != job_id);
        jobs.len() < before
    }

    /// The job is known by now.
    pub fn forget(&self, job_id: &JobId) {
        self.take(job_id);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_cancellation_is_taken_once_and_the_oldest_leave() {
        let cancels = EarlyCancels::default();
        let id = |index: usize| format!("job-{index}").parse::<JobId>().expect("an id");
        for index in 0..=MAX_CANCELS {
            cancels.remember(&id(index));
        }
        assert!(!cancels.take(&id(0)));
        assert!(cancels.take(&id(1)) && !cancels.take(&id(1)));
        cancels.forget(&id(2));
        assert!(!cancels.take(&id(2)));
        tokio::time::pause();
        tokio::time::advance(CANCEL_TTL).await;
        assert!(!cancels.take(&id(3)));
    }
}

//! Warnings of a full storage: every task of the worker meets it again and again, for hours perhaps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::failure::Failure;
use crate::domain::job::JobId;

/// From one warning to the next: an operator who looks at the log sees it, and it fills no disk.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Warns of it now and then. Clones share the time of the last warning.
#[derive(Clone, Default)]
pub(super) struct FullStorage {
    warned_at: Arc<Mutex<Option<Instant>>>,
}

impl FullStorage {
    /// Work of `job_id` is deferred because of `failure`, which says what is lacking and what to do: space in a storage, or a worker of a newer release.
    pub fn warn(&self, job_id: &JobId, failure: &Failure) {
        if self.is_due() {
            tracing::warn!(%job_id, %failure, "work waits for its surroundings and goes on by itself");
        } else {
            tracing::debug!(%job_id, %failure, "work waits for its surroundings");
        }
    }

    fn is_due(&self) -> bool {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        let mut warned_at = self.warned_at.lock().unwrap_or_else(PoisonError::into_inner);
        let due = warned_at.is_none_or(|warned_at| warned_at.elapsed() >= WARNING_INTERVAL);
        if due {
            *warned_at = Some(Instant::now());
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix::test]
    async fn a_full_storage_is_warned_of_once_a_minute() {
        tokio::time::pause();
        let full = FullStorage::default();
        let due: Vec<bool> = (0..3).map(|_| full.clone().is_due()).collect();
        assert_eq!(due, [true, false, false]);
        tokio::time::advance(WARNING_INTERVAL).await;
        assert!(full.is_due());
    }
}

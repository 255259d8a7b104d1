//! The space that is left in the work storage: a worker that has none is not ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::root::Storage;

/// With less free space than this a worker is not ready: about one chunk of a source of 50 Mbit/s, so that what begins
/// now would hardly come to its end.
pub const MIN_FREE_BYTES: u64 = 64 << 20;
/// How often the space is looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// What was free when it was last looked at: asking it never waits for a storage that hangs. Clones share it.
#[derive(Clone, Debug)]
pub struct Space(Arc<AtomicU64>);

impl Default for Space {
    /// Enough, until somebody looks.
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Space {
    /// Whether there is less than [`MIN_FREE_BYTES`].
    pub fn is_short(&self) -> bool {
        self.0.load(Ordering::Relaxed) < MIN_FREE_BYTES
    }

    fn note(&self, free_bytes: u64) {
        self.0.store(free_bytes, Ordering::Relaxed);
    }
}

impl Storage {
    /// Looks at the free space of the work storage now and then, and writes it to `space`. Ends when it is dropped.
    pub async fn watch_space(self, space: Space) {
        loop {
            match self.work().free_bytes().await {
                Ok(bytes) => space.note(bytes.unwrap_or(u64::MAX)),
                Err(failure) => tracing::debug!(%failure, "free space of the work storage is not known"),
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_has_enough_space_until_it_is_seen_to_have_none() {
        let space = Space::default();
        assert!(!space.is_short());
        space.note(MIN_FREE_BYTES - 1);
        assert!(space.clone().is_short());
        space.note(MIN_FREE_BYTES);
        assert!(!space.is_short());
    }
}

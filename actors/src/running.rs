//! The keys of the work that runs on this worker: none of them runs twice at the same time. Kept here and nowhere else,
//! outside of the actors: what a consumer has started goes on in the pool when that consumer dies, and comes again to the
//! next one.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct RunningKeys {
    keys: Arc<Mutex<HashSet<String>>>,
}

/// Lets work run; travels with it. Its key is free again when it is dropped.
#[derive(Debug)]
pub struct Claim {
    keys: RunningKeys,
    key: Option<String>,
}

impl RunningKeys {
    /// Claims `key`; `None` where it runs. Work without a key may always run.
    pub fn claim(&self, key: Option<String>) -> Option<Claim> {
        let free = key.as_ref().is_none_or(|key| self.lock().insert(key.clone()));
        free.then(|| Claim { keys: self.clone(), key })
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.keys.lock().remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_free_again_when_its_work_is_gone() {
        let keys = RunningKeys::default();
        let first = keys.claim(Some("movie/v00001".into()));
        assert!(first.is_some() && keys.clone().claim(Some("movie/v00001".into())).is_none());
        assert!(keys.claim(Some("movie/v00002".into())).is_some() && keys.claim(None).is_some());
        drop(first);
        assert!(keys.claim(Some("movie/v00001".into())).is_some());
    }
}

//! The versions of this worker's encoders, as its last probe saw them. Written by the capability actor, asked by the
//! handlers; outlives both.

use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::plan::EncoderVersions;

/// The versions. Clones share them.
#[derive(Clone, Default)]
pub struct OwnVersions {
    seen: Arc<Mutex<EncoderVersions>>,
}

impl OwnVersions {
    /// Notes what a probe saw.
    pub fn set(&self, seen: &EncoderVersions) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone_from(seen);
    }

    /// What was seen last.
    pub fn get(&self) -> EncoderVersions {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

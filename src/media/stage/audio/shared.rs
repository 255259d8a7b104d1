//! What the threads of the audio pipeline share with its owner.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::domain::failure::Failure;

use crate::media::pipeline::Gate;

/// Whether it has started, whether it moves, and what went wrong.
#[derive(Debug, Default)]
pub struct Shared {
    gate: Gate,
    moved: AtomicU64,
    failure: Mutex<Option<Failure>>,
}

impl Shared {
    /// Waits until the pipeline has started: the sink of the decoder waits for the encoder, whose sink waits for the start.
    pub fn pass(&self) {
        self.gate.pass();
    }

    /// Lets all that wait go on.
    pub fn open(&self) {
        self.gate.open();
    }

    /// Changes with everything that goes through.
    pub fn movement(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// Something went through.
    pub fn moved(&self) {
        self.moved.fetch_add(1, Ordering::Relaxed);
    }

    /// The first failure counts.
    pub fn fail(&self, failure: Failure) {
        lock(&self.failure).get_or_insert(failure);
    }

    /// What went wrong.
    pub fn failure(&self) -> Option<Failure> {
        lock(&self.failure).clone()
    }
}

/// What another thread left behind when it panicked is as good as it was.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

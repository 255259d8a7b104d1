//! Leases of encoding sessions: a device refuses the session that is too many, and a chunk would fail by it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::gauge;

use crate::metrics as names;

/// The sessions of this worker. Clones share them.
#[derive(Clone)]
pub(super) struct Sessions {
    /// What the operator allows.
    set: Option<u32>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// What the devices allow.
    found: Option<u32>,
    used: u32,
}

/// Answer to `Gpu::take`.
pub enum Taken {
    /// The plan may be encoded as it is, as long as this is held.
    Session(Session),
    /// All sessions are in use: look again in a moment.
    Full,
    /// Not here, as this sentence says.
    Cannot(String),
}

/// Sessions in use; free again when dropped.
pub struct Session {
    sessions: Sessions,
    count: u32,
}

impl Sessions {
    pub fn new(set: Option<u32>) -> Self {
        gauge!(names::GPU_SESSIONS).set(0.0);
        Self { set, state: Arc::default() }
    }

    /// The devices allow `most`.
    pub fn found(&self, most: Option<u32>) {
        self.lock().found = most;
    }

    /// Takes `count` sessions together: a chunk that had some of them would wait for the rest for ever.
    pub fn take(&self, count: u32) -> Taken {
        let mut state = self.lock();
        let most = self.set.or(state.found).unwrap_or(u32::MAX);
        if count > most {
            return Taken::Cannot(format!("a chunk needs {count} sessions at a time, and there are {most}"));
        }
        if count > most - state.used.min(most) {
            return Taken::Full;
        }
        state.used += count;
        gauge!(names::GPU_SESSIONS).set(f64::from(state.used));
        Taken::Session(Session { sessions: self.clone(), count })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whole after every statement, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        state.used = state.used.saturating_sub(self.count);
        gauge!(names::GPU_SESSIONS).set(f64::from(state.used));
    }
}

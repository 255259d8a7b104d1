//! Wakes a thread that has to serve librdkafka and its own commands: both end up here.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Commands for one thread. Never lock it around a call into librdkafka, whose callbacks wake it.
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    commands: Vec<T>,
    woken: bool,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { commands: Vec::new(), woken: false }), changed: Condvar::new() }
    }

    /// Puts a command in and wakes the thread.
    pub(super) fn push(&self, command: T) {
        let mut state = self.lock();
        state.commands.push(command);
        state.woken = true;
        self.changed.notify_one();
    }

    /// Wakes the thread.
    pub(super) fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_one();
    }

    /// Waits for a command or a wake-up, at most for `timeout`, and takes all commands in their order.
    pub(super) fn wait(&self, timeout: Duration) -> Vec<T> {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, timeout, |state| !state.woken);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.woken = false;
        std::mem::take(&mut state.commands)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn a_command_from_another_thread_ends_the_wait() {
        let inbox = Arc::new(Inbox::new());
        let sender = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || sender.push(7));
        let began_at = Instant::now();
        assert_eq!(inbox.wait(Duration::from_secs(60)), [7]);
        assert!(began_at.elapsed() < Duration::from_secs(30));
        thread.join().expect("the sender");
    }

    #[test]
    fn a_wake_up_before_the_wait_is_not_lost_and_counts_once() {
        let inbox = Inbox::<u8>::new();
        inbox.wake();
        let began_at = Instant::now();
        assert!(inbox.wait(Duration::from_secs(60)).is_empty());
        assert!(began_at.elapsed() < Duration::from_secs(30));
        assert!(inbox.wait(Duration::ZERO).is_empty());
    }
}

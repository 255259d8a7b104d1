//! The ladder by which a stage process is stopped: its standard input is closed (done by the caller), then SIGTERM,
//! then SIGKILL, each with its deadline. A process that stands still in the kernel is left to it.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::timeout;

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StopSequence {
    /// From the end of standard input to SIGTERM.
    pub(super) end_of_input: Duration,
    /// From SIGTERM to SIGKILL.
    pub(super) terminate: Duration,
}

/// A process cannot refuse SIGKILL, but the kernel may hold it in a driver.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

impl StopSequence {
    /// The worker has time: the stage has told its result, or hangs anyway.
    pub(super) const PATIENT: Self = Self { end_of_input: Duration::from_secs(2), terminate: Duration::from_secs(2) };
    /// Somebody waits for the end: shutdown or cancel.
    pub(super) const QUICK: Self =
        Self { end_of_input: Duration::from_millis(500), terminate: Duration::from_millis(500) };

    /// Stops and reaps `child`, whose standard input is closed. `None` where it did not end by itself.
    pub(super) async fn stop(self, child: &mut Child) -> Option<ExitStatus> {
        if let Some(status) = ended(child, self.end_of_input).await {
            return Some(status);
        }
        terminate(child);
        if ended(child, self.terminate).await.is_some() {
            return None;
        }
        // Fails only where the process has ended already.
        let _ = child.start_kill();
        if ended(child, KILL_TIMEOUT).await.is_none() {
            tracing::error!(pid = child.id(), "a stage process does not end after SIGKILL, look at its drivers");
        }
        None
    }
}

async fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    timeout(limit, child.wait()).await.ok()?.ok()
}

fn terminate(child: &Child) {
    // The id is there as long as the process was not reaped, so it is no other process by now.
    if let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
        // SAFETY: a call without pointers.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

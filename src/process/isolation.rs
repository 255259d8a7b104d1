//! What a stage process does to itself before it works, so that it can harm nobody and outlives nobody.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd as _;

/// Added to the nice value: encoders take what is left, so that the worker's threads always get a CPU at once.
const NICE: libc::c_int = 5;
/// Added to the kernel's score: where memory runs out, a stage is killed before the worker.
const OOM_SCORE: i32 = 300;
const MAX_OOM_SCORE: i32 = 1000;

/// Takes standard output for events alone: native libraries that print go to standard error from now on.
///
/// # Errors
/// Where the descriptors are not open.
pub(super) fn take_stdout() -> io::Result<File> {
    // SAFETY: plain descriptor calls; the new descriptor belongs to nobody else and is owned by the file.
    unsafe {
        let events = libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 3);
        if events < 0 || libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(events))
    }
}

/// Asks the kernel to kill this process when the thread that started it ends.
///
/// # Errors
/// Where the parent was gone before the kernel could be asked.
pub(super) fn die_with_parent() -> io::Result<()> {
    // SAFETY: calls without pointers.
    unsafe {
        let parent = libc::getppid();
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(io::Error::last_os_error());
        }
        if libc::getppid() != parent {
            return Err(io::Error::other("the worker is gone"));
        }
    }
    Ok(())
}

/// Steps behind the worker in the queues for CPU time and memory. Best effort: a container may forbid it.
pub(super) fn step_back() {
    // SAFETY: a call without pointers. Its answer is the new nice value, which does not matter.
    unsafe { libc::nice(NICE) };
    const SCORE: &str = "/proc/self/oom_score_adj";
    let now: i32 = std::fs::read_to_string(SCORE).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    if let Err(error) = std::fs::write(SCORE, (now + OOM_SCORE).min(MAX_OOM_SCORE).to_string()) {
        tracing::debug!(%error, "cannot raise the out-of-memory score");
    }
}

/// Ends the process at once, without the exit handlers of native libraries.
pub(super) fn leave(status: u8) -> ! {
    // SAFETY: does not return; nothing of this process is used after it.
    unsafe { libc::_exit(libc::c_int::from(status)) }
}

//! How stage processes end, and what each end means.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use actors::domain::failure::{DeviceFault, Failure};
use actors::metrics::CHILD_EXITS_TOTAL;

/// Label `reason` of the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Told a result.
    Done,
    /// Told a failure.
    Failed,
    /// A signal of the process itself, such as SIGSEGV.
    Crashed,
    /// SIGKILL from somebody else.
    Killed,
    /// Another signal from somebody else.
    Signalled,
    /// Ended without a result.
    Exited,
    /// Told something that is no event.
    Garbage,
    /// Did not move.
    Stalled,
    /// Stopped on request.
    Stopped,
    /// Nobody waits for it any more.
    Dropped,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Crashed => "crashed",
            Self::Killed => "killed",
            Self::Signalled => "signalled",
            Self::Exited => "exited",
            Self::Garbage => "garbage",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
            Self::Dropped => "dropped",
        }
    }
}

/// Counts the end of one process, also where its future is dropped.
#[derive(Debug)]
pub(super) struct ExitCount(Reason);

impl ExitCount {
    pub(super) const fn new() -> Self {
        Self(Reason::Dropped)
    }

    pub(super) const fn is(&mut self, reason: Reason) {
        self.0 = reason;
    }
}

impl Drop for ExitCount {
    fn drop(&mut self) {
        metrics::counter!(CHILD_EXITS_TOTAL, "reason" => self.0.as_str()).increment(1);
    }
}

/// What it means that the `stage` process ended with `status` and without a result. `last_words` is the end of its log.
pub(super) fn without_result(
    stage: &str,
    status: ExitStatus,
    media_seconds: f64,
    last_words: &str,
) -> (Reason, Failure) {
    let at = format!("at {media_seconds:.1} s of media");
    let (reason, what) = match (status.signal(), status.code()) {
        (Some(libc::SIGKILL), _) => {
            (Reason::Killed, format!("was killed {at}, perhaps because memory ran out; give the worker more of it"))
        }
        (Some(signal), _) => match name_of_crash(signal) {
            Some(name) => (Reason::Crashed, format!("crashed with {name} {at}")),
            None => (Reason::Signalled, format!("was ended by signal {signal} {at}")),
        },
        (None, code) => {
            let code = code.map_or_else(|| "an unknown status".into(), |code| format!("status {code}"));
            (Reason::Exited, format!("ended with {code} and without a result {at}"))
        }
    };
    let words = if last_words.is_empty() { String::new() } else { format!("; its last words: {last_words}") };
    (reason, Failure::retryable(format!("the {stage} stage {what}{words}")))
}

/// Whose fault it is that a process ended so in which the native code of a device ran: a driver hangs and crashes like any
/// library. A process that was killed from outside, or told its failure itself, is judged as any other.
pub(super) fn of_device(reason: Reason, failure: Failure) -> Failure {
    let fault = match reason {
        Reason::Stalled => DeviceFault::Hang,
        Reason::Crashed | Reason::Exited | Reason::Garbage => DeviceFault::Other,
        Reason::Done | Reason::Failed | Reason::Killed | Reason::Signalled | Reason::Stopped | Reason::Dropped => {
            return failure;
        }
    };
    Failure::device_fault(fault, failure.message)
}

/// A stage that was given up because it took too long.
pub(super) fn overdue(uses_device: bool, message: String) -> Failure {
    if uses_device { Failure::device_fault(DeviceFault::Hang, message) } else { Failure::retryable(message) }
}

/// Names the signals by which a process itself is at fault.
const fn name_of_crash(signal: i32) -> Option<&'static str> {
    Some(match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actors::domain::failure::FailureClass;

    #[test]
    fn a_crash_or_a_hang_is_the_fault_of_the_device_that_took_part() {
        let of = |reason| of_device(reason, Failure::retryable("the encode stage ended")).fault();
        assert_eq!(of(Reason::Stalled), Some(DeviceFault::Hang));
        assert_eq!(of(Reason::Crashed), Some(DeviceFault::Other));
        assert_eq!(of(Reason::Killed), None, "memory ran out, or somebody wanted it so");
        assert_eq!(of(Reason::Stopped), None);
    }

    #[test]
    fn an_end_without_result_is_named_and_can_be_tried_again() {
        let cases = [
            (libc::SIGSEGV, Reason::Crashed, "crashed with SIGSEGV at 1.5 s of media"),
            (libc::SIGABRT, Reason::Crashed, "crashed with SIGABRT"),
            (libc::SIGKILL, Reason::Killed, "perhaps because memory ran out"),
            (libc::SIGTERM, Reason::Signalled, "ended by signal 15"),
            (0, Reason::Exited, "ended with status 0 and without a result"),
            (7 << 8, Reason::Exited, "ended with status 7"),
        ];
        for (raw, reason, text) in cases {
            let (found, failure) = without_result("encode", ExitStatus::from_raw(raw), 1.5, "x264 [error]: no");
            assert_eq!((found, failure.class), (reason, FailureClass::Retryable));
            assert!(failure.message.contains(text), "{}", failure.message);
            assert!(failure.message.ends_with("its last words: x264 [error]: no"), "{}", failure.message);
        }
    }
}

//! A device that fails when a test wants it. OpenH264 stands for a device there, and the tests set in the environment of
//! a worker:
//!
//! * `TEST_DEVICE_ENCODER=openh264` offers it as a device (read by the probe);
//! * `TEST_DEVICE_FAILS=N:FAULT` lets it fail in the middle of each chunk from number `N` on. `FAULT` is `session_limit`,
//!   `out_of_memory`, `device_lost`, `bad_output`, `other`, `hang` (it stops moving) or `crash` (the process ends).
//!
//! No worker outside the tests has these variables; nothing else reads them.

use actors::domain::failure::{DeviceFault, Failure};

use crate::fault_injection::wanted;

/// The variable.
const FAILS: &str = "TEST_DEVICE_FAILS";
/// Access units that it makes of a chunk before it fails.
const BEFORE: u64 = 5;

/// What the stand-in does with a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StandIn(Option<Strike>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strike {
    Fails(DeviceFault),
    Crashes,
}

impl StandIn {
    /// What the environment wants of chunk `index`.
    ///
    /// # Errors
    /// `permanent` where it cannot be understood.
    pub fn of_environment(index: u32) -> Result<Self, Failure> {
        match wanted(FAILS) {
            Some(text) => {
                parse(&text, index).ok_or_else(|| Failure::permanent(format!("{FAILS}={text} is not N:FAULT")))
            }
            None => Ok(Self::default()),
        }
    }

    /// Called with each access unit, of which `made` came before.
    ///
    /// # Errors
    /// The failure that was wanted, when it is time.
    pub fn fail_at(self, made: u64) -> Result<(), Failure> {
        let Some(fault) = self.0.filter(|_| made == BEFORE) else { return Ok(()) };
        match fault {
            Strike::Crashes => std::process::abort(),
            Strike::Fails(DeviceFault::Hang) => loop {
                std::thread::park();
            },
            Strike::Fails(fault) => Err(Failure::device_fault(fault, "the device failed because a test wants it to")),
        }
    }
}

fn parse(text: &str, index: u32) -> Option<StandIn> {
    let (from, what) = text.split_once(':')?;
    let from: u32 = from.parse().ok()?;
    let fault = match what {
        "session_limit" => Strike::Fails(DeviceFault::SessionLimit),
        "out_of_memory" => Strike::Fails(DeviceFault::OutOfMemory),
        "device_lost" => Strike::Fails(DeviceFault::DeviceLost),
        "hang" => Strike::Fails(DeviceFault::Hang),
        "bad_output" => Strike::Fails(DeviceFault::BadOutput),
        "other" => Strike::Fails(DeviceFault::Other),
        "crash" => Strike::Crashes,
        _ => return None,
    };
    Some(StandIn((index >= from).then_some(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fails_from_the_chunk_on_that_it_was_told_and_after_some_frames() {
        assert_eq!(parse("2:session_limit", 1), Some(StandIn(None)));
        let failing = parse("2:session_limit", 2).expect("understood");
        assert!(failing.fail_at(BEFORE - 1).is_ok());
        assert_eq!(failing.fail_at(BEFORE).expect_err("it fails").fault(), Some(DeviceFault::SessionLimit));
        assert_eq!(parse("2:nonsense", 2), None);
        assert_eq!(parse("session_limit", 2), None);
    }
}

//! An x264 of another version, for tests: `TEST_X264_OPTIONS=deblock=-1,-1` in the environment of a worker is appended to
//! what x264 is told, so that it gives other bytes, and shows up in its version. x264 writes its options into its stream,
//! where a test can tell the two apart.
//!
//! No worker outside the tests has this variable; nothing else reads it.

use crate::fault_injection::wanted;

const OPTIONS: &str = "TEST_X264_OPTIONS";

/// What the environment wants.
pub fn options() -> Option<String> {
    wanted(OPTIONS)
}

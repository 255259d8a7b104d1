//! Reads an output back with GStreamer's demuxer and parsers, without decoding, and compares every access unit with
//! what it was made from: its content, its times, and whether it is a random access point. An output that differs
//! is a failure of ours or of the disk, never of the input: `retryable`.
//!
//! * [`form`]: how packages differ
//! * [`readback`]: the pipeline
//! * [`compare`]: what is expected, one access unit after another

mod compare;
mod form;
mod readback;

use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::checkpoint::Verification;
use actors::domain::failure::Failure;

use crate::media::parts::tracks::Tracks;
use compare::Comparison;
pub use form::Form;

/// Checks the file of this form that was made of `tracks`.
///
/// # Errors
/// `retryable` with the first difference, or where the file cannot be read.
pub fn run(tracks: &Tracks, form: Form) -> Result<Verification, Failure> {
    let comparison = Arc::new(Mutex::new(Comparison::new(tracks, form)));
    readback::run(tracks, form, &comparison)?;
    let comparison = comparison.lock().unwrap_or_else(PoisonError::into_inner);
    comparison.finish().map_err(|difference| {
        let target = tracks.spec.target.display();
        Failure::retryable(format!("{target} is not what was joined: {difference}; assemble it again"))
    })
}

//! The pipelines: split, encode, audio, assemble. Runs in stage processes only.
//!
//! * [`pipeline`]: builds, runs and ends a pipeline; what the bus says becomes our events
//! * [`gdp`]: the files between the stages, exact to the nanosecond
//! * [`codec`]: which element reads or writes a codec
//! * [`split`], [`encode`], [`audio`], [`assemble`], [`verify`]: the stages
//! * [`mp4`]: writes MP4 files
//! * [`probe`], [`trial`]: what really works here
//! * [`device`]: what it means when a GPU fails

pub mod assemble;
pub mod audio;
pub mod codec;
pub mod device;
pub mod encode;
pub mod gdp;
pub mod mp4;
pub mod pipeline;
pub mod probe;
pub mod split;
pub mod trial;
pub mod verify;

use std::path::Path;

use actors::failure::{Failure, FailureClass};
use gstreamer as gst;

use crate::stage::protocol::{StageEvent, StageResult, StageSpec};

/// Prepares GStreamer; calling it again does nothing.
///
/// # Errors
/// `retryable` where GStreamer cannot start at all (its registry or its libraries cannot be read).
pub fn init() -> Result<(), Failure> {
    gst::init()
        .map_err(|error| Failure::retryable(format!("GStreamer does not start: {error}; check its installation")))
}

/// Runs one stage to its end in this process. `emit` is called with progress only, from this thread;
/// the result or the failure is what is returned.
///
/// # Errors
/// What the stage fails with, classified.
pub fn run(spec: StageSpec, emit: &dyn Fn(StageEvent)) -> Result<StageResult, Failure> {
    init()?;
    match spec {
        StageSpec::Split(spec) => split::run(&spec, emit).map(StageResult::Split),
        StageSpec::Encode(spec) => encode::run(&spec, emit).or_else(|failure| blame(&spec.source, failure)),
        StageSpec::Audio(spec) => audio::run(&spec, emit).or_else(|failure| blame(&spec.source, failure)),
        StageSpec::Assemble(spec) => assemble::run(&spec, emit),
        StageSpec::Probe => Ok(probe::run()),
        StageSpec::Devices => Ok(probe::devices()),
        StageSpec::Trial(spec) => trial::run(&spec, emit),
    }
}

/// Whose fault a failed encode is: `source` is read once more from end to end, with its checksums. Whatever came of one
/// that is not whole says nothing of the input.
fn blame(source: &Path, failure: Failure) -> Result<StageResult, Failure> {
    match failure.class {
        FailureClass::Retryable | FailureClass::Permanent => match gdp::check(source) {
            Err(found) if found.class == FailureClass::Retryable => Ok(StageResult::SourceLost { how: found.message }),
            Ok(()) | Err(_) => Err(failure),
        },
        FailureClass::Device | FailureClass::Interrupted => Err(failure),
    }
}

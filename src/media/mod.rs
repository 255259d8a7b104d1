//! The pipelines: split, encode, audio, assemble. Runs in stage processes only.
//!
//! * [`pipeline`]: builds, runs and ends a pipeline; what the bus says becomes our events
//! * [`gdp`]: the files between the stages, exact to the nanosecond
//! * [`codec`]: which element reads or writes a codec
//! * [`split`], [`encode`], [`audio`], [`assemble`], [`verify`]: the stages
//! * [`mp4`]: writes MP4 files
//! * [`probe`]: which encoders really work here

pub mod assemble;
pub mod audio;
pub mod codec;
pub mod encode;
pub mod gdp;
pub mod mp4;
pub mod pipeline;
pub mod probe;
pub mod split;
pub mod verify;

use actors::failure::Failure;
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
        StageSpec::Encode(spec) => encode::run(&spec, emit),
        StageSpec::Audio(spec) => audio::run(&spec, emit),
        StageSpec::Assemble(spec) => assemble::run(&spec, emit),
        StageSpec::Probe => Ok(probe::run()),
    }
}

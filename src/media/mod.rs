//! The pipelines: split, encode, audio, assemble. Runs in stage processes only.
//!
//! * [`pipeline`]: builds, runs and ends a pipeline; what the bus says becomes our events
//! * [`gdp`]: the files between the stages, exact to the nanosecond
//! * [`codec`]: what is known of each codec
//! * [`decoder`]: who decodes on the CPU
//! * [`encoder`]: what is known of each encoder family
//! * [`split`], [`encode`], [`audio`], [`assemble`]: the stages
//! * [`parts`]: what an output is joined from
//! * [`package`]: writes outputs and reads them back; [`mp4`]: the boxes of MP4 files
//! * [`probe`], [`trial`]: what really works here
//! * [`device`]: what it means when a GPU fails

pub mod assemble;
pub mod audio;
pub mod codec;
pub mod decoder;
pub mod device;
pub mod encode;
pub mod encoder;
pub mod gdp;
pub mod mp4;
pub mod package;
pub mod parts;
pub mod pipeline;
pub mod probe;
pub mod split;
pub mod trial;

use std::path::Path;
use std::process::ExitCode;

use actors::failure::{Failure, FailureClass};
use actors::plan::SourceFacts;
use gstreamer as gst;

use crate::stage::protocol::{
    AssembleSpec, AudioSpec, DeviceElements, DevicesSpec, EncodeSpec, Encoded, Joined, ProbeSpec, Probed, SplitSpec,
    Stage, StageSpec, TrialSpec, Tried,
};
use crate::stage::{Child, Progress};

/// Prepares GStreamer; calling it again does nothing.
///
/// # Errors
/// `retryable` where GStreamer cannot start at all (its registry or its libraries cannot be read).
pub fn init() -> Result<(), Failure> {
    gst::init()
        .map_err(|error| Failure::retryable(format!("GStreamer does not start: {error}; check its installation")))
}

/// Carries out a stage to its end in this process, which is one of its own.
pub trait CarryOut: Stage {
    /// `progress` is called from this thread.
    ///
    /// # Errors
    /// What the stage fails with, classified.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Self::Output, Failure>;
}

/// Starts GStreamer and carries out `spec`.
///
/// # Errors
/// As [`CarryOut::carry_out`], and [`init`].
pub fn run<S: CarryOut>(spec: &S, progress: Progress<'_>) -> Result<S::Output, Failure> {
    init()?;
    spec.carry_out(progress)
}

/// Carries out the stage that a stage process is for.
pub fn dispatch(spec: StageSpec, child: &Child) -> ExitCode {
    match spec {
        StageSpec::Split(spec) => child.run(&spec, run),
        StageSpec::Encode(spec) => child.run(&*spec, run),
        StageSpec::Audio(spec) => child.run(&*spec, run),
        StageSpec::Assemble(spec) => child.run(&*spec, run),
        StageSpec::Probe(spec) => child.run(&spec, run),
        StageSpec::Devices(spec) => child.run(&spec, run),
        StageSpec::Trial(spec) => child.run(&spec, run),
    }
}

impl CarryOut for SplitSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<SourceFacts, Failure> {
        split::run(self, progress)
    }
}

impl CarryOut for EncodeSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<Encoded, Failure> {
        encode::run(self, progress).map(Encoded::Files).or_else(|failure| blame(&self.source, failure))
    }
}

impl CarryOut for AudioSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<Encoded, Failure> {
        audio::run(self, progress).map(Encoded::Files).or_else(|failure| blame(&self.source, failure))
    }
}

impl CarryOut for AssembleSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<Joined, Failure> {
        assemble::run(self, progress)
    }
}

impl CarryOut for ProbeSpec {
    fn carry_out(&self, _: Progress<'_>) -> Result<Probed, Failure> {
        Ok(probe::run())
    }
}

impl CarryOut for DevicesSpec {
    fn carry_out(&self, _: Progress<'_>) -> Result<DeviceElements, Failure> {
        Ok(probe::devices())
    }
}

impl CarryOut for TrialSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<Tried, Failure> {
        trial::run(self, progress)
    }
}

/// Whose fault a failed encode is: `source` is read once more from end to end, with its checksums. Whatever came of one
/// that is not whole says nothing of the input.
fn blame(source: &Path, failure: Failure) -> Result<Encoded, Failure> {
    match failure.class {
        FailureClass::Retryable | FailureClass::Permanent => match gdp::check(source) {
            Err(found) if found.class == FailureClass::Retryable => Ok(Encoded::SourceLost(found.message)),
            Ok(()) | Err(_) => Err(failure),
        },
        FailureClass::Device | FailureClass::Interrupted => Err(failure),
    }
}

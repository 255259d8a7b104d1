//! The pipelines, which run in stage processes only.
//!
//! * [`stage`]: split, encode, audio, assemble, verify
//! * [`probe`], [`trial`]: what really works here
//! * [`codec`], [`encoder`], [`package`]: what is known of each codec, encoder family and package
//! * [`parts`]: what an output is joined from; [`mp4`]: the boxes of MP4 files
//! * [`decoder`]: who decodes on the CPU; [`scale`]: the scaler for the usual pictures
//! * [`libav`]: how containers are read
//! * [`ledger`]: what a container itself says there is
//! * [`gdp`]: the files between the stages, exact to the nanosecond
//! * [`device`]: what it means when a GPU fails
//! * [`pipeline`]: builds, runs and ends a pipeline; what the bus says becomes our events
//!
//! A codec, a family or a package is one file and one line in the match of its folder. Nothing imports upwards: stages use all
//! others, packages use parts, parts and encoders use codecs, and these use nothing but [`pipeline`] and [`mp4`].

pub mod carry_out;
pub mod codec;
pub mod decoder;
pub mod device;
pub mod encoder;
pub mod gdp;
pub mod ledger;
pub mod libav;
pub mod mp4;
pub mod package;
pub mod parts;
pub mod pipeline;
pub mod probe;
pub mod scale;
pub mod stage;
pub mod trial;

use std::process::ExitCode;

use actors::domain::failure::Failure;

use crate::process::{Child, Progress};
use crate::protocol::StageSpec;
pub use carry_out::CarryOut;
pub use pipeline::init;

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
        StageSpec::Verify(spec) => child.run(&spec, run),
        StageSpec::Probe(spec) => child.run(&spec, run),
        StageSpec::Devices(spec) => child.run(&spec, run),
        StageSpec::Trial(spec) => child.run(&spec, run),
    }
}

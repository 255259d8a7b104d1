//! Encodes the frames of a chunk into its renditions, decoding once.
//!
//! ```text
//! source ! decoder ─(frames of the window)─► [deinterlace] ! [flip] ! tee ─┬─► queue ! scale ! queue ! encoder ! appsink ─► file
//!                                                                          └─► queue ! scale ! queue ! encoder ! appsink ─► file
//! ```
//!
//! * [`layout`]: what runs on a GPU, and where the pictures cross to it
//! * [`frames`]: those of the window
//! * [`source`]: the chunk source, decoders of devices; [`pictures`]: the decoder of the CPU
//! * [`build`]: the pipeline
//! * [`picture`]: what a picture looks like
//! * [`sets`]: what has to be put into key frames
//! * [`output`]: the files
//!
//! One thread decodes, one scales and one encodes each rendition, so that the last chunk of a film uses more than one core;
//! nothing else holds frames than a few in each queue and the lookahead of the encoders. The same spec gives the same bytes.
//! Frames that cannot be decoded are left out and counted; how many a film may lose is its job's to say. More frames than were
//! planned fail it: correct media come before finished jobs.

mod build;
mod frames;
pub mod layout;
mod output;
mod picture;
mod pictures;
mod sets;
mod source;

use std::sync::Arc;

use actors::domain::failure::{DeviceFault, Failure};
use actors::domain::part::VideoStats;

use super::blame::blame;
use crate::media::carry_out::CarryOut;
use crate::media::device;
use crate::media::encoder;
use crate::media::pipeline::{BusEvent, Pipeline};
use crate::process::Progress;
use crate::protocol::{EncodeSpec, Encoded, EncodedFile, Stage as _};
use frames::Frames;
use output::Output;

impl CarryOut for EncodeSpec {
    fn carry_out(&self, progress: Progress<'_>) -> Result<Encoded<VideoStats>, Failure> {
        let encoded = timed(self, progress).map(|(files, _)| Encoded::Files(files));
        encoded.or_else(|failure| blame(&self.source, failure))
    }
}

/// Encodes `spec.chunk`; gives the frames per second of the first rendition too. `progress` gets the media time that was
/// decoded.
///
/// # Errors
/// `retryable` where the source is damaged or the disk is at fault; `permanent` where the source does not give the frames
/// that the plan says, or an encoder refuses its settings; `device` for whatever goes wrong where a device takes part and
/// may be at fault.
pub fn timed(
    spec: &EncodeSpec,
    progress: Progress<'_>,
) -> Result<(Vec<EncodedFile<VideoStats>>, Option<f64>), Failure> {
    let ear = spec.uses_device().then(device::Ear::open);
    if spec.uses_nvidia() {
        device::wake();
    }
    let encoded = encode(spec, progress);
    encoded.map_err(|failure| {
        let failure = match &ear {
            Some(ear) => ear.judge(failure),
            None => failure,
        };
        let window = &spec.chunk.window;
        // Milliseconds are enough for a reader.
        let (start, end) = (window.start_ns as f64 / 1e9, window.end_ns as f64 / 1e9);
        failure.context(format_args!("chunk {} ({start:.3} s to {end:.3} s)", spec.chunk.index))
    })
}

fn encode(spec: &EncodeSpec, progress: Progress<'_>) -> Result<(Vec<EncodedFile<VideoStats>>, Option<f64>), Failure> {
    let count = spec.renditions.len();
    if count == 0 || spec.targets.len() != count || spec.chunk.rates.len() != count {
        return Err(Failure::permanent("the plan does not give each rendition a rate and a file"));
    }
    encoder::prepare(&spec.renditions);
    let pipeline = Pipeline::new("encode");
    let frames = Frames::new(spec.chunk.window, pipeline.nudge());
    let outputs = build::build(&pipeline, spec, &frames)?;
    let played = play(&pipeline, &frames, &outputs, progress);
    // From here on no thread of the pipeline touches the outputs.
    drop(pipeline);
    let failure = frames.failure().or_else(|| outputs.iter().find_map(|output| output.failure()));
    if let Some(failure) = failure {
        return Err(failure);
    }
    played?;
    let damaged = check(spec, &frames)?;
    let files = outputs.iter().map(|output| output.finish(frames.kept(), damaged)).collect::<Result<_, _>>()?;
    Ok((files, outputs[0].fps()))
}

fn play(pipeline: &Pipeline, frames: &Frames, outputs: &[Arc<Output>], progress: Progress<'_>) -> Result<(), Failure> {
    pipeline.start()?;
    let mut told = 0;
    let movement = || frames.movement() + outputs.iter().map(|output| output.written()).sum::<u64>();
    let mut tick = || {
        let media_ns = frames.media_ns();
        if media_ns > told {
            told = media_ns;
            progress(media_ns);
        }
        frames.failure().is_none() && outputs.iter().all(|output| output.failure().is_none())
    };
    let mut heard = |event| {
        if let BusEvent::Warned(text) = event {
            tracing::warn!(text, "encode goes on");
        }
    };
    pipeline.wait(&movement, &mut tick, &mut heard).map(|_| ())
}

/// Compares what was decoded with what the plan says; gives the frames that are damaged or missing.
fn check(spec: &EncodeSpec, frames: &Frames) -> Result<u32, Failure> {
    let (expected, found) = (spec.chunk.window.frames, frames.kept());
    if frames.corrupted() > 0 {
        tracing::warn!(chunk = spec.chunk.index, frames = frames.corrupted(), "source has damaged frames");
    }
    let missing = if spec.facts.one_frame_per_unit { expected.saturating_sub(found) } else { 0 };
    let wrong = found == 0 || spec.facts.one_frame_per_unit && found > expected;
    if wrong || missing > 0 && spec.device.decoder.is_some() {
        if spec.device.decoder.is_some() {
            let what = format!("the decoder of the device gave {found} frames of {expected}");
            return Err(Failure::device_fault(DeviceFault::BadOutput, what));
        }
        return Err(Failure::permanent(format!(
            "the source has {expected} frames and {found} were decoded; it is damaged, upload it again"
        )));
    }
    if missing > 0 {
        tracing::warn!(chunk = spec.chunk.index, expected, found, "frames of the source cannot be decoded");
    }
    Ok(missing + frames.corrupted())
}

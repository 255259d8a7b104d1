//! Encodes the frames of a chunk into its renditions, decoding once.
//!
//! ```text
//! appsrc ! decoder ─(frames of the window)─► [deinterlace] ! [flip] ! tee ─┬─► queue ! scale ! queue ! encoder ! appsink ─► file
//!                                                                          └─► queue ! scale ! queue ! encoder ! appsink ─► file
//! ```
//!
//! * [`source`]: the chunk source, the decoder, the window
//! * [`picture`]: what a picture looks like
//! * [`scale`]: the scaler for the usual pictures
//! * [`encoder`]: settings of the encoders
//! * [`headers`]: what has to be taken out of key frames
//! * [`output`]: the files
//!
//! One thread decodes, one scales and one encodes each rendition, so that the last chunk of a film uses more than one core;
//! nothing else holds frames than a few in each queue and the lookahead of the encoders. The same spec gives the same bytes.

pub mod encoder;
mod headers;
mod output;
mod picture;
mod scale;
mod source;

use std::sync::Arc;

use actors::failure::Failure;
use actors::job::Rate;
use actors::plan::{EncoderFamily, VideoRendition, Window};
use gstreamer as gst;
use gstreamer::prelude::*;

use super::gdp::GdpReader;
use super::pipeline::{BusEvent, Pipeline};
use crate::stage::protocol::{EncodeSpec, StageEvent, StageResult};
use output::Output;
use picture::Scaler;
use source::Frames;

/// Frames between the decoder and each encoder.
const QUEUE_FRAMES: u32 = 4;

/// Encodes `spec.chunk`. `emit` gets the media time that was decoded.
///
/// # Errors
/// `retryable` where the source is damaged or the disk is at fault; `permanent` where the source does not give the frames
/// that the plan says, or an encoder refuses its settings.
pub fn run(spec: &EncodeSpec, emit: &dyn Fn(StageEvent)) -> Result<StageResult, Failure> {
    encode(spec, emit).map_err(|failure| {
        let window = &spec.chunk.window;
        // Milliseconds are enough for a reader.
        let (start, end) = (window.start_ns as f64 / 1e9, window.end_ns as f64 / 1e9);
        failure.context(format_args!("chunk {} ({start:.3} s to {end:.3} s)", spec.chunk.index))
    })
}

fn encode(spec: &EncodeSpec, emit: &dyn Fn(StageEvent)) -> Result<StageResult, Failure> {
    let count = spec.renditions.len();
    if count == 0 || spec.targets.len() != count || spec.chunk.rates.len() != count {
        return Err(Failure::permanent("the plan does not give each rendition a rate and a file"));
    }
    encoder::settle_memory(&spec.renditions);
    let pipeline = Pipeline::new("encode");
    let frames = Frames::new(spec.chunk.window, pipeline.nudge());
    let outputs = build(&pipeline, spec, &frames)?;
    let played = play(&pipeline, &frames, &outputs, emit);
    // From here on no thread of the pipeline touches the outputs.
    drop(pipeline);
    let failure = frames.failure().or_else(|| outputs.iter().find_map(|output| output.failure()));
    if let Some(failure) = failure {
        return Err(failure);
    }
    played?;
    check(spec, &frames)?;
    let files = outputs.iter().map(|output| output.finish(frames.kept())).collect::<Result<_, _>>()?;
    Ok(StageResult::Encode { files })
}

fn build(pipeline: &Pipeline, spec: &EncodeSpec, frames: &Arc<Frames>) -> Result<Vec<Arc<Output>>, Failure> {
    let tee = pipeline.add("tee")?;
    let mut outputs = Vec::new();
    let mut forms = Vec::new();
    for ((rendition, rate), target) in spec.renditions.iter().zip(&spec.chunk.rates).zip(&spec.targets) {
        let output = Output::new(target.clone(), rendition.encoder, pipeline.nudge());
        forms.push(branch(pipeline, &tee, spec, rendition, *rate, &output)?.target());
        outputs.push(output);
    }
    let on_caps = move |caps: &gst::Caps| {
        for (form, rendition) in &forms {
            if let Some(form) = form.upgrade() {
                Scaler::set_caps(&form, rendition, caps);
            }
        }
    };
    let reader = GdpReader::open(&spec.source)?;
    let decoder = source::build(pipeline, reader, &spec.facts, frames, on_caps)?;
    let tail = picture::upright(pipeline, decoder, &spec.facts)?;
    pipeline.link(&[&tail, &tee])?;
    Ok(outputs)
}

fn branch(
    pipeline: &Pipeline,
    tee: &gst::Element,
    spec: &EncodeSpec,
    rendition: &VideoRendition,
    rate: Rate,
    output: &Arc<Output>,
) -> Result<Scaler, Failure> {
    let (decoded, scaled) = (queue(pipeline)?, queue(pipeline)?);
    let scaler = Scaler::new(pipeline, rendition)?;
    if rendition.encoder == EncoderFamily::X265 {
        scaler.at_a_rate(average_rate(&spec.chunk.window));
    }
    let encoder = encoder::encoder(rendition, rate)?;
    pipeline.put(&encoder)?;
    let sink = output.sink(&encoder::output_caps(rendition.encoder));
    pipeline.put(&sink)?;
    pipeline.link(&[tee, &decoded, &scaler.scale])?;
    pipeline.link(&[&scaler.form, &scaled, &encoder, sink.upcast_ref()])?;
    Ok(scaler)
}

/// Some frames between two threads.
fn queue(pipeline: &Pipeline) -> Result<gst::Element, Failure> {
    let queue = pipeline.add("queue")?;
    queue.set_property("max-size-buffers", QUEUE_FRAMES);
    queue.set_property("max-size-bytes", 0u32);
    queue.set_property("max-size-time", 0u64);
    Ok(queue)
}

/// Frames per second of a window, for an encoder that has to be told one rate though the distances vary.
fn average_rate(window: &Window) -> gst::Fraction {
    let milliseconds = (window.end_ns - window.start_ns.min(window.end_ns)).div_ceil(1_000_000).max(1);
    let frames = i32::try_from(u64::from(window.frames.max(1)) * 1000).unwrap_or(i32::MAX);
    gst::Fraction::new(frames, i32::try_from(milliseconds).unwrap_or(i32::MAX))
}

fn play(
    pipeline: &Pipeline,
    frames: &Frames,
    outputs: &[Arc<Output>],
    emit: &dyn Fn(StageEvent),
) -> Result<(), Failure> {
    pipeline.start()?;
    let mut told = 0;
    let movement = || frames.movement() + outputs.iter().map(|output| output.written()).sum::<u64>();
    let mut tick = || {
        let media_ns = frames.media_ns();
        if media_ns > told {
            told = media_ns;
            emit(StageEvent::Progress { media_ns });
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

/// Compares what was decoded with what the plan says.
fn check(spec: &EncodeSpec, frames: &Frames) -> Result<(), Failure> {
    let (expected, found) = (spec.chunk.window.frames, frames.kept());
    if frames.corrupted() > 0 {
        tracing::warn!(chunk = spec.chunk.index, frames = frames.corrupted(), "source has damaged frames");
    }
    if found == 0 || (spec.facts.one_frame_per_unit && found != expected) {
        return Err(Failure::permanent(format!(
            "the source has {expected} frames and {found} were decoded; it is damaged, upload it again"
        )));
    }
    Ok(())
}

//! Builds the pipeline of an encode as its [`Layout`] says.
//!
//! ```text
//! source ! decoder [! download] ! upright ! tee (home) ─┬─► branches in this memory
//!                                                       └─► queue ! upload or download ! tee (the other) ─► branches there
//! ```

use std::sync::Arc;

use actors::domain::failure::Failure;
use actors::domain::plan::{VideoRendition, Window};
use gstreamer as gst;
use gstreamer::prelude::*;

use super::frames::Frames;
use super::layout::{Branch, Layout, planar};
use super::output::{Origin, Output};
use super::picture::{self, Scaler, in_memory};
use super::source;
use crate::media::codec;
use crate::media::device::StandIn;
use crate::media::encoder::element::{make, output_caps};
use crate::media::encoder::family::Memory;
use crate::media::gdp::GdpReader;
use crate::media::pipeline::Pipeline;
use crate::protocol::EncodeSpec;

/// Frames between the decoder and each encoder.
const QUEUE_FRAMES: u32 = 4;

/// Adds everything to `pipeline`; gives the outputs in the order of the renditions.
///
/// # Errors
/// `permanent` where GStreamer lacks an element or refuses a setting, `retryable` where the source cannot be read.
pub fn build(pipeline: &Pipeline, spec: &EncodeSpec, frames: &Arc<Frames>) -> Result<Vec<Arc<Output>>, Failure> {
    let layout = Layout::new(spec, codec::of_caps(&spec.facts.caps))?;
    let home = pipeline.add("tee")?;
    let away = if layout.crosses() { Some(cross(pipeline, spec, &layout, &home)?) } else { None };
    let mut outputs = Vec::new();
    let mut targets = Vec::new();
    for ((rendition, branch), target) in spec.renditions.iter().zip(&layout.branches).zip(&spec.targets) {
        let origin = Origin {
            family: rendition.encoder,
            reorders: branch.settings.reorders,
            stand_in: StandIn::of_environment(spec.chunk.index)?,
        };
        let output = Output::new(target.clone(), rendition, origin, pipeline.nudge());
        let tee = if branch.scaled_in == layout.home { &home } else { away.as_ref().unwrap_or(&home) };
        targets.push(add_branch(pipeline, tee, &spec.chunk.window, rendition, branch, &output)?.target());
        outputs.push(output);
    }
    let on_caps = move |caps: &gst::Caps| targets.iter().for_each(|target| target.set_caps(caps));
    let reader = GdpReader::open(&spec.source)?;
    let mut tail = source::build(pipeline, reader, layout.decoder, &spec.facts, frames, on_caps)?;
    if layout.decoder.is_some() {
        tail = in_cuda(pipeline, &tail)?;
    }
    if layout.lands() {
        tail = download(pipeline, &tail, planar(spec.facts.bit_depth))?;
    }
    let tail = picture::upright(pipeline, tail, &spec.facts)?;
    pipeline.link(&[&tail, &home])?;
    Ok(outputs)
}

/// Takes the pictures to the memory where they are not, once; gives the tee there.
fn cross(
    pipeline: &Pipeline,
    spec: &EncodeSpec,
    layout: &Layout,
    home: &gst::Element,
) -> Result<gst::Element, Failure> {
    let queue = queue(pipeline)?;
    pipeline.link(&[home, &queue])?;
    let there = match layout.home {
        Memory::System => {
            let upload = pipeline.add("cudaupload")?;
            pipeline.link(&[&queue, &upload])?;
            in_cuda(pipeline, &upload)?
        }
        Memory::Cuda => download(pipeline, &queue, planar(spec.facts.bit_depth))?,
    };
    let tee = pipeline.add("tee")?;
    pipeline.link(&[&there, &tee])?;
    Ok(tee)
}

/// Brings pictures to main memory, in the format that a decoder of the CPU gives: a change of places, not of values.
fn download(pipeline: &Pipeline, tail: &gst::Element, format: &str) -> Result<gst::Element, Failure> {
    let (download, convert) = (pipeline.add("cudadownload")?, pipeline.add("videoconvert")?);
    let form = pipeline.add("capsfilter")?;
    form.set_property("caps", gst::Caps::builder("video/x-raw").field("format", format).build());
    pipeline.link(&[tail, &download, &convert, &form])?;
    Ok(form)
}

/// Left to itself a decoder may give pictures in main memory, and an upload may do nothing.
fn in_cuda(pipeline: &Pipeline, tail: &gst::Element) -> Result<gst::Element, Failure> {
    let form = pipeline.add("capsfilter")?;
    form.set_property("caps", in_memory(Memory::Cuda).build());
    pipeline.link(&[tail, &form])?;
    Ok(form)
}

fn add_branch(
    pipeline: &Pipeline,
    tee: &gst::Element,
    window: &Window,
    rendition: &VideoRendition,
    branch: &Branch,
    output: &Arc<Output>,
) -> Result<Scaler, Failure> {
    let (decoded, scaled) = (queue(pipeline)?, queue(pipeline)?);
    let scaler = Scaler::new(pipeline, branch)?;
    if branch.settings.needs_rate {
        scaler.at_a_rate(average_rate(window));
    }
    let encoder = make(&branch.settings)?;
    pipeline.put(&encoder)?;
    let sink = output.sink(&output_caps(rendition.codec, &branch.settings));
    pipeline.put(&sink)?;
    pipeline.link(&[tee, &decoded, &scaler.scale])?;
    let made = match (branch.scaled_in, branch.encoded_from) {
        (Memory::Cuda, Memory::System) => download(pipeline, &scaler.form, branch.format)?,
        _ => scaler.form.clone(),
    };
    pipeline.link(&[&made, &scaled, &encoder, sink.upcast_ref()])?;
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

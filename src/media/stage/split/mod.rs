//! Cuts an input into chunk sources and an audio source, without decoding it.
//!
//! * [`boxes`]: what the boxes of an MP4 file tell beforehand
//! * [`demux`]: finds demuxer and parsers, hands over the streams
//! * [`select`]: which of them are used, and what is wrong with a file that has none
//! * [`stream`]: times after edit lists
//! * [`access`], [`cutter`], [`cadence`], [`video`]: the video track
//! * [`sound`]: the audio track
//!
//! Everything runs on the demuxer's thread; memory holds eight bytes for each frame of a chunk source.

mod access;
mod boxes;
mod cadence;
mod cutter;
mod demux;
mod select;
mod sound;
mod stream;
mod video;

use std::sync::Arc;

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::plan::SourceFacts;

use crate::media::carry_out::CarryOut;
use crate::media::pipeline::{BusEvent, Gate, Pipeline};
use crate::process::Progress;
use crate::protocol::SplitSpec;
use boxes::Boxes;
use select::Splitter;

/// An input that ends so much earlier than it says is truncated: more than this, and more than 2 % of its length.
const TRUNCATED_NS: u64 = 1_000_000_000;

impl CarryOut for SplitSpec {
    /// Cuts the input. `progress` gets the media time that was read.
    ///
    /// # Errors
    /// `permanent` where the input is at fault, with a sentence that says what was found; `retryable` where the disk is.
    fn carry_out(&self, progress: Progress<'_>) -> Result<SourceFacts, Failure> {
        cut(self, progress).map_err(|failure| failure.context(self.input.display()))
    }
}

fn cut(spec: &SplitSpec, progress: Progress<'_>) -> Result<SourceFacts, Failure> {
    let boxes = check_file(spec)?;
    let pipeline = Pipeline::new("split");
    let splitter = Arc::new(Splitter::new(spec, pipeline.nudge(), boxes.as_ref().and_then(|boxes| boxes.duration_ns)));
    let patches = boxes.as_ref().map(|boxes| boxes.patches.clone()).unwrap_or_default();
    let gate = demux::build(&pipeline, &spec.input, patches, Arc::<Splitter>::clone(&splitter))?;
    let played = play(&pipeline, &gate, &splitter, progress);
    // From here on no thread of the pipeline touches the tracks.
    drop(pipeline);
    if let Some(failure) = splitter.failure() {
        return Err(failure);
    }
    // What ends a damaged file early is an error of the demuxer or a quiet end: the same finding.
    if let Some(failure) = splitter.truncation(TRUNCATED_NS) {
        return Err(failure);
    }
    if let (Err(_), Some(Boxes { cut: Some(cut), .. }))
    | (Ok(()), Some(Boxes { cut: Some(cut), duration_ns: None, .. })) = (&played, &boxes)
    {
        return Err(Failure::permanent(format!(
            "the file ends inside its `{cut}` box; it is truncated, upload it again"
        )));
    }
    match played {
        Err(failure) if failure.class == FailureClass::Permanent => Err(splitter.explain(failure)),
        Err(failure) => Err(failure),
        Ok(()) => splitter.finish(),
    }
}

fn play(pipeline: &Pipeline, gate: &Gate, splitter: &Splitter, progress: Progress<'_>) -> Result<(), Failure> {
    let started = pipeline.start();
    gate.open();
    started?;
    let mut missing = None;
    let mut told = 0;
    let waited = pipeline.wait(
        &|| splitter.movement(),
        &mut || {
            let media_ns = splitter.media_ns();
            if media_ns > told {
                told = media_ns;
                progress(media_ns);
            }
            !splitter.is_over()
        },
        &mut |event| match event {
            BusEvent::Missing(what) => missing = Some(what),
            BusEvent::Warned(text) => tracing::warn!(text, "split goes on"),
            _ => {}
        },
    );
    match (waited, missing) {
        (Ok(_), _) => Ok(()),
        (Err(failure), Some(what)) if failure.class == FailureClass::Permanent => {
            Err(Failure::permanent(format!("{} (there is no {what})", failure.message)))
        }
        (Err(failure), _) => Err(failure),
    }
}

/// Looks at the file before GStreamer does; gives the boxes of an MP4 file.
fn check_file(spec: &SplitSpec) -> Result<Option<Boxes>, Failure> {
    use std::io::ErrorKind;
    let mut file = std::fs::File::open(&spec.input).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => Failure::permanent(format!("cannot be read: {error}")),
        _ => Failure::retryable(format!("cannot be read: {error}")),
    })?;
    let unreadable = |error: std::io::Error| Failure::retryable(format!("cannot be read: {error}"));
    let facts = file.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err(Failure::permanent("is not a file"));
    }
    if facts.len() == 0 {
        return Err(Failure::permanent("the file is empty, upload it again"));
    }
    let boxes = Boxes::read(&mut file).map_err(unreadable)?;
    match &boxes {
        Some(boxes) if !boxes.has_index => Err(Failure::permanent(
            "the file is an MP4 file without its index (the `moov` box); it is truncated, upload it again",
        )),
        _ => Ok(boxes),
    }
}

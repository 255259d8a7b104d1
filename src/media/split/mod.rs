//! Cuts an input into chunk sources and an audio source, without decoding it.
//!
//! * [`demux`]: finds demuxer and parsers, hands over the streams
//! * [`select`]: which of them are used, and what is wrong with a file that has none
//! * [`rewind`]: a way around a fault of the MP4 demuxer
//! * [`stream`]: times after edit lists
//! * [`access`], [`cutter`], [`cadence`], [`video`]: the video track
//! * [`sound`]: the audio track
//!
//! Everything runs on the demuxer's thread; memory holds eight bytes for each frame of a chunk source.

mod access;
mod cadence;
mod cutter;
mod demux;
mod rewind;
mod select;
mod sound;
mod stream;
mod video;

use std::sync::Arc;

use actors::failure::{Failure, FailureClass};
use actors::plan::SourceFacts;

use super::pipeline::{BusEvent, Pipeline};
use crate::stage::protocol::{SplitSpec, StageEvent};
use select::Splitter;

/// An input that ends so much earlier than it says is truncated: more than this, and more than 2 % of its length.
const TRUNCATED_NS: u64 = 1_000_000_000;

/// Cuts `spec.input`. `emit` gets the media time that was read.
///
/// # Errors
/// `permanent` where the input is at fault, with a sentence that says what was found; `retryable` where the disk is.
pub fn run(spec: &SplitSpec, emit: &dyn Fn(StageEvent)) -> Result<SourceFacts, Failure> {
    let name = || spec.input.display();
    check_file(spec)?;
    let pipeline = Pipeline::new("split");
    let splitter = Arc::new(Splitter::new(spec, pipeline.nudge()));
    demux::build(&pipeline, &spec.input, Arc::<Splitter>::clone(&splitter))?;
    let played = play(&pipeline, &splitter, emit);
    // From here on no thread of the pipeline touches the tracks.
    drop(pipeline);
    if let Some(failure) = splitter.failure() {
        return Err(failure.context(name()));
    }
    match played {
        Ok(()) => {}
        // What ends a damaged file early is an error of the demuxer: the same finding as a quiet early end.
        Err(failure) => return Err(splitter.truncation(TRUNCATED_NS).unwrap_or(failure).context(name())),
    }
    if let Some(failure) = splitter.truncation(TRUNCATED_NS) {
        return Err(failure.context(name()));
    }
    splitter.finish().map_err(|failure| failure.context(name()))
}

fn play(pipeline: &Pipeline, splitter: &Splitter, emit: &dyn Fn(StageEvent)) -> Result<(), Failure> {
    pipeline.start()?;
    let mut missing = None;
    let mut told = 0;
    let waited = pipeline.wait(
        &|| splitter.movement(),
        &mut || {
            splitter.rewind();
            let media_ns = splitter.media_ns();
            if media_ns > told {
                told = media_ns;
                emit(StageEvent::Progress { media_ns });
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

fn check_file(spec: &SplitSpec) -> Result<(), Failure> {
    use std::io::ErrorKind;
    let name = spec.input.display();
    match std::fs::File::open(&spec.input).and_then(|file| file.metadata()) {
        Ok(facts) if !facts.is_file() => Err(Failure::permanent(format!("{name} is not a file"))),
        Ok(facts) if facts.len() == 0 => Err(Failure::permanent(format!("{name} is empty, upload it again"))),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            Err(Failure::permanent(format!("{name} cannot be read: {error}")))
        }
        Err(error) => Err(Failure::retryable(format!("{name} cannot be read: {error}"))),
    }
}

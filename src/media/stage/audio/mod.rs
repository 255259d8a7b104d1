//! Encodes a whole audio track in one go: no seams, and one priming for the whole film.
//!
//! ```text
//! source ─► appsrc ─ decoder ─ audioconvert ─ audioresample ─ appsink
//!                                                                │  grid: gaps filled, overlaps dropped, clipped
//!   part ◄─ appsink ─ avenc_aac ─ appsrc ◄───────────────────────┘
//! ```
//!
//! Renditions are made one after another; each decodes the source again, which costs little beside encoding it.
//! Must never take the times of packets from the encoder: packet n begins at start + (1024 n − priming) / rate.

mod chain;
mod grid;
mod shared;
mod sinks;

use std::path::Path;
use std::sync::{Arc, Mutex};

use actors::domain::failure::Failure;
use actors::domain::part::AudioStats;
use actors::domain::plan::{AudioFacts, AudioRendition};

use super::blame::blame;
use crate::media::carry_out::CarryOut;
use crate::media::encoder::avenc_aac::PRIMING_SAMPLES;
use crate::media::gdp::GdpReader;
use crate::media::pipeline::{Pipeline, Wait};
use crate::process::Progress;
use crate::protocol::{EncodeAudioSpec, Encoded, EncodedFile};
use grid::Grid;
use shared::{Shared, lock};
use sinks::{Decoded, Packets};

impl CarryOut for EncodeAudioSpec {
    /// # Errors
    /// `permanent` where the track cannot be decoded, `retryable` where a file cannot be read or written.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Encoded<AudioStats>, Failure> {
        run(self, progress).map(Encoded::Files).or_else(|failure| blame(&self.source, failure))
    }
}

fn run(spec: &EncodeAudioSpec, progress: Progress<'_>) -> Result<Vec<EncodedFile<AudioStats>>, Failure> {
    let renditions = &spec.plan.renditions;
    if renditions.len() != spec.targets.len() {
        let (targets, renditions) = (spec.targets.len(), renditions.len());
        return Err(Failure::permanent(format!("there are {targets} targets for {renditions} audio renditions")));
    }
    let mut files = Vec::new();
    for (index, (rendition, target)) in (0u64..).zip(renditions.iter().zip(&spec.targets)) {
        // Media time of all renditions together, as one track.
        let share = |media_ns: u64| (index * length_ns(&spec.plan.facts) + media_ns) / renditions.len() as u64;
        let progress = |media_ns| progress(share(media_ns));
        files.push(encode(&spec.source, &spec.plan.facts, rendition, target, &progress)?);
    }
    Ok(files)
}

/// Length of what is heard, in nanoseconds.
fn length_ns(facts: &AudioFacts) -> u64 {
    facts.end_ns.saturating_sub(facts.start_ns)
}

fn encode(
    source: &Path,
    facts: &AudioFacts,
    rendition: &AudioRendition,
    target: &Path,
    progress: &dyn Fn(u64),
) -> Result<EncodedFile<AudioStats>, Failure> {
    let mut reader = GdpReader::open(source)?;
    let first = reader.next()?;
    let Some(first) = first else { return Err(Failure::permanent("the audio track has no packet")) };
    let grid = Grid::new(facts.start_ns, facts.end_ns, rendition.sample_rate);
    let samples = grid.total();
    let shared = Arc::new(Shared::default());
    let packets = Arc::new(Mutex::new(Packets::new(target, facts.start_ns, rendition.sample_rate, samples)));
    let decoded = Arc::new(Mutex::new(Decoded::new(grid, rendition.channels)));
    let pipeline = Pipeline::new("audio");
    let input = chain::encoder(&pipeline, rendition, &packets, &shared)?;
    chain::decoder(&pipeline, rendition, first, reader, &decoded, input, &shared)?;
    wait(&pipeline, &shared, &|| {
        let filled = lock(&decoded).filled();
        progress(filled.saturating_mul(1_000_000_000) / u64::from(rendition.sample_rate.max(1)));
    })?;
    progress(length_ns(facts));
    // The threads of the pipeline hold on to the file until it is gone.
    drop(pipeline);
    if !lock(&decoded).has_sound() && samples > 0 {
        return Err(Failure::permanent("nothing of the audio track can be decoded"));
    }
    let (written, packets) = lock(&packets).finish()?;
    let media = AudioStats { packets, samples, priming: PRIMING_SAMPLES };
    Ok(EncodedFile { bytes: written.bytes, sha256: written.sha256, media })
}

fn wait(pipeline: &Pipeline, shared: &Arc<Shared>, progress: &dyn Fn()) -> Result<(), Failure> {
    let started = pipeline.start();
    shared.open();
    started?;
    let movement = || shared.movement();
    let mut tick = || {
        progress();
        shared.failure().is_none()
    };
    let waited = pipeline.wait(&movement, &mut tick, &mut |_| {});
    match (shared.failure(), waited) {
        (Some(failure), _) | (None, Err(failure)) => Err(failure),
        (None, Ok(Wait::Ended)) => Ok(()),
        (None, Ok(Wait::Stopped)) => Err(Failure::retryable("the audio pipeline was stopped")),
    }
}

//! A file whose content is compared, with the tracks that are used of it: chosen anew, from what its container says.

use std::path::Path;

use actors::domain::failure::Failure;

use crate::media::libav::Reader;
use crate::media::libav::choice::Choice;
use crate::media::libav::decoder::Decoder;
use crate::media::libav::film::Film;
use crate::media::libav::track::Track;

/// Opens a file with the tracks that are used of it.
///
/// # Errors
/// `permanent` where there is no video, `retryable` where it cannot be read.
pub fn open(path: &Path, audio: bool) -> Result<(Film, Choice), Failure> {
    let reader = Reader::open(path).map_err(|failure| failure.context(path.display()))?;
    let choice = Choice::new(reader.tracks(), audio)?;
    let used: Vec<_> = std::iter::once(choice.video.0).chain(choice.audio.as_ref().map(|(index, _)| *index)).collect();
    Ok((Film::new(reader, &used)?, choice))
}

/// So many threads decode pictures: the encoders have ended, and a job waits for this alone.
const THREADS: i32 = 2;

/// A decoder for the pictures of a track.
///
/// # Errors
/// As [`Decoder::open`].
pub fn decoder(track: &Track) -> Result<Decoder, Failure> {
    Decoder::open(track.parameters().clone(), THREADS)
}

/// Nanoseconds as a reader wants them.
pub fn seconds(ns: i64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

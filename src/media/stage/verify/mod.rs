//! Compares a finished output with the input, by another way than the one that made it: both files are read from the beginning
//! by libavformat and decoded by libavcodec, and no plan, no chunk source and no part is looked at.
//!
//! * [`file`]: the tracks that are compared
//! * [`listing`]: when frames are shown
//! * [`sampling`]: which pictures of the input are looked at; [`looking`]: the same ones of the output
//! * [`levels`], [`sound`]: level, side and envelope of the whole track
//!
//! What it finds is a sentence that names time and kind; an output for which there is one is never published.

mod file;
mod levels;
mod listing;
mod looking;
mod sampling;
mod sound;

use actors::domain::failure::Failure;

use crate::media::carry_out::CarryOut;
use crate::process::Progress;
use crate::protocol::{Compared, VerifySpec};
use listing::Listing;

impl CarryOut for VerifySpec {
    /// # Errors
    /// `retryable` where the output is not what the input shows, or one of them cannot be read.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Compared, Failure> {
        let wrong = |what: String| {
            let (target, input) = (self.target.display(), self.input.display());
            Failure::retryable(format!("{target} is not what {input} shows: {what}"))
        };
        let output = Listing::of(&self.target, self.audio)?;
        let input = sampling::read(&self.input, self.audio, &output, progress)?;
        listing::compare(&input.listing, &output, self.damaged_frames).map_err(wrong)?;
        let shown = looking::read(&self.target, self.audio, &output, &input, progress)?;
        let pictures = looking::compare(&input, &shown.pictures).map_err(wrong)?;
        if let Some(heard) = &input.levels {
            let made = shown.levels.as_ref().ok_or_else(|| wrong("it has no sound".into()))?;
            sound::compare(heard, made).map_err(wrong)?;
        }
        Ok(Compared { frames: output.times.len() as u64, pictures, sound: input.levels.is_some() })
    }
}

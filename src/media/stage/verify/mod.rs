//! Compares the finished outputs of a job with its input, by another way than the one that made it: both files are read from the beginning
//! by libavformat and decoded by libavcodec, and no plan, no chunk source and no part is looked at.
//!
//! * [`file`]: the tracks that are compared
//! * [`listing`]: when frames are shown
//! * [`sampling`]: which pictures of the input are looked at; [`looking`]: the same ones of the output; [`room`]: how much
//!   they may differ
//! * [`levels`], [`sound`]: level, side and envelope of the whole track
//!
//! What it finds is a sentence that names time and kind; an output for which there is one is never published.

mod file;
mod levels;
mod listing;
mod looking;
mod room;
mod sampling;
mod sound;

use actors::domain::failure::Failure;

use crate::media::carry_out::CarryOut;
use crate::process::Progress;
use crate::protocol::{Compared, VerifiedFile, VerifySpec};
use listing::Listing;
use sampling::Input;

impl CarryOut for VerifySpec {
    /// # Errors
    /// `retryable` where an output is not what the input shows, or a file cannot be read.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Vec<Compared>, Failure> {
        let listings = self.outputs.iter().map(|output| Listing::of(&output.target, output.audio));
        let listings = listings.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = listings.first() else { return Ok(Vec::new()) };
        // Random access points are the same in all outputs of a job.
        let audio = self.outputs.iter().any(|output| output.audio);
        // The input and each output are read once.
        let length_ns = first.times.last().map_or(0, |time| u64::try_from(*time).unwrap_or(0));
        let passes = 1 + self.outputs.len() as u64;
        let share = |pass: u64, media_ns: u64| progress((pass * length_ns + media_ns.min(length_ns)) / passes);
        let input = sampling::read(&self.input, audio, first, &|media_ns| share(0, media_ns))?;
        let outputs = (1..).zip(self.outputs.iter().zip(&listings));
        let compared = outputs
            .map(|(pass, (output, listing))| self.compare(&input, output, listing, &|media_ns| share(pass, media_ns)));
        compared.collect()
    }
}

impl VerifySpec {
    fn compare(
        &self,
        input: &Input,
        output: &VerifiedFile,
        listing: &Listing,
        progress: Progress<'_>,
    ) -> Result<Compared, Failure> {
        let wrong = |what: String| {
            let (target, input) = (output.target.display(), self.input.display());
            Failure::retryable(format!("{target} is not what {input} shows: {what}"))
        };
        listing::compare(&input.listing, listing, output.damaged_frames).map_err(wrong)?;
        let shown = looking::read(&output.target, output.audio, listing, input, progress)?;
        let pictures = match room::of(output.rate, listing) {
            Some(room) => looking::compare(input, &shown.pictures, output.damaged_frames, room).map_err(wrong)?,
            None => 0,
        };
        let heard = input.levels.as_ref().filter(|_| output.audio);
        if let Some(heard) = heard {
            let made = shown.levels.as_ref().ok_or_else(|| wrong("it has no sound".into()))?;
            sound::compare(heard, made).map_err(wrong)?;
        }
        Ok(Compared { frames: listing.times.len() as u64, pictures, sound: heard.is_some() })
    }
}

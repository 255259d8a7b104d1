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
use crate::protocol::{Compared, Verdict, VerifiedFile, VerifySpec};
use levels::Levels;
use listing::Listing;
use sampling::Input;

/// Why an output was not found to be the same.
enum Unequal {
    /// It shows something else, as this sentence says.
    Differs(String),
    /// It could not be compared.
    Failed(Failure),
}

impl From<Failure> for Unequal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl CarryOut for VerifySpec {
    /// # Errors
    /// `retryable` where a file cannot be read.
    fn carry_out(&self, progress: Progress<'_>) -> Result<Verdict, Failure> {
        let listings = self.outputs.iter().map(|output| Listing::of(&output.target, output.audio));
        let listings = listings.collect::<Result<Vec<_>, _>>()?;
        // Random access points are the same in all outputs of a job.
        let Some(first) = listings.first() else { return Ok(Verdict::Same(Vec::new())) };
        let audio = self.outputs.iter().any(|output| output.audio);
        // The input and each output are read once, or twice.
        let length_ns = first.times.last().map_or(0, |time| u64::try_from(*time).unwrap_or(0));
        let passes = 1 + self.outputs.len() as u64;
        let share = |pass: u64, media_ns: u64| progress((pass * length_ns + media_ns.min(length_ns)) / passes);
        let read = |before| sampling::read(&self.input, audio, first, before, &|media_ns| share(0, media_ns));
        // The sound of the outputs is read while the input is: a job waits for this alone.
        let (input, heard) = std::thread::scope(|scope| {
            let heard = scope.spawn(|| self.heard(&listings));
            let input = read(None);
            (
                input,
                heard.join().unwrap_or_else(|_| {
                    Err(Failure::retryable("the decoder of the sound of an output panicked, its log says more"))
                }),
            )
        });
        let (input, heard) = (input?, heard?);
        let verdict = self.compare_all(&input, &listings, &heard, &share)?;
        let Verdict::Differs(what) = verdict else { return Ok(verdict) };
        tracing::warn!(what, "an output seems to differ from the input, which is decoded from its beginning now");
        self.compare_all(&read(Some(&input))?, &listings, &heard, &share)
    }
}

impl VerifySpec {
    /// The sound of each output that has some.
    fn heard(&self, listings: &[Listing]) -> Result<Vec<Option<Levels>>, Failure> {
        let of = |(output, listing): (&VerifiedFile, &Listing)| match output.audio {
            true => Levels::of(&output.target, listing.first_ns),
            false => Ok(None),
        };
        self.outputs.iter().zip(listings).map(of).collect()
    }

    fn compare_all(
        &self,
        input: &Input,
        listings: &[Listing],
        heard: &[Option<Levels>],
        share: &dyn Fn(u64, u64),
    ) -> Result<Verdict, Failure> {
        let mut same = Vec::new();
        for (pass, (output, made)) in (1..).zip(self.outputs.iter().zip(listings.iter().zip(heard))) {
            let made = (made.0, made.1.as_ref());
            match self.compare(input, output, made, &|media_ns| share(pass, media_ns)) {
                Ok(compared) => same.push(compared),
                Err(Unequal::Failed(failure)) => return Err(failure),
                Err(Unequal::Differs(what)) => {
                    let (target, input) = (output.target.display(), self.input.display());
                    return Ok(Verdict::Differs(format!("{target} is not what {input} shows: {what}")));
                }
            }
        }
        Ok(Verdict::Same(same))
    }

    fn compare(
        &self,
        input: &Input,
        output: &VerifiedFile,
        (listing, made): (&Listing, Option<&Levels>),
        progress: Progress<'_>,
    ) -> Result<Compared, Unequal> {
        listing::compare(&input.listing, listing, output.damaged_frames).map_err(Unequal::Differs)?;
        let shown = looking::read(&output.target, listing, input, progress)?;
        let pictures = match room::of(output.rate, listing) {
            Some(room) => looking::compare(input, &shown, output.damaged_frames, room).map_err(Unequal::Differs)?,
            None => 0,
        };
        let heard = input.levels.as_ref().filter(|_| output.audio);
        if let Some(heard) = heard {
            let made = made.ok_or_else(|| Unequal::Differs("it has no sound".into()))?;
            sound::compare(heard, made).map_err(Unequal::Differs)?;
        }
        Ok(Compared { frames: listing.times.len() as u64, pictures, sound: heard.is_some() })
    }
}

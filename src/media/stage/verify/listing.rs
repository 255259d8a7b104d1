//! When the frames of a file are shown, by its container: without a decoder, and counted from the first one.

use std::path::Path;

use actors::domain::failure::Failure;
use ffmpeg_the_third::FieldOrder;
use ffmpeg_the_third::codec::Id;

use super::file::{open, seconds};
use crate::media::libav::film::Film;
use crate::media::libav::packet::Packet;

/// Times agree within this: the ticks of a container that counts in milliseconds.
const SLACK_NS: i64 = 1_100_000;
/// Where times are not those of presentation, or two packets make one picture: a frame and a half of 24 a second.
pub const LOOSE_NS: i64 = 63_000_000;

/// The frames of a file, in the order of their times.
#[derive(Debug, Default)]
pub struct Listing {
    /// Times in nanoseconds, from the first one.
    pub times: Vec<i64>,
    /// Those of them that are random access points.
    pub keys: Vec<i64>,
    /// Time of the first one on the timeline of the film.
    pub first_ns: i64,
    /// What they are coded in.
    pub codec: Option<Id>,
    /// Samples of luma of each one.
    pub pixels: u64,
    /// Whether each packet is one frame with its own time.
    pub exact: bool,
    /// Whether its timeline is that of pictures and sound.
    pub with_sound: bool,
    /// Frames that are decoded after the first random access point and shown before it: they may need what is not there.
    pub leading: usize,
}

impl Listing {
    /// Reads a file, on the timeline that it has with its sound.
    ///
    /// # Errors
    /// As those of opening and reading it.
    pub fn of(path: &Path, audio: bool) -> Result<Self, Failure> {
        let (mut film, choice) = open(path, audio)?;
        let mut listing = Self { with_sound: audio, ..Self::new(&film, choice.video.0) };
        while let Some(packet) = film.packet()? {
            if packet.track == choice.video.0 {
                listing.note(&packet);
            }
        }
        listing.finish();
        Ok(listing)
    }

    /// None yet of this track.
    pub fn new(film: &Film, index: usize) -> Self {
        let track = &film.tracks()[index];
        let hides = track.codec == Id::VP8;
        let fields = !matches!(track.parameters().field_order(), FieldOrder::Progressive | FieldOrder::Unknown);
        // A size that is negative is none.
        let side = |side: u32| u64::from(side.min(1 << 16));
        let pixels = side(track.parameters().width()) * side(track.parameters().height());
        let exact = !hides && !fields && !film.is_in_decoding_order(index);
        Self { exact, codec: Some(track.codec), pixels, ..Self::default() }
    }

    /// From the first frame to the end of the last one, which is shown as long as the others on an average.
    pub fn length_ns(&self) -> u64 {
        let between = self.times.len().saturating_sub(1).max(1) as u64;
        let last = self.times.last().map_or(0, |last| u64::try_from(*last).unwrap_or(0));
        last + last / between
    }

    /// The next packet.
    pub fn note(&mut self, packet: &Packet) {
        if packet.hidden {
            return;
        }
        let Some(time) = packet.pts.or(packet.dts) else {
            self.exact = false;
            return;
        };
        // What stands in front of the first random access point cannot be decoded, and neither can some of what follows.
        self.exact &= packet.pts.is_some() && (packet.key || !self.times.is_empty());
        self.leading += usize::from(self.keys.len() == 1 && time < self.keys[0]);
        self.times.push(time);
        if packet.key {
            self.keys.push(time);
        }
    }

    /// There are no more. Without as many as an `output` lacks, where those are the ones in front of the first random access point.
    pub fn finish_like(&mut self, output: &Self) {
        self.times.sort_unstable();
        if self.leading > 0 && self.times.len() == output.times.len() + self.leading {
            self.times.drain(..self.leading);
        }
        self.finish();
    }

    /// There are no more.
    pub fn finish(&mut self) {
        self.times.sort_unstable();
        self.keys.sort_unstable();
        self.first_ns = self.times.first().copied().unwrap_or(0);
        let first = self.first_ns;
        self.times.iter_mut().chain(&mut self.keys).for_each(|time| *time -= first);
    }
}

/// Compares the frames of input and output, of which so many may be missing.
///
/// # Errors
/// The first difference, in words.
pub fn compare(input: &Listing, output: &Listing, damaged: u64) -> Result<(), String> {
    let (there, made) = (input.times.len(), output.times.len());
    if !input.exact || damaged > 0 {
        return compare_loosely(input, output, damaged);
    }
    if there != made {
        return Err(format!("it has {made} frames where {there} are right"));
    }
    let pairs = input.times.iter().zip(&output.times);
    match pairs.into_iter().position(|(right, found)| right.abs_diff(*found) > SLACK_NS.unsigned_abs()) {
        Some(at) => {
            let (found, right) = (seconds(output.times[at]), seconds(input.times[at]));
            Err(format!("frame {at} is shown at {found} where {right} is right"))
        }
        None => Ok(()),
    }
}

/// Each frame of the output is one of the input, and both end at the same time.
fn compare_loosely(input: &Listing, output: &Listing, damaged: u64) -> Result<(), String> {
    let near = |time: &i64| {
        let at = input.times.partition_point(|known| known < time);
        let around = [at.checked_sub(1), Some(at)].into_iter().flatten().filter_map(|at| input.times.get(at));
        around.map(|known| known.abs_diff(*time)).min().is_some_and(|off| off <= LOOSE_NS.unsigned_abs())
    };
    if let Some(stray) = output.times.iter().find(|time| !near(time)) {
        return Err(format!("it shows a frame at {}, where the input has none", seconds(*stray)));
    }
    let (right, found) = (input.times.last().copied().unwrap_or(0), output.times.last().copied().unwrap_or(0));
    if damaged == 0 && right.abs_diff(found) > 2 * LOOSE_NS.unsigned_abs() {
        return Err(format!("its last frame is at {} where {} is right", seconds(found), seconds(right)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(times: impl IntoIterator<Item = i64>) -> Listing {
        Listing { times: times.into_iter().map(|n| n * 40_000_000).collect(), exact: true, ..Listing::default() }
    }

    #[test]
    fn a_frame_that_is_missing_or_at_another_time_is_found() {
        let right = listing(0..100);
        assert_eq!(compare(&right, &listing(0..100), 0), Ok(()));
        assert!(compare(&right, &listing(0..99), 0).is_err_and(|what| what.contains("99 frames where 100")));
        assert_eq!(compare(&right, &listing((0..100).filter(|n| *n != 50)), 1), Ok(()));
        let mut late = listing(0..100);
        late.times[70] += 2_000_000;
        assert!(compare(&right, &late, 0).is_err_and(|what| what.contains("frame 70 is shown at 2.802 s")));
        // A recording that begins in the middle: what is shown before its first picture cannot be decoded.
        let mut begun = Listing { leading: 3, ..listing(-3..97) };
        begun.finish_like(&listing(0..97));
        assert_eq!(compare(&begun, &listing(0..97), 0), Ok(()));
        let mut whole = Listing { leading: 3, ..listing(-3..97) };
        whole.finish_like(&listing(0..96));
        assert!(compare(&whole, &listing(0..96), 0).is_err_and(|what| what.contains("96 frames where 100")));
        let loose = Listing { exact: false, ..listing(0..100) };
        assert_eq!(compare(&loose, &listing((0..100).filter(|n| n % 7 != 3)), 0), Ok(()));
        assert!(compare(&loose, &listing(0..90), 0).is_err());
        assert!(compare(&loose, &listing(0..110), 0).is_err());
    }
}

//! How loud a track is, when and where: the energy of each channel and of the difference of the first two in blocks of 10 ms,
//! and that of all together in steps of 1 ms. A few bytes for each, whatever the track is.

use std::path::Path;

use actors::domain::failure::Failure;
use ffmpeg_the_third::frame;

use super::file::open;
use crate::media::libav::decoder::{Decoder, time_ns};
use crate::media::libav::samples;

/// Length of a block and of a step, in parts of a second.
pub const BLOCKS: i64 = 100;
/// The same for steps.
pub const STEPS: i64 = 1000;
/// Times are believed where they leave the count of samples by more than this, as the encoder believes them.
const TOLERANCE_NS: u64 = 40_000_000;
/// A jump in time is filled with silence up to here: a day.
const LONGEST_NS: i64 = 86_400_000_000_000;

/// The levels of a track.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// Of each channel, mean squares of blocks.
    pub channels: Vec<Vec<f32>>,
    /// Of the first channel less the second, mean squares of blocks.
    pub side: Vec<f32>,
    /// Of the mean of all channels, mean squares of steps.
    pub steps: Vec<f32>,
    /// The places of the channels, as WAVE has them; 0 where they are unknown.
    pub mask: u64,
    /// When it is first heard and when it ends, in nanoseconds from the first frame on.
    pub heard_ns: (i64, i64),
    pub(super) rate: i64,
    // Samples from the zero of the film on, which follow one another.
    pub(super) next: Option<i64>,
    pub(super) first: Option<i64>,
}

/// Steps that are kept in front of the zero of the film: what begins earlier is priming.
const LEAD_STEPS: i64 = 1000;

impl Levels {
    /// Reads the sound of a file from its first frame on, which is shown at `first_ns`; `None` where it has none.
    ///
    /// # Errors
    /// As those of opening and reading it.
    pub fn of(path: &Path, first_ns: i64) -> Result<Option<Self>, Failure> {
        let (mut film, choice) = open(path, true)?;
        let Some((index, _)) = choice.audio else { return Ok(None) };
        let (mut decoder, mut levels) = (Decoder::new(&film.tracks()[index])?, Self::default());
        while let Some(packet) = film.packet()? {
            if packet.track == index {
                decoder.send(&packet);
                levels.take_all(&mut decoder);
            }
        }
        decoder.end();
        levels.take_all(&mut decoder);
        Ok(Some(levels.from(first_ns)))
    }

    /// Takes everything that a decoder has.
    pub fn take_all(&mut self, decoder: &mut Decoder) {
        while let Some(block) = decoder.sound() {
            self.take(&block);
        }
    }

    fn take(&mut self, block: &frame::Audio) {
        let (rate, count) = (i64::from(block.rate()), block.samples() as i64);
        if rate == 0 || count == 0 {
            return;
        }
        if self.rate != rate {
            // The count goes on at the new rate.
            self.next = self.next.map(|next| next * rate / self.rate.max(1));
            self.first = self.first.map(|first| first * rate / self.rate.max(1));
            self.rate = rate;
        }
        self.mask = block.ch_layout().mask().map_or(0, |mask| mask.bits());
        let at = self.place(time_ns(block));
        self.next = Some(at + count);
        self.first.get_or_insert(at);
        let channels = block.ch_layout().channels() as usize;
        self.channels.resize_with(channels.max(self.channels.len()), Vec::new);
        let mut position = at;
        // A division for each step, and none for each sample.
        let (mut step, mut end) = (0, i64::MIN);
        samples::each(block, |instant| {
            if position >= end {
                step = (position * STEPS).div_euclid(rate);
                end = ((step + 1) * rate + STEPS - 1).div_euclid(STEPS);
            }
            self.add(step + LEAD_STEPS, instant);
            position += 1;
        });
    }

    /// Where a block begins.
    fn place(&self, time: Option<i64>) -> i64 {
        let said = time.map(|time| samples_of(time.clamp(-LONGEST_NS, LONGEST_NS), self.rate));
        match (said, self.next) {
            (Some(said), Some(next)) if said.abs_diff(next) * 1_000_000_000 <= TOLERANCE_NS * self.rate as u64 => next,
            (Some(said), _) => said,
            (None, next) => next.unwrap_or(0),
        }
    }

    /// Adds what all channels have at an instant of a step.
    fn add(&mut self, step: i64, instant: &[f32]) {
        let Ok(step) = usize::try_from(step) else { return };
        let block = step * BLOCKS as usize / STEPS as usize;
        let (in_step, in_block) = ((self.rate / STEPS).max(1) as f32, (self.rate / BLOCKS).max(1) as f32);
        let mut sum = 0.0;
        for (channel, sample) in instant.iter().enumerate() {
            sum += sample;
            add_to(&mut self.channels[channel], block, sample * sample / in_block);
        }
        if let [left, right, ..] = instant {
            add_to(&mut self.side, block, (left - right) * (left - right) / in_block);
        }
        let mean = sum / instant.len().max(1) as f32;
        add_to(&mut self.steps, step, mean * mean / in_step);
    }

    /// The levels from the first frame of the film on, which is shown at `first_ns`.
    pub fn from(mut self, first_ns: i64) -> Self {
        let ns = |samples: i64| (i128::from(samples) * 1_000_000_000 / i128::from(self.rate.max(1))) as i64 - first_ns;
        self.heard_ns = (ns(self.first.unwrap_or(0)), ns(self.next.unwrap_or(0)));
        let skip = (first_ns / (1_000_000_000 / STEPS) + LEAD_STEPS).max(0) as usize;
        let cut = |list: &mut Vec<f32>, from: usize| {
            list.drain(..from.min(list.len()));
        };
        let blocks = skip * BLOCKS as usize / STEPS as usize;
        self.channels.iter_mut().for_each(|channel| cut(channel, blocks));
        cut(&mut self.side, blocks);
        // To the step: the beginning of a block may be up to a block away, which would be lateness.
        cut(&mut self.steps, skip);
        self
    }
}

fn samples_of(ns: i64, rate: i64) -> i64 {
    ((i128::from(ns) * i128::from(rate) + 500_000_000).div_euclid(1_000_000_000)) as i64
}

fn add_to(list: &mut Vec<f32>, at: usize, value: f32) {
    if at >= list.len() {
        list.resize(at + 1, 0.0);
    }
    list[at] += value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_counts_from_the_first_frame_to_the_millisecond_wherever_that_is_shown() {
        // A click a second behind the first frame.
        let click = |first_ms: i64| {
            let mut levels = Levels { rate: 48_000, channels: vec![Vec::new(); 2], ..Levels::default() };
            levels.add(first_ms + 1000 + LEAD_STEPS, &[0.5, 0.5]);
            let steps = levels.from(first_ms * 1_000_000).steps;
            steps.iter().position(|energy| *energy > 0.0)
        };
        for first_ms in [0, 3, 46, 60, 999, 1001] {
            assert_eq!(click(first_ms), Some(1000), "first frame at {first_ms} ms");
        }
    }
}

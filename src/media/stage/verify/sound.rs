//! Whether the sound of an output is that of the input: its length, the level of each channel and of the difference of the first
//! two, its envelope, and when it is heard.

use super::file::seconds;
use super::levels::{BLOCKS, Levels, STEPS};

/// Mean square below which nothing is heard: -55 dB. Encoders put noise there, or leave it out.
const QUIET: f32 = 3.2e-6;
/// A block is silent where the other one is louder by this factor (18 dB)...
const SILENCED: f32 = 64.0;
/// ...and a mute is so many of them in a row: 50 ms, half of what a viewer would notice in speech.
const MUTE_BLOCKS: usize = 5;
/// A channel is as loud as it was within this factor of energy: 3 dB. An AAC encoder of 64 kbit/s took 1.6 dB from a film.
const LEVEL: f32 = 2.0;
/// The difference of two channels, of which joint coding takes some at low rates: 4 dB.
const SIDE: f32 = 2.5;
/// A difference that coding adds, which puts noise of its own into each channel in the place of noise that both had alike: up to
/// this share of their energy, -9 dB. Measured -11 dB with noise, -22 dB with tones.
const DECORRELATED: f32 = 0.12;
/// The low frequency channel, which encoders cut off: it is not compared. Its bit in the mask.
const LFE: u64 = 8;
/// How far sound may be from its time, in steps of a millisecond...
const LATE_STEPS: i64 = 4;
/// ...and how far it is looked for.
const FARTHEST_STEPS: i64 = 150;
/// The time of sound is looked at in windows of so many steps: in 5 s of a film music can seem to be 23 ms late.
const WINDOW_STEPS: usize = 20_000;
/// What has no onsets has no time: so much better must the best place be than the right one.
const CLEARLY: f64 = 1.2;
/// The ends of a track agree within this: four packets.
const END_NS: u64 = 100_000_000;

/// Compares the sound of the input with that of the output.
///
/// # Errors
/// The first difference, in words.
pub fn compare(input: &Levels, output: &Levels) -> Result<(), String> {
    let (right, found) = (input.heard_ns.1, output.heard_ns.1);
    if right.abs_diff(found) > END_NS {
        return Err(format!("its sound ends at {} where {} is right", seconds(found), seconds(right)));
    }
    late(&input.steps, &output.steps)?;
    let same = input.channels.len() == output.channels.len()
        && (input.mask == output.mask || input.mask == 0 || output.mask == 0 || input.channels.len() == 6);
    if same { compare_channels(input, output) } else { muted(&total(input), &total(output), "its sound") }
}

/// Energy of all channels in each block.
fn total(levels: &Levels) -> Vec<f32> {
    let longest = levels.channels.iter().map(Vec::len).max().unwrap_or(0);
    let at = |block: usize| levels.channels.iter().filter_map(|channel| channel.get(block)).sum();
    (0..longest).map(at).collect()
}

fn compare_channels(input: &Levels, output: &Levels) -> Result<(), String> {
    for (number, (right, found)) in input.channels.iter().zip(&output.channels).enumerate() {
        if input.channels.len() == 6 && (number == 3) || input.mask & LFE != 0 && number == lfe_place(input.mask) {
            continue;
        }
        let what =
            if input.channels.len() == 1 { "its sound".into() } else { format!("channel {number} of its sound") };
        muted(right, found, &what)?;
        level(right, found, LEVEL, &what)?;
    }
    if let [left, right, ..] = &input.channels[..]
        && let [made_left, made_right, ..] = &output.channels[..]
    {
        let (side, made_side) = (mean(&input.side), mean(&output.side));
        let added = made_side > side && made_side <= DECORRELATED * (mean(made_left) + mean(made_right));
        if !added {
            level(&input.side, &output.side, SIDE, "the difference of left and right")?;
        }
        let straight = distance(left, made_left) + distance(right, made_right);
        let crossed = distance(left, made_right) + distance(right, made_left);
        if straight > 2.0 * crossed {
            return Err("left and right have changed places".into());
        }
    }
    Ok(())
}

fn lfe_place(mask: u64) -> usize {
    (mask & (LFE - 1)).count_ones() as usize
}

/// Sum of the differences of amplitudes.
fn distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(one, other)| f64::from((one.sqrt() - other.sqrt()).abs())).sum()
}

/// Finds blocks in a row that are silent in one and not in the other.
fn muted(right: &[f32], found: &[f32], what: &str) -> Result<(), String> {
    let (mut silent, mut loud) = (0, 0);
    for (block, (right, found)) in right.iter().zip(found).enumerate() {
        let silenced = *right > QUIET && *found * SILENCED < *right;
        let added = *found > QUIET && *right * SILENCED < *found;
        silent = if silenced { silent + 1 } else { 0 };
        loud = if added { loud + 1 } else { 0 };
        let at = || seconds((block as i64 + 1 - MUTE_BLOCKS as i64) * (1_000_000_000 / BLOCKS));
        if silent == MUTE_BLOCKS {
            return Err(format!("{what} is silent from {} on, where the input is not", at()));
        }
        if loud == MUTE_BLOCKS {
            return Err(format!("{what} is heard from {} on, where the input is silent", at()));
        }
    }
    Ok(())
}

fn mean(blocks: &[f32]) -> f32 {
    blocks.iter().sum::<f32>() / blocks.len().max(1) as f32
}

fn level(right: &[f32], found: &[f32], factor: f32, what: &str) -> Result<(), String> {
    let blocks = right.len().min(found.len());
    let (right, found) = (mean(&right[..blocks]), mean(&found[..blocks]));
    if right.max(found) <= QUIET || (right <= found * factor && found <= right * factor) {
        return Ok(());
    }
    let decibels = 10.0 * (found.max(1e-9) / right.max(1e-9)).log10();
    Err(format!("{what} is louder by {decibels:.1} dB than in the input"))
}

/// Finds sound that is heard at another time.
fn late(right: &[f32], found: &[f32]) -> Result<(), String> {
    for (window, right) in right.chunks(WINDOW_STEPS).enumerate() {
        let from = window * WINDOW_STEPS;
        let right: Vec<f64> = right.iter().map(|energy| f64::from(energy.sqrt())).collect();
        // Onsets tell the time; a level that stays does not.
        let onsets = |list: &[f64]| -> Vec<f64> { list.windows(2).map(|pair| (pair[1] - pair[0]).max(0.0)).collect() };
        let right = onsets(&right);
        let at = |step: i64| {
            let energy = |step: i64| {
                usize::try_from(step).ok().and_then(|at| found.get(at)).map_or(0.0, |e| f64::from(e.sqrt()))
            };
            (energy(step + 1) - energy(step)).max(0.0)
        };
        let reach = FARTHEST_STEPS;
        let found: Vec<f64> = (-reach..right.len() as i64 + reach).map(|step| at(from as i64 + step)).collect();
        let score = |lag: i64| -> f64 {
            let shifted = &found[(reach + lag) as usize..];
            right.iter().zip(shifted).map(|(one, other)| one * other).sum()
        };
        let near = (-LATE_STEPS..=LATE_STEPS).map(score).fold(0.0, f64::max);
        let best = (-reach..=reach).max_by(|one, other| score(*one).total_cmp(&score(*other))).unwrap_or(0);
        if best.abs() > LATE_STEPS && score(best) > near * CLEARLY && score(best) > 0.0 {
            let (ms, at) = (best * 1000 / STEPS, seconds(from as i64 * 1_000_000));
            return Err(format!("its sound is {ms} ms late from {at} on"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beeps of 50 ms at odd times on the left, half as loud and between them on the right.
    fn film(late: i64) -> Levels {
        let loud = |n: i64| -> f32 { if (n * n / 7 + n / 11) % 9 < 3 { 0.04 } else { 0.0001 } };
        let block = |n: i64| loud(n - late / 10);
        let left: Vec<f32> = (0..3000).map(block).collect();
        let right: Vec<f32> = (0..3000).map(|n| block(n + 500) / 4.0).collect();
        let side = left.iter().zip(&right).map(|(left, right)| left + right).collect();
        let steps = (0..30_000i64).map(|n| loud((n - late).div_euclid(10))).collect();
        let channels = vec![left, right];
        Levels { channels, side, steps, mask: 3, heard_ns: (0, 30_000_000_000), ..Levels::default() }
    }

    #[test]
    fn the_same_sound_is_the_same() {
        assert_eq!(compare(&film(0), &film(0)), Ok(()));
    }

    #[test]
    fn each_kind_of_difference_is_named() {
        let says = |output: &Levels, what: &str| {
            let said = compare(&film(0), output).expect_err(what);
            assert!(said.contains(what), "{said}");
        };
        let mut swapped = film(0);
        swapped.channels.swap(0, 1);
        says(&swapped, "channel 0");
        let mut even = film(0);
        even.channels[1].iter_mut().for_each(|energy| *energy *= 4.0);
        let mut crossed = Levels { channels: even.channels.iter().rev().cloned().collect(), ..film(0) };
        crossed.side = even.side.clone();
        let said = compare(&even, &crossed).expect_err("changed places");
        assert!(said.contains("places") || said.contains("silent") || said.contains("heard"), "{said}");
        let mut mute = film(0);
        let from = mute.channels[0].windows(10).position(|blocks| blocks.iter().all(|e| *e > 0.01)).unwrap_or(1000);
        mute.channels[0][from..from + 30].fill(0.0);
        says(&mute, "silent from");
        let mut both = film(0);
        let mono: Vec<f32> = both.channels[0].clone();
        both.channels[1] = mono;
        assert!(compare(&film(0), &both).is_err());
        let mut narrow = film(0);
        narrow.side.fill(0.0);
        says(&narrow, "difference of left and right");
        // Half of their energy, where both were the same, is another sound; a few per cent of it are noise of coding.
        let mut wide = narrow.clone();
        wide.side = narrow.channels[0].iter().map(|energy| energy * 0.6).collect();
        assert!(compare(&narrow, &wide).is_err_and(|said| said.contains("difference of left and right is louder")));
        wide.side.iter_mut().for_each(|energy| *energy /= 15.0);
        assert_eq!(compare(&narrow, &wide), Ok(()));
        says(&Levels { heard_ns: (0, 29_000_000_000), ..film(0) }, "ends at 29.000 s where 30.000 s");
        assert!(late(&film(0).steps, &film(40).steps).is_err_and(|what| what.contains("40 ms late")));
        assert!(late(&film(0).steps, &film(-40).steps).is_err_and(|what| what.contains("-40 ms late")));
        assert_eq!(late(&film(0).steps, &film(2).steps), Ok(()));
    }
}

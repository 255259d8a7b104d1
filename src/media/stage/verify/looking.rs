//! The pictures of an output at the times at which the input was looked at; and what is the same picture.

use std::path::Path;

use actors::domain::failure::Failure;

use super::file::{self, open, seconds};
use super::listing::{LOOSE_NS, Listing};
use super::sampling::Input;
use crate::media::libav::decoder::{Decoder, time_ns};
use crate::media::libav::thumbnail::{SIDE, Thumbnail};
use crate::process::Progress;

/// Pictures that are shown at the same time are so near: half a frame of 60 a second.
const SAME_NS: i64 = 8_000_000;
/// Mean difference of a colour in the fields of a grid, of 255, where bits are not [few](super::room): measured below 4; the matrix of BT.601 for that of BT.709 moves saturated colours by 5 and more, a wrong range by 8, another picture by 20.
pub const MEAN: f64 = 4.5;
/// The same for the tenth of the fields that differ most: a part of the picture that is broken.
const WORST: f64 = 18.0;

/// How far two pictures may be from each other that are the same: some frames where the input has times of decoding.
fn same_ns(input: &Input) -> i64 {
    if input.listing.exact { SAME_NS } else { 3 * LOOSE_NS }
}

/// The pictures of an output with these frames at the times of these of the input, which count from the first frame on.
///
/// # Errors
/// As those of opening and reading it.
pub fn read(
    path: &Path,
    output: &Listing,
    wanted: &Input,
    progress: Progress<'_>,
) -> Result<Vec<(i64, Thumbnail)>, Failure> {
    let same_ns = same_ns(wanted);
    let (mut film, choice) = open(path, output.with_sound)?;
    let (video, first) = (choice.video.0, output.first_ns);
    let mut times: Vec<i64> = wanted.pictures.iter().map(|(time, _)| *time).collect();
    times.sort_unstable();
    let is_wanted = |time: i64| {
        let at = times.partition_point(|wanted| *wanted < time - same_ns);
        times.get(at).is_some_and(|wanted| *wanted <= time + same_ns)
    };
    let mut decoder = file::decoder(&film.tracks()[video])?;
    let mut pictures = Vec::new();
    let mut until = i64::MIN;
    let mut told = 0;
    let mut drain = |decoder: &mut Decoder| {
        while let Some(picture) = decoder.picture() {
            let time = time_ns(&picture).map(|time| time - first).filter(|time| is_wanted(*time));
            if let Some((time, small)) = time.and_then(|time| Some((time, Thumbnail::of(&picture)?))) {
                pictures.push((time, small));
            }
        }
    };
    while let Some(packet) = film.packet()? {
        if packet.track != video {
            continue;
        }
        let time = packet.pts.or(packet.dts).unwrap_or(0) - first;
        if packet.key {
            let next = output.keys.get(output.keys.partition_point(|key| *key <= time)).copied().unwrap_or(i64::MAX);
            let inside = times.partition_point(|wanted| *wanted < next.saturating_add(same_ns));
            let latest = inside.checked_sub(1).map_or(i64::MIN, |at| times[at]);
            until = if latest >= time - same_ns { latest + same_ns } else { i64::MIN };
        }
        // The pictures behind the last one that is wanted are decoded before it, where it needs them.
        if until >= time || packet.dts.is_some_and(|dts| dts - first <= until) {
            decoder.send(&packet);
            drain(&mut decoder);
        }
        let media_ns = u64::try_from(time).unwrap_or(0);
        if media_ns > told + 1_000_000_000 {
            told = media_ns;
            progress(media_ns);
        }
    }
    decoder.end();
    drain(&mut decoder);
    Ok(pictures)
}

/// Compares pictures of the input with those of the output, which may differ by so many times as much as good ones; gives how
/// many there were.
///
/// # Errors
/// The first difference, in words.
pub fn compare(input: &Input, output: &[(i64, Thumbnail)], damaged: u64, room: f64) -> Result<u64, String> {
    let (mut compared, same_ns) = (0, same_ns(input).unsigned_abs());
    for (time, right) in &input.pictures {
        let near = output.iter().filter(|(found, _)| found.abs_diff(*time) <= same_ns);
        let best = near.map(|(_, found)| right.difference(found)).min_by(|one, other| one.mean.total_cmp(&other.mean));
        let Some(best) = best else {
            if input.listing.exact && damaged == 0 {
                return Err(format!("the picture at {} cannot be decoded", seconds(*time)));
            }
            continue;
        };
        compared += 1;
        // In a tiny picture a field is a sample or a few, whose errors do not cancel out: a film of 16x16 with `crf` 23 differs by
        // 5, one with `crf` 40 by 18, where those of 160x90 differ by 2 and 6.
        let room = room * SIDE as f64 / best.detail as f64;
        if best.mean > MEAN * room || best.worst > WORST * room {
            let at = seconds(*time);
            let (mean, worst) = (best.mean, best.worst);
            return Err(format!(
                "the picture at {at} is another one (colours differ by {mean:.1} of 255, in the worst tenth by {worst:.1})"
            ));
        }
    }
    if compared * 2 < input.pictures.len() as u64 || compared == 0 && damaged == 0 {
        return Err(format!("of {} pictures it has {compared} at their times", input.pictures.len()));
    }
    Ok(compared)
}

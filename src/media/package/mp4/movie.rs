//! The index of an MP4 file, made from the tables of the first pass.

use actors::domain::failure::Failure;
use gstreamer as gst;
use gstreamer_video::{VideoColorRange, VideoColorimetry};

use crate::media::codec;
use crate::media::codec::aac::{self, PACKET_SAMPLES};
use crate::media::codec::configuration::Configuration;
use crate::media::mp4::entry::{Colour, VideoEntry};
use crate::media::mp4::moov::{Edit, Media, Movie, Run, Track, runs};
use crate::media::parts::audio::AudioTrack;
use crate::media::parts::timing::{FrameTimes, to_ticks};
use crate::media::parts::tracks::Tracks;
use crate::media::parts::video::VideoTrack;

/// The part of the movie that a track has to last for all readers to see it.
const SHORTEST_TRACK: u64 = 5;

/// The index for these tracks: video first.
///
/// # Errors
/// `retryable` where the parts do not say enough of what they hold.
pub fn movie(tracks: &Tracks) -> Result<Movie, Failure> {
    let audio = tracks.audio.as_ref();
    let timescale = movie_timescale(tracks.times.timescale, audio.map(|audio| audio.rate));
    let video = video_track(&tracks.video, &tracks.times, timescale)?;
    let audio = audio.map(|audio| audio_track(audio, timescale)).transpose()?;
    let mut all: Vec<_> = [video].into_iter().chain(audio).collect();
    let end = all.iter().map(Track::end).max().unwrap_or_default();
    all.iter_mut().for_each(|track| lengthen(track, end, timescale));
    Ok(Movie { created_unix: tracks.spec.plan.created_unix, timescale, tracks: all })
}

/// Ticks of the movie: such that a tick of either track is a whole number of them, where 32 bits suffice.
fn movie_timescale(video: u32, audio: Option<u32>) -> u32 {
    let Some(audio) = audio.filter(|rate| *rate > 0) else { return video };
    let multiple = u64::from(video) / gcd(u64::from(video), u64::from(audio)) * u64::from(audio);
    u32::try_from(multiple).unwrap_or(audio)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

/// `ticks` of one timescale in another, to the nearest.
fn rescale(ticks: i64, from: u32, to: u32) -> u64 {
    let scaled = i128::from(ticks.max(0)) * i128::from(to);
    let from = i128::from(from.max(1));
    u64::try_from((scaled + from / 2) / from).unwrap_or(u64::MAX)
}

fn video_entry(track: &VideoTrack) -> Result<VideoEntry, Failure> {
    let codec = codec::of(track.codec);
    let found = Configuration::of(codec, &track.caps, &track.first)?;
    let names = codec.names(track.parameters_change);
    Ok(VideoEntry {
        name: names.entry,
        configuration: (names.configuration, found.record),
        width: found.width,
        height: found.height,
        pixel_aspect: found.pixel_aspect,
        colour: found.colour.as_ref().and_then(colour),
    })
}

fn colour(colour: &VideoColorimetry) -> Option<Colour> {
    let code = |value: u32| u16::try_from(value).ok();
    Some(Colour {
        primaries: code(colour.primaries().to_iso())?,
        transfer: code(colour.transfer().to_iso())?,
        matrix: code(colour.matrix().to_iso())?,
        full_range: colour.range() == VideoColorRange::Range0_255,
    })
}

fn video_track(video: &VideoTrack, times: &FrameTimes, movie: u32) -> Result<Track, Failure> {
    // The timescale was chosen such that distances of frames fit.
    let ticks = |ticks: i64| u32::try_from(ticks).unwrap_or(u32::MAX);
    let steps = times.dts.windows(2).map(|pair| ticks(pair[1] - pair[0]));
    let offsets = times.pts.iter().zip(&times.dts).map(|(pts, dts)| ticks(pts - dts));
    let reordered = times.pts != times.dts;
    let first_dts = times.dts.first().copied().unwrap_or_default();
    Ok(Track {
        media: Media::Video(video_entry(video)?, video.keys.clone()),
        timescale: times.timescale,
        sizes: video.sizes.clone(),
        durations: runs(steps.chain([ticks(times.last_duration())])),
        offsets: if reordered { runs(offsets) } else { Vec::new() },
        edit: Edit {
            start: rescale(times.start, times.timescale, movie),
            duration: rescale(times.end - times.start, times.timescale, movie),
            media_time: u64::try_from(times.start - first_dts).unwrap_or_default(),
        },
    })
}

fn audio_track(audio: &AudioTrack, movie: u32) -> Result<Track, Failure> {
    let configuration = audio.caps.structure(0).and_then(|caps| caps.get::<gst::Buffer>("codec_data").ok());
    let configuration = configuration.as_ref().and_then(|data| data.map_readable().ok());
    let Some(configuration) = configuration else {
        return Err(Failure::retryable("the audio part has no decoder configuration, encode it again"));
    };
    let bits = audio.sizes.iter().map(|&size| u64::from(size) * 8).sum::<u64>();
    let packets = audio.sizes.len() as u64;
    let bitrate = bits * u64::from(audio.rate) / (packets * PACKET_SAMPLES).max(1);
    let samples = i64::try_from(audio.samples).unwrap_or(i64::MAX);
    let entry = aac::entry(
        &configuration,
        u16::try_from(audio.rate).unwrap_or_default(),
        u16::try_from(audio.channels).unwrap_or_default(),
        u32::try_from(bitrate).unwrap_or(u32::MAX),
    );
    Ok(Track {
        media: Media::Audio(entry),
        timescale: audio.rate,
        sizes: audio.sizes.clone(),
        durations: packet_durations(packets, u64::from(audio.priming) + audio.samples),
        offsets: Vec::new(),
        edit: Edit {
            start: u64::try_from(to_ticks(audio.start_ns, movie)).unwrap_or_default(),
            duration: rescale(samples, audio.rate, movie),
            media_time: u64::from(audio.priming),
        },
    })
}

/// The last packet ends where the sound ends: readers that do not look at the end of an edit find it here.
fn packet_durations(packets: u64, end: u64) -> Vec<Run> {
    let last = end.saturating_sub(packets.saturating_sub(1) * PACKET_SAMPLES).clamp(1, PACKET_SAMPLES);
    // A packet has far less samples than 32 bits can count.
    runs((1..packets).map(|_| PACKET_SAMPLES as u32).chain([last as u32]))
}

/// `qtdemux` takes a track for a preview picture and leaves it out where its samples last less than a fifth of the
/// movie, which ends at `end`. So the last sample of such a track lasts longer; the edit list keeps that from being
/// presented.
fn lengthen(track: &mut Track, end: u64, timescale: u32) {
    let wanted =
        (end / SHORTEST_TRACK + 1).saturating_mul(u64::from(track.timescale)) / u64::from(timescale.max(1)) + 1;
    let lacking = wanted.saturating_sub(track.media_duration());
    let Some(last) = track.durations.pop() else { return };
    let longer = u32::try_from(u64::from(last.value) + lacking).unwrap_or(u32::MAX);
    let before = Run { samples: last.samples.saturating_sub(1), ..last };
    if lacking == 0 {
        track.durations.push(last);
        return;
    }
    track.durations.extend((before.samples > 0).then_some(before));
    track.durations.push(Run { samples: 1, value: longer });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_of_either_track_is_a_whole_number_of_ticks_of_the_movie() {
        assert_eq!(movie_timescale(24_000, Some(48_000)), 48_000);
        assert_eq!(movie_timescale(30_000, Some(44_100)), 4_410_000);
        assert_eq!(movie_timescale(25_000, None), 25_000);
        assert_eq!(movie_timescale(4_000_000_007, Some(44_100)), 44_100, "32 bits do not suffice");
    }

    #[test]
    fn the_last_packet_ends_where_the_sound_ends() {
        let run = |samples, value| Run { samples, value };
        assert_eq!(packet_durations(236, 1024 + 240_000), [run(235, 1024), run(1, 384)]);
        assert_eq!(packet_durations(2, 2048), [run(2, 1024)]);
        assert_eq!(packet_durations(1, 1), [run(1, 1)]);
    }

    #[test]
    fn ticks_are_rescaled_to_the_nearest() {
        assert_eq!(rescale(2002, 24_000, 48_000), 4004);
        assert_eq!(rescale(1, 3, 2), 1);
        assert_eq!(rescale(-5, 1, 1), 0);
        assert_eq!(rescale(i64::MAX, 1, 1), i64::MAX as u64);
    }
}

//! The index of a file: tracks, their samples, and how they lie on the common time line (edit lists).

use super::boxes::{Put as _, atom, full_atom};
use super::entry::{AudioEntry, VideoEntry};
use super::layout::Layout;

/// Seconds from 1904, where the clock of MP4 begins, to 1970.
const EPOCH_1904: u64 = 2_082_844_800;
/// The 3 × 3 matrix that changes nothing.
const IDENTITY: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// Language of a track that does not say: `und`, three letters of five bits.
const UNDETERMINED: u16 = 0x55c4;

/// A file.
#[derive(Clone, Debug)]
pub struct Movie {
    /// When it was made, in seconds since 1970.
    pub created_unix: u64,
    /// Ticks per second of the time line that the tracks share.
    pub timescale: u32,
    /// The tracks; the first has number 1.
    pub tracks: Vec<Track>,
}

/// A number of samples with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub samples: u32,
    /// The value in ticks of the track.
    pub value: u32,
}

/// A value for each sample, as runs.
pub fn runs(values: impl IntoIterator<Item = u32>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some(run) if run.value == value && run.samples < u32::MAX => run.samples += 1,
            _ => runs.push(Run { samples: 1, value }),
        }
    }
    runs
}

/// A track.
#[derive(Clone, Debug)]
pub struct Track {
    /// What it holds.
    pub media: Media,
    /// Ticks per second of its samples.
    pub timescale: u32,
    /// Size of each sample in bytes.
    pub sizes: Vec<u32>,
    /// How long each sample lasts, in decode order.
    pub durations: Vec<Run>,
    /// How much later than decoded each sample is shown; empty where it never is.
    pub offsets: Vec<Run>,
    /// What of it is presented.
    pub edit: Edit,
}

/// What a track holds.
#[derive(Clone, Debug)]
pub enum Media {
    /// Pictures, with the indexes of the random access points.
    Video(VideoEntry, Vec<u32>),
    /// Sound.
    Audio(AudioEntry),
}

/// The part of a track that is presented, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edit {
    /// When it begins, in ticks of the movie.
    pub start: u64,
    /// How long it is, in ticks of the movie.
    pub duration: u64,
    /// Where in the track it begins, in ticks of the track counted from the first decode time.
    pub media_time: u64,
}

impl Movie {
    /// The `moov` box for samples from the byte `first` on, with 64-bit places where `wide`.
    pub fn encode(&self, layout: &Layout, first: u64, wide: bool) -> Vec<u8> {
        let mut out = Vec::new();
        let duration = self.tracks.iter().map(Track::end).max().unwrap_or_default();
        let created = self.created_unix.saturating_add(EPOCH_1904);
        atom(&mut out, b"moov", |out| {
            dated(out, b"mvhd", 0, created, duration, |out, wide| {
                out.put32(self.timescale);
                out.put(duration, wide);
                out.put32(0x1_0000); // speed
                out.put16(0x100); // volume
                out.zeros(10);
                IDENTITY.iter().for_each(|&value| out.put32(value));
                out.zeros(24);
                // A file has a handful of tracks.
                out.put32(u32::try_from(self.tracks.len() + 1).unwrap_or(u32::MAX));
            });
            for (index, track) in self.tracks.iter().enumerate() {
                track.encode(out, index, created, layout, first, wide);
            }
        });
        out
    }
}

/// A box with creation time, modification time and a duration: in 64 bits where one of them needs it.
fn dated(
    out: &mut Vec<u8>,
    name: &[u8; 4],
    flags: u32,
    created: u64,
    duration: u64,
    body: impl FnOnce(&mut Vec<u8>, bool),
) {
    let wide = created.max(duration) > u64::from(u32::MAX);
    full_atom(out, name, u8::from(wide), flags, |out| {
        out.put(created, wide);
        out.put(created, wide);
        body(out, wide);
    });
}

impl Track {
    /// When its presentation ends, in ticks of the movie.
    pub fn end(&self) -> u64 {
        self.edit.start + self.edit.duration
    }

    /// Ticks of all samples.
    pub fn media_duration(&self) -> u64 {
        self.durations.iter().map(|run| u64::from(run.samples) * u64::from(run.value)).sum()
    }

    fn encode(&self, out: &mut Vec<u8>, index: usize, created: u64, layout: &Layout, first: u64, wide: bool) {
        atom(out, b"trak", |out| {
            self.tkhd(out, index, created);
            atom(out, b"edts", |out| self.edit.encode(out));
            atom(out, b"mdia", |out| {
                dated(out, b"mdhd", 0, created, self.media_duration(), |out, wide| {
                    out.put32(self.timescale);
                    out.put(self.media_duration(), wide);
                    out.put16(UNDETERMINED);
                    out.zeros(2);
                });
                self.hdlr(out);
                atom(out, b"minf", |out| {
                    match self.media {
                        Media::Video(..) => full_atom(out, b"vmhd", 0, 1, |out| out.zeros(8)),
                        Media::Audio(_) => full_atom(out, b"smhd", 0, 0, |out| out.zeros(4)),
                    }
                    atom(out, b"dinf", |out| {
                        full_atom(out, b"dref", 0, 0, |out| {
                            out.put32(1);
                            full_atom(out, b"url ", 0, 1, |_| {}); // in this file
                        });
                    });
                    atom(out, b"stbl", |out| self.sample_table(out, index, layout, first, wide));
                });
            });
        });
    }

    fn tkhd(&self, out: &mut Vec<u8>, index: usize, created: u64) {
        let (volume, width, height) = match &self.media {
            Media::Video(entry, _) => (0, entry.shown_width(), u32::from(entry.height) << 16),
            Media::Audio(_) => (0x100, 0, 0),
        };
        // Enabled, and part of the presentation.
        dated(out, b"tkhd", 3, created, self.end(), |out, wide| {
            // A file has a handful of tracks.
            out.put32(u32::try_from(index + 1).unwrap_or(u32::MAX));
            out.zeros(4);
            out.put(self.end(), wide);
            out.zeros(12);
            out.put16(volume);
            out.zeros(2);
            IDENTITY.iter().for_each(|&value| out.put32(value));
            out.put32(width);
            out.put32(height);
        });
    }

    fn hdlr(&self, out: &mut Vec<u8>) {
        let (kind, name) = match self.media {
            Media::Video(..) => (b"vide", "Video\0"),
            Media::Audio(_) => (b"soun", "Audio\0"),
        };
        full_atom(out, b"hdlr", 0, 0, |out| {
            out.zeros(4);
            out.extend_from_slice(kind);
            out.zeros(12);
            out.extend_from_slice(name.as_bytes());
        });
    }

    fn sample_table(&self, out: &mut Vec<u8>, index: usize, layout: &Layout, first: u64, wide: bool) {
        full_atom(out, b"stsd", 0, 0, |out| {
            out.put32(1);
            match &self.media {
                Media::Video(entry, _) => entry.encode(out),
                Media::Audio(entry) => entry.encode(out),
            }
        });
        full_atom(out, b"stts", 0, 0, |out| put_runs(out, &self.durations));
        if !self.offsets.is_empty() {
            full_atom(out, b"ctts", 0, 0, |out| put_runs(out, &self.offsets));
        }
        match &self.media {
            Media::Video(_, keys) if keys.len() < self.sizes.len() => full_atom(out, b"stss", 0, 0, |out| {
                put_list(out, keys.iter().map(|&index| u64::from(index) + 1), false);
            }),
            Media::Video(..) => {}
            Media::Audio(entry) => roll(out, entry.roll_packets, self.sizes.len()),
        }
        full_atom(out, b"stsc", 0, 0, |out| {
            chunk_lengths(out, layout.of_track(index, 0).map(|(chunk, _)| chunk.samples))
        });
        full_atom(out, b"stsz", 0, 0, |out| {
            out.put32(0); // they differ
            put_list(out, self.sizes.iter().map(|&size| u64::from(size)), false);
        });
        let places = layout.of_track(index, first).map(|(_, place)| place);
        full_atom(out, if wide { b"co64" } else { b"stco" }, 0, 0, |out| put_list(out, places, wide));
    }
}

impl VideoEntry {
    /// Width in square pixels, 16.16.
    fn shown_width(&self) -> u32 {
        let (num, den) = self.pixel_aspect;
        let width = (u64::from(self.width) << 16) * u64::from(num) / u64::from(den.max(1));
        u32::try_from(width).unwrap_or(u32::MAX)
    }
}

impl Edit {
    fn encode(self, out: &mut Vec<u8>) {
        let wide = self.start.max(self.duration).max(self.media_time) > i32::MAX as u64;
        full_atom(out, b"elst", u8::from(wide), 0, |out| {
            let empty = (self.start > 0).then_some((self.start, u64::MAX));
            let edits: Vec<_> = empty.into_iter().chain([(self.duration, self.media_time)]).collect();
            out.put32(edits.len() as u32);
            for (duration, media_time) in edits {
                out.put(duration, wide);
                // All ones is -1 in either width: nothing is presented.
                out.put(media_time, wide);
                out.put32(0x1_0000); // speed
            }
        });
    }
}

/// All samples are right only where decoding begins so many of them away (ISO/IEC 14496-12, 10.1).
fn roll(out: &mut Vec<u8>, distance: i16, samples: usize) {
    full_atom(out, b"sgpd", 1, 0, |out| {
        out.extend_from_slice(b"roll");
        out.put32(2); // bytes of an entry
        out.put32(1);
        out.put16(distance.cast_unsigned());
    });
    full_atom(out, b"sbgp", 0, 0, |out| {
        out.extend_from_slice(b"roll");
        out.put32(1);
        out.put32(u32::try_from(samples).unwrap_or(u32::MAX));
        out.put32(1);
    });
}

fn put_runs(out: &mut Vec<u8>, runs: &[Run]) {
    // Not more runs than samples, whose number has 32 bits.
    out.put32(u32::try_from(runs.len()).unwrap_or(u32::MAX));
    for run in runs {
        out.put32(run.samples);
        out.put32(run.value);
    }
}

/// A list behind its own length.
fn put_list(out: &mut Vec<u8>, values: impl Iterator<Item = u64>, wide: bool) {
    let start = out.len();
    out.put32(0);
    let mut count = 0u32;
    for value in values {
        out.put(value, wide);
        count += 1;
    }
    out[start..start + 4].copy_from_slice(&count.to_be_bytes());
}

/// Samples of each chunk, noted where the number changes.
fn chunk_lengths(out: &mut Vec<u8>, lengths: impl Iterator<Item = u32>) {
    let mut changes: Vec<(u32, u32)> = Vec::new();
    for (chunk, samples) in (1u32..).zip(lengths) {
        if changes.last().is_none_or(|last| last.1 != samples) {
            changes.push((chunk, samples));
        }
    }
    out.put32(u32::try_from(changes.len()).unwrap_or(u32::MAX));
    for (chunk, samples) in changes {
        out.put32(chunk);
        out.put32(samples);
        out.put32(1); // sample entry
    }
}

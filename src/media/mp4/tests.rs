//! What was written is read by a reader of the tests' own, which knows the boxes and nothing of the writer.

use std::convert::Infallible;

use proptest::prelude::*;

use super::entry::{Colour, VideoEntry};
use super::layout::{Layout, Placed};
use super::moov::{Edit, Media, Movie, Run, Track, runs};
use super::{WriteError, head, write};
use crate::media::codec::aac;

/// Content of the box at the end of `path`; of boxes with the same name the `nth`.
fn find<'a>(mut bytes: &'a [u8], path: &[(&[u8; 4], usize)]) -> &'a [u8] {
    for (name, nth) in path {
        bytes = children(bytes).filter(|(found, _)| found == *name).nth(*nth).expect("a box").1;
    }
    bytes
}

fn children(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let name = bytes.get(4..8)?.try_into().expect("four bytes");
        let (header, size) = match number(bytes, 0) {
            1 => (16, wide(bytes, 8)),
            size => (8, u64::from(size)),
        };
        let (this, rest) = bytes.split_at((size as usize).min(bytes.len()));
        bytes = rest;
        Some((name, &this[header..]))
    })
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn wide(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|four| number(four, 0)).collect()
}

/// The box of the sample table of a track.
fn table<'a>(file: &'a [u8], track: usize, name: &[u8; 4]) -> &'a [u8] {
    let stbl = find(file, &[(b"moov", 0), (b"trak", track), (b"mdia", 0), (b"minf", 0), (b"stbl", 0)]);
    find(stbl, &[(name, 0)])
}

/// The bytes of each sample, found as a player finds them.
fn samples(file: &[u8], track: usize) -> Vec<&[u8]> {
    let sizes = numbers(&table(file, track, b"stsz")[12..]);
    let places = numbers(&table(file, track, b"stco")[8..]);
    let lengths = numbers(&table(file, track, b"stsc")[8..]);
    let mut sizes = sizes.into_iter();
    let mut found = Vec::new();
    for (chunk, place) in (1u32..).zip(places) {
        let length = lengths.chunks_exact(3).rev().find(|entry| entry[0] <= chunk).expect("a length")[1];
        let mut at = place as usize;
        for size in sizes.by_ref().take(length as usize) {
            found.push(&file[at..at + size as usize]);
            at += size as usize;
        }
    }
    found
}

fn video(sizes: Vec<u32>) -> Track {
    let entry = VideoEntry {
        name: b"hvc1",
        configuration: (b"hvcC", vec![1, 2, 3]),
        width: 720,
        height: 576,
        pixel_aspect: (16, 15),
        colour: Some(Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false }),
    };
    Track {
        media: Media::Video(entry, vec![0]),
        timescale: 25_000,
        durations: runs(sizes.iter().map(|_| 1000)),
        offsets: Vec::new(),
        edit: Edit { start: 0, duration: sizes.len() as u64 * 1920, media_time: 0 },
        sizes,
    }
}

fn audio(sizes: Vec<u32>) -> Track {
    Track {
        media: Media::Audio(aac::entry(&[0x11, 0x90], 48_000, 2, 96_000)),
        timescale: 48_000,
        durations: vec![Run { samples: sizes.len() as u32, value: 1024 }],
        offsets: Vec::new(),
        edit: Edit { start: 4800, duration: sizes.len() as u64 * 1024 - 1024, media_time: 1024 },
        sizes,
    }
}

fn layout(movie: &Movie) -> Layout {
    let placed = movie.tracks.iter().map(|track| {
        let step = 1_000_000_000 * u64::from(track.durations[0].value) / u64::from(track.timescale);
        let samples = (0u64..).zip(&track.sizes);
        let samples = samples.map(move |(n, &bytes)| Placed { time_ns: (n * step) as i64, bytes });
        Box::new(samples) as Box<dyn Iterator<Item = Placed>>
    });
    Layout::interleave(placed.collect())
}

fn movie(tracks: Vec<Track>) -> Movie {
    Movie { created_unix: 1_700_000_000, timescale: 48_000, tracks }
}

/// The n-th sample of a track: its bytes say where it belongs.
fn content(track: usize, sample: usize, size: u32) -> Vec<u8> {
    (0..size as usize).map(|n| (track * 101 + sample * 7 + n) as u8).collect()
}

fn file_of(movie: &Movie) -> Vec<u8> {
    let mut next = vec![0; movie.tracks.len()];
    let mut file = Vec::new();
    let written = write(&mut file, movie, &layout(movie), |track, out| {
        out.extend(content(track, next[track], movie.tracks[track].sizes[next[track]]));
        next[track] += 1;
        Ok::<_, Infallible>(())
    });
    written.expect("a file in memory");
    file
}

#[test]
fn entries_say_what_was_given() {
    let file = file_of(&movie(vec![video(vec![10; 3]), audio(vec![5; 6])]));
    let entry = find(&table(&file, 0, b"stsd")[8..], &[(b"hvc1", 0)]);
    assert_eq!(find(&entry[78..], &[(b"hvcC", 0)]), [1, 2, 3]);
    assert_eq!(find(&entry[78..], &[(b"colr", 0)]), b"nclx\x00\x09\x00\x10\x00\x09\x00");
    assert_eq!(numbers(find(&entry[78..], &[(b"pasp", 0)])), [16, 15]);
    let header = find(&file, &[(b"moov", 0), (b"trak", 0), (b"tkhd", 0)]);
    assert_eq!(numbers(&header[header.len() - 8..]), [768 << 16, 576 << 16], "in square pixels");
    let entry = find(&table(&file, 1, b"stsd")[8..], &[(b"mp4a", 0)]);
    let config = find(&entry[28..], &[(b"esds", 0)]);
    assert!(config.windows(7).any(|window| window == [5, 0x80, 0x80, 0x80, 2, 0x11, 0x90]));
    let elst = find(&file, &[(b"moov", 0), (b"trak", 1), (b"edts", 0), (b"elst", 0)]);
    assert_eq!(numbers(elst), [0, 2, 4800, u32::MAX, 0x1_0000, 5120, 1024, 0x1_0000]);
    assert_eq!(numbers(table(&file, 0, b"stss")), [0, 1, 1]);
}

#[test]
fn files_beyond_four_gigabytes_have_wide_places_and_sizes() {
    let big = movie(vec![video(vec![1_500_000_000; 4]), audio(vec![400; 8])]);
    let layout = layout(&big);
    let head = head(&big, &layout);
    let offsets = table(&head, 0, b"co64");
    assert_eq!(wide(offsets, 8), head.len() as u64, "the first sample follows the head");
    let mdat = &head[head.len() - 16..];
    assert_eq!((&mdat[..8], wide(mdat, 8)), (&b"\0\0\0\x01mdat"[..], layout.bytes() + 16));
    // Just below, the size fits and the places do not: the boxes in front count too.
    let edge = movie(vec![video(vec![u32::MAX - 60])]);
    let head = super::head(&edge, &super::tests::layout(&edge));
    assert_eq!(number(&head, head.len() - 8), u32::MAX - 52);
    assert_eq!(wide(table(&head, 0, b"co64"), 8), head.len() as u64);
}

#[test]
fn long_films_have_wide_durations_and_the_clock_of_1904_does_not_end_in_2040() {
    let mut long = movie(vec![audio(vec![1])]);
    long.tracks[0].edit = Edit { start: 1, duration: 1 << 33, media_time: 1024 };
    long.created_unix = 4_000_000_000;
    let moov = long.encode(&layout(&long), 0, false);
    let header = find(&moov, &[(b"moov", 0), (b"mvhd", 0)]);
    assert_eq!(header[0], 1, "64 bits");
    assert_eq!(wide(header, 4), 4_000_000_000 + 2_082_844_800);
    assert_eq!(wide(header, 24), (1 << 33) + 1);
    let elst = find(&moov, &[(b"moov", 0), (b"trak", 0), (b"edts", 0), (b"elst", 0)]);
    assert_eq!((wide(elst, 8), wide(elst, 16)), (1, u64::MAX));
    assert_eq!((wide(elst, 28), wide(elst, 36)), (1 << 33, 1024));
}

#[test]
fn a_sample_of_another_length_than_announced_is_refused() {
    let movie = movie(vec![video(vec![10, 10])]);
    let written = write(&mut Vec::new(), &movie, &layout(&movie), |_, out| {
        out.extend([0; 9]);
        Ok::<_, Infallible>(())
    });
    assert!(matches!(written, Err(WriteError::Size { track: 0, sample: 0, found: 9, expected: 10 })));
}

proptest! {
    #[test]
    fn every_sample_is_where_the_index_says(
        video_sizes in proptest::collection::vec(0u32..200, 1..120), audio_sizes in proptest::collection::vec(0u32..50, 1..300),
    ) {
        let movie = movie(vec![video(video_sizes), audio(audio_sizes)]);
        let file = file_of(&movie);
        let names: Vec<_> = children(&file).map(|(name, _)| name).collect();
        prop_assert_eq!(names, [*b"ftyp", *b"moov", *b"mdat"]);
        for (index, track) in movie.tracks.iter().enumerate() {
            let found = samples(&file, index);
            prop_assert_eq!(found.len(), track.sizes.len());
            for (sample, bytes) in found.into_iter().enumerate() {
                prop_assert_eq!(bytes, content(index, sample, track.sizes[sample]));
            }
        }
    }

    #[test]
    fn runs_say_every_value(values in proptest::collection::vec(0u32..3, 0..100)) {
        let said: Vec<u32> = runs(values.iter().copied()).iter().flat_map(|run| vec![run.value; run.samples as usize]).collect();
        prop_assert_eq!(said, values);
    }
}

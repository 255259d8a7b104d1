use super::*;
use crate::media::gdp::{GdpReader, presentation_ns};
use proptest::prelude::*;

const FRAME: i64 = 40_000_000;

fn unit(time: i64, dts: Option<i64>) -> Unit {
    let buffer = gst::Buffer::from_slice(time.to_be_bytes());
    Unit { time, timed: true, dts, duration: None, hidden: false, heard: (time, time), buffer, alpha: None }
}

/// A track in decoding order: numbers of frames, and what kind of unit each is.
fn cut(track: &[(i64, Access)], with_dts: bool, chunk_seconds: u32) -> (tempfile::TempDir, Vec<ChunkFacts>) {
    crate::media::pipeline::init().expect("GStreamer");
    let directory = tempfile::tempdir().expect("a directory");
    let caps = gst::Caps::new_empty_simple("video/x-test");
    let mut cutter = Cutter::new(directory.path(), None, chunk_seconds);
    for (decoded, (number, access)) in (0..).zip(track) {
        let dts = with_dts.then_some((decoded - 4) * FRAME);
        cutter.push(&unit(number * FRAME, dts), *access, &caps).expect("written");
    }
    let last = track.iter().map(|(number, _)| *number).max().expect("a frame");
    let chunks = cutter.finish(u64::try_from((last + 1) * FRAME).expect("not negative")).expect("finished");
    (directory, chunks)
}

/// Numbers of the frames in a chunk source, in the order of the file.
fn read(directory: &Path, name: &str) -> Vec<i64> {
    let mut reader = GdpReader::open(&directory.join(name)).expect("a source");
    let mut numbers = Vec::new();
    while let Some(sample) = reader.next().expect("whole") {
        let time = sample.buffer().and_then(|buffer| buffer.pts()).expect("a time");
        numbers.push(presentation_ns(time) / FRAME);
    }
    numbers
}

/// GOPs of 25 frames; open ones put two leading pictures behind their first.
fn gops(count: i64, open: bool) -> Vec<(i64, Access)> {
    let mut track = Vec::new();
    for gop in 0..count {
        let first = gop * 25;
        let access = if open { Access::Open } else { Access::Closed };
        track.push((first, access));
        if open && gop > 0 {
            track.extend([(first - 2, Access::None), (first - 1, Access::None)]);
        }
        let rest = first + 1..first + if open && gop + 1 < count { 23 } else { 25 };
        track.extend(rest.map(|number| (number, Access::None)));
    }
    track
}

#[test]
fn a_source_ends_where_a_closed_gop_begins() {
    let (directory, chunks) = cut(&gops(4, false), true, 2);
    let sources: Vec<&str> = chunks.iter().map(|chunk| chunk.source.as_str()).collect();
    assert_eq!(sources, ["v00000.gdp", "v00001.gdp"]);
    assert_eq!(chunks[1].window.start_ns, 2_000_000_000);
    assert_eq!(read(directory.path(), "v00000.gdp"), (0..50).collect::<Vec<_>>());
    assert_eq!(read(directory.path(), "v00001.gdp"), (50..100).collect::<Vec<_>>());
}

#[test]
fn leading_pictures_of_an_open_gop_are_in_the_source_in_front_only() {
    for with_dts in [true, false] {
        let (directory, chunks) = cut(&gops(4, true), with_dts, 2);
        assert_eq!(chunks.len(), 2);
        let first = read(directory.path(), "v00000.gdp");
        assert!([48, 49, 50].iter().all(|number| first.contains(number)), "{first:?}");
        let second = read(directory.path(), "v00001.gdp");
        assert_eq!(second[0], 50);
        assert!(second.iter().all(|number| *number >= 50), "{second:?}");
        assert_eq!(chunks.iter().map(|chunk| chunk.window.frames).collect::<Vec<_>>(), [50, 50]);
    }
}

#[test]
fn a_picture_that_only_looks_like_an_access_point_begins_no_source() {
    let mut track = gops(4, false);
    track.iter_mut().skip(1).filter(|(_, access)| *access == Access::Closed).for_each(|unit| unit.1 = Access::Poor);
    let (_directory, chunks) = cut(&track, true, 1);
    assert!(chunks.iter().all(|chunk| chunk.source == "v00000.gdp"), "{chunks:?}");
    // Windows of at most 2.1 s on the only source.
    assert_eq!(chunks.iter().map(|chunk| chunk.window.frames).collect::<Vec<_>>(), [47, 53]);
}

#[test]
fn two_frames_of_one_time_are_counted_where_their_time_belongs() {
    let mut track = gops(4, false);
    track.insert(50, (49, Access::None));
    let (_directory, chunks) = cut(&track, true, 2);
    assert_eq!(chunks.iter().map(|chunk| chunk.window.frames).sum::<u32>(), 101);
}

#[test]
fn times_that_run_backwards_do_not_divide_what_was_decoded_together() {
    let mut track = gops(4, false);
    // The access point at frame 50 comes behind a frame that is shown later.
    track.insert(50, (60, Access::None));
    let (directory, chunks) = cut(&track, true, 2);
    assert_eq!(chunks.iter().map(|chunk| chunk.window.frames).sum::<u32>(), 101);
    assert!(read(directory.path(), "v00000.gdp").contains(&50));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn every_frame_is_in_the_source_of_the_window_that_holds_it(
        lengths in proptest::collection::vec((1i64..60, 0i64..4, any::<bool>()), 1..12),
        with_dts: bool, chunk_seconds in 1u32..5,
    ) {
        let mut track = Vec::new();
        let mut first = 0;
        let mut total = 0;
        for (index, (length, leading, closed)) in lengths.iter().enumerate() {
            // Leading pictures are shown in front of the access point, whose time therefore is later.
            let leading = if *closed || index == 0 { 0 } else { *leading };
            let access = if *closed { Access::Closed } else { Access::Open };
            track.push((first + leading, access));
            track.extend((first..first + leading).map(|number| (number, Access::None)));
            track.extend((first + leading + 1..first + leading + length).map(|number| (number, Access::None)));
            first += leading + length;
            total += leading + length;
        }
        let (directory, chunks) = cut(&track, with_dts, chunk_seconds);
        prop_assert_eq!(chunks[0].window.start_ns, 0);
        prop_assert_eq!(chunks[chunks.len() - 1].window.end_ns, u64::try_from(total * FRAME).expect("positive"));
        let mut kept = Vec::new();
        for chunk in &chunks {
            let numbers = read(directory.path(), &chunk.source);
            let window = chunk.window.start_ns as i64..chunk.window.end_ns as i64;
            let inside: Vec<i64> = numbers.into_iter().filter(|number| window.contains(&(number * FRAME))).collect();
            prop_assert_eq!(inside.len(), chunk.window.frames as usize);
            kept.extend(inside);
        }
        kept.sort_unstable();
        prop_assert_eq!(kept, (0..total).collect::<Vec<_>>());
    }
}

//! The encode stage on real and generated media: what the judge sees in the parts.

use std::collections::BTreeSet;

use actors::domain::failure::FailureClass;
use actors::domain::job::VideoCodec;
use actors::domain::plan::{VideoRendition, Window};
use gstreamer_worker::media;
use gstreamer_worker::protocol::{EncodeSpec, Encoded};

use super::cut::{Cut, H264, av1, bitrate, counts, crf, encode, h264, h265, units};
use super::sources::{PICTURE, decode, judged, make};
use crate::support::media::{film, judge, luma_psnr, text};

/// How the stage saw that the source is lost.
fn lost(spec: &EncodeSpec) -> String {
    match media::run(spec, &|_| {}).expect("an answer") {
        Encoded::SourceLost(how) => how,
        other => panic!("the source is not lost: {other:?}"),
    }
}

/// Types of the NAL units of an access unit.
fn nal_types(codec: VideoCodec, bytes: &[u8]) -> Vec<u8> {
    let starts = bytes.windows(4).filter(|window| window[..3] == [0, 0, 1]).map(|window| window[3]);
    starts.map(|byte| if codec == VideoCodec::H264 { byte & 0x1f } else { byte >> 1 & 0x3f }).collect()
}

#[test]
fn a_chunk_of_the_real_film_has_all_its_frames_and_looks_like_the_film() {
    let cut = Cut::of(tempfile::tempdir().expect("a directory"), film(), 10);
    let (part, file) = cut.encode(2, &VideoRendition { keyframe_interval: 48, ..h264(1280, 720, bitrate(5_000_000)) });
    let window = cut.facts.video.chunks[2].window;
    let (frames, keys) = counts(&file);
    assert_eq!(frames, window.frames);
    assert!(keys >= window.frames.div_ceil(48), "{file:?}");
    assert_eq!(file.bytes, std::fs::metadata(&part).expect("a part").len());
    let stream = cut.directory.path().join("out.h264");
    let bytes: Vec<u8> = units(&part).into_iter().flat_map(|unit| unit.bytes).collect();
    std::fs::write(&stream, bytes).expect("written");
    // The same frames of the film, not encoded again.
    let first = cut.facts.video.chunks[..2].iter().map(|chunk| chunk.window.frames).sum::<u32>();
    let last = first + window.frames - 1;
    let select = format!("select=between(n\\,{first}\\,{last})");
    let excerpt = cut.directory.path().join("excerpt.mkv");
    let lossless = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-an", "-fps_mode", "passthrough"];
    judge(&[&["-v", "error", "-i", text(&cut.input), "-vf", &select][..], &lossless, &[text(&excerpt)]].concat());
    let psnr = luma_psnr(&stream, &excerpt, 1280, 720);
    assert_eq!(psnr.len(), window.frames as usize);
    let worst = psnr.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(worst > 30.0, "{worst} dB");
}

#[test]
fn the_same_spec_gives_the_same_bytes_and_a_ladder_those_of_each_rendition_alone() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 4);
    let ladder = [
        h264(160, 96, bitrate(200_000)),
        h264(80, 48, crf(30)),
        h265(160, 96, 8, bitrate(150_000)),
        h265(80, 48, 10, crf(30)),
        av1(160, 96, 8, 40),
        av1(128, 72, 10, 40),
    ];
    let together = encode(&cut.spec(1, &ladder)).expect("a ladder");
    assert_eq!(together, encode(&cut.spec(1, &ladder)).expect("a ladder"));
    for (rendition, file) in ladder.iter().zip(&together) {
        assert_eq!(cut.encode(1, rendition).1, *file, "{rendition:?}");
    }
}

#[test]
fn uneven_frame_times_are_kept_to_the_nanosecond() {
    let vary = "-vf select='not(eq(mod(n\\,3)\\,1))*not(eq(mod(n\\,7)\\,2))' -fps_mode vfr";
    let cut = Cut::new(&format!("{PICTURE} {H264} {vary}"), "vfr.mp4", 2);
    let expected: Vec<i64> = judged(&cut.input).into_iter().map(|(time, _)| time).collect();
    for rendition in [h264(160, 96, bitrate(200_000)), h265(160, 96, 8, bitrate(200_000)), av1(160, 96, 8, 40)] {
        let mut times = Vec::new();
        for index in 0..cut.facts.video.chunks.len() {
            let (part, _) = cut.encode(index, &rendition);
            let units = units(&part);
            assert!(units.is_sorted_by(|a, b| a.dts < b.dts), "decoding times grow");
            assert!(units.iter().all(|unit| unit.dts <= unit.pts), "no frame is shown before it is decoded");
            times.extend(units.iter().map(|unit| unit.pts));
        }
        times.sort_unstable();
        assert_eq!(times, expected);
    }
}

#[test]
fn every_chunk_begins_with_an_idr_and_each_idr_has_its_parameter_sets() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 4);
    for (rendition, sets, idr) in
        [(h264(160, 96, crf(28)), &[7, 8][..], &[5][..]), (h265(160, 96, 8, crf(28)), &[32, 33, 34], &[19, 20])]
    {
        let (part, file) = cut.encode(1, &rendition);
        let units = units(&part);
        assert!(units[0].key);
        assert_eq!(counts(&file).1 as usize, units.iter().filter(|unit| unit.key).count());
        for unit in &units {
            let types = nal_types(rendition.codec, &unit.bytes);
            assert_eq!(unit.key, types.iter().any(|kind| idr.contains(kind)), "{types:?}");
            assert!(!unit.key || sets.iter().all(|set| types.contains(set)), "{types:?}");
        }
        let keys: Vec<usize> = (0..units.len()).filter(|index| units[*index].key).collect();
        assert!(keys.windows(2).all(|pair| pair[1] - pair[0] <= 50), "{keys:?}");
        // Closed: nothing behind an IDR is shown before it.
        for key in keys {
            assert!(units[key..].iter().all(|unit| unit.pts >= units[key].pts));
        }
    }
}

#[test]
fn every_chunk_of_av1_begins_with_a_key_frame_with_its_sequence_header_and_they_come_as_planned() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 4);
    let (part, file) = cut.encode(1, &VideoRendition { keyframe_interval: 20, ..av1(160, 96, 8, 40) });
    let units = units(&part);
    let keys: Vec<usize> = (0..units.len()).filter(|index| units[*index].key).collect();
    assert_eq!(keys, (0..units.len()).step_by(20).collect::<Vec<_>>());
    assert_eq!(counts(&file), (units.len() as u32, keys.len() as u32));
    for unit in &units {
        // A temporal delimiter, then a sequence header (type 1) in front of key frames.
        assert_eq!(unit.bytes[..2], [0x12, 0]);
        assert_eq!(unit.key, unit.bytes[2] == 0x0a, "{:x?}", &unit.bytes[..4]);
    }
}

#[test]
fn rates_are_what_was_asked_for() {
    let cut = Cut::new(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=8 -c:v libx264 -preset ultrafast -pix_fmt yuv420p",
        "a.mp4",
        60,
    );
    let bytes = |rendition: &VideoRendition| -> u64 {
        let count = cut.facts.video.chunks.len();
        let parts = (0..count).flat_map(|index| units(&cut.encode(index, rendition).0));
        parts.map(|unit| unit.bytes.len() as u64).sum()
    };
    for family in [h264(320, 180, bitrate(400_000)), h265(320, 180, 8, bitrate(400_000))] {
        let found = bytes(&family) * 8 / 8;
        assert!((320_000..480_000).contains(&found), "{found} bit/s from {:?}", family.encoder);
    }
    for (good, poor) in [
        (h264(320, 180, crf(20)), h264(320, 180, crf(36))),
        (h265(320, 180, 8, crf(20)), h265(320, 180, 8, crf(36))),
        (av1(320, 180, 8, 20), av1(320, 180, 8, 50)),
    ] {
        let (good, poor) = (bytes(&good), bytes(&poor));
        assert!(good > poor * 2, "{good} and {poor} bytes");
    }
}

#[test]
fn constant_quality_takes_the_bits_that_it_needs() {
    // Noise: nothing of it can be predicted.
    let noise = "-f lavfi -i nullsrc=s=320x180:r=25:d=2,geq=random(1)*255:128:128 -c:v libx264 -preset ultrafast -qp 10 -pix_fmt yuv420p";
    let cut = Cut::new(noise, "noise.mp4", 60);
    for rendition in [h264(320, 180, crf(12)), h265(320, 180, 8, crf(12)), av1(320, 180, 8, 12)] {
        let parts = (0..cut.facts.video.chunks.len()).map(|index| cut.encode(index, &rendition).0);
        let bits: usize = parts.flat_map(|part| units(&part)).map(|unit| unit.bytes.len() * 8).sum();
        // Two seconds. The default of `x264enc` bounds it at 2 Mbit/s.
        assert!(bits / 2 > 6_000_000, "{bits} bits from {:?}", rendition.encoder);
    }
}

#[test]
fn cuts_between_chunks_change_no_picture() {
    // Lossless, so that what is decoded from the parts is what went into the encoder.
    let rendition = h264(160, 96, crf(0));
    for options in [
        format!("{PICTURE} {H264}"),
        "-f lavfi -i testsrc2=s=160x96:r=50:d=8 -vf interlace -c:v libx264 -x264-params tff=1:keyint=25".to_owned(),
    ] {
        // Made once: x264 with threads, as the judge runs it, does not give the same fields each time.
        let made = tempfile::tempdir().expect("a directory");
        let input = make(made.path(), "a.mp4", &options);
        let pictures = |chunk_seconds| {
            let cut = Cut::of(tempfile::tempdir().expect("a directory"), input.clone(), chunk_seconds);
            let chunks = 0..cut.facts.video.chunks.len();
            chunks.flat_map(|index| decode(&cut.encode(index, &rendition).0)).collect::<Vec<_>>()
        };
        let (many, few) = (pictures(1), pictures(60));
        assert_eq!(many.len(), 200);
        assert!(many == few, "{options}");
    }
}

#[test]
fn frames_that_are_missing_in_a_window_are_counted_and_one_without_any_is_a_fault() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 60);
    let mut spec = cut.spec(0, &[h264(160, 96, crf(30))]);
    spec.chunk.window.frames += 3;
    assert_eq!(encode(&spec).expect("the others")[0].media.damaged, 3);
    spec.chunk.window.frames -= 4;
    let failure = encode(&spec).expect_err("one frame too many");
    assert_eq!(failure.class, FailureClass::Permanent);
    let (expected, found) = (spec.chunk.window.frames, spec.chunk.window.frames + 1);
    assert!(failure.message.contains("chunk 0 (0.000 s to"), "{failure}");
    assert!(
        failure.message.contains(&expected.to_string()) && failure.message.contains(&found.to_string()),
        "{failure}"
    );
    spec.chunk.window = Window { start_ns: 3_600_000_000_000, end_ns: 3_601_000_000_000, frames: 1 };
    assert_eq!(encode(&spec).expect_err("nothing there").class, FailureClass::Permanent);
}

#[test]
fn a_source_that_is_damaged_cut_short_or_missing_is_lost_and_a_disk_that_refuses_is_worth_another_try() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 60);
    let rendition = h264(160, 96, crf(30));
    let mut nowhere = cut.spec(0, std::slice::from_ref(&rendition));
    nowhere.targets = vec!["/nowhere/at/all.gdp".into()];
    let failure = encode(&nowhere).expect_err("nowhere to write");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
    let spec = cut.spec(0, &[rendition]);
    let bytes = std::fs::read(&spec.source).expect("the source");
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 0x10;
    for content in [&damaged[..], &bytes[..bytes.len() / 2], &bytes[..bytes.len() - 1]] {
        std::fs::write(&spec.source, content).expect("written");
        assert!(lost(&spec).contains("v00000.gdp"), "{}", lost(&spec));
    }
    std::fs::remove_file(&spec.source).expect("removed");
    assert!(lost(&spec).contains("v00000.gdp"));
    std::fs::write(&spec.source, &bytes).expect("written");
    encode(&spec).expect("a whole source again");
}

#[test]
fn progress_grows_to_the_length_of_the_chunk() {
    let cut = Cut::of(tempfile::tempdir().expect("a directory"), film(), 60);
    let told = std::cell::RefCell::new(Vec::new());
    let spec = cut.spec(0, &[h264(320, 180, crf(40))]);
    media::run(&spec, &|media_ns| told.borrow_mut().push(media_ns)).expect("a chunk");
    let told = told.into_inner();
    let length = spec.chunk.window.end_ns - spec.chunk.window.start_ns;
    assert!(!told.is_empty() && told.iter().all(|media_ns| *media_ns < length), "{told:?}");
    let distinct: BTreeSet<_> = told.iter().collect();
    assert!(told.is_sorted() && distinct.len() == told.len(), "{told:?}");
}

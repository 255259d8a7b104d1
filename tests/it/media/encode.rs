//! The encode stage on real and generated media: what the judge sees in the parts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::job::{Preset, Rate, VideoCodec};
use actors::domain::part::VideoStats;
use actors::domain::plan::{Chunk, EncoderFamily, SourceFacts, VideoRendition, Window};
use gstreamer_worker::media;
use gstreamer_worker::media::gdp::{GdpReader, presentation_ns};
use gstreamer_worker::protocol::{DeviceWork, EncodeSpec, Encoded, EncodedFile};

use super::sources::{PICTURE, decode, judged, make, split};
use crate::support::media::{film, judge, luma_psnr, text};

const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 40";

/// An input that was cut, and a place for parts.
struct Cut {
    directory: tempfile::TempDir,
    input: PathBuf,
    facts: SourceFacts,
}

impl Cut {
    fn new(options: &str, name: &str, chunk_seconds: u32) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let input = make(directory.path(), name, options);
        Self::of(directory, input, chunk_seconds)
    }

    fn of(directory: tempfile::TempDir, input: PathBuf, chunk_seconds: u32) -> Self {
        let facts = split(&input, directory.path(), chunk_seconds).expect("a film");
        Self { directory, input, facts }
    }

    fn spec(&self, index: usize, renditions: &[VideoRendition]) -> EncodeSpec {
        let mut facts = self.facts.video.clone();
        let chunk = std::mem::take(&mut facts.chunks).remove(index);
        let targets = (0..renditions.len()).map(|n| self.directory.path().join(format!("{index:05}-{n}.gdp")));
        EncodeSpec {
            source: self.directory.path().join(&chunk.source),
            facts,
            chunk: Chunk {
                index: index as u32,
                source: chunk.source,
                window: chunk.window,
                rates: renditions.iter().map(|rendition| rendition.rate).collect(),
            },
            renditions: renditions.to_vec(),
            targets: targets.collect(),
            device: DeviceWork::default(),
        }
    }

    fn encode(&self, index: usize, rendition: &VideoRendition) -> (PathBuf, EncodedFile<VideoStats>) {
        let spec = self.spec(index, std::slice::from_ref(rendition));
        let file = encode(&spec).unwrap_or_else(|failure| panic!("{failure}")).remove(0);
        (spec.targets[0].clone(), file)
    }

    /// All chunks as one elementary stream, which the judge can read.
    fn stream(&self, rendition: &VideoRendition) -> PathBuf {
        let mut bytes = Vec::new();
        for index in 0..self.facts.video.chunks.len() {
            let (part, _) = self.encode(index, rendition);
            units(&part).into_iter().for_each(|unit| bytes.extend(unit.bytes));
        }
        let path = self.directory.path().join(format!("out.{}", rendition.codec.as_str()));
        std::fs::write(&path, bytes).expect("written");
        path
    }
}

fn encode(spec: &EncodeSpec) -> Result<Vec<EncodedFile<VideoStats>>, Failure> {
    match media::run(spec, &|_| {})? {
        Encoded::Files(files) => Ok(files),
        other => panic!("not the result of an encode: {other:?}"),
    }
}

/// Frames, and random access points among them.
fn counts(file: &EncodedFile<VideoStats>) -> (u32, u32) {
    (file.media.access_units, file.media.key_units)
}

/// How the stage saw that the source is lost.
fn lost(spec: &EncodeSpec) -> String {
    match media::run(spec, &|_| {}).expect("an answer") {
        Encoded::SourceLost(how) => how,
        other => panic!("the source is not lost: {other:?}"),
    }
}

struct Unit {
    pts: i64,
    dts: i64,
    key: bool,
    bytes: Vec<u8>,
}

/// The access units of a part.
fn units(part: &Path) -> Vec<Unit> {
    let mut reader = GdpReader::open(part).expect("a part");
    let mut units = Vec::new();
    while let Some(sample) = reader.next().expect("a whole part") {
        let buffer = sample.buffer().expect("a buffer");
        units.push(Unit {
            pts: presentation_ns(buffer.pts().expect("a time")),
            dts: presentation_ns(buffer.dts().expect("a time")),
            key: !buffer.flags().contains(gstreamer::BufferFlags::DELTA_UNIT),
            bytes: buffer.map_readable().expect("bytes").to_vec(),
        });
    }
    units
}

/// Types of the NAL units of an access unit.
fn nal_types(codec: VideoCodec, bytes: &[u8]) -> Vec<u8> {
    let starts = bytes.windows(4).filter(|window| window[..3] == [0, 0, 1]).map(|window| window[3]);
    starts.map(|byte| if codec == VideoCodec::H264 { byte & 0x1f } else { byte >> 1 & 0x3f }).collect()
}

fn crf(value: u64) -> Rate {
    Rate::Crf(value.try_into().expect("a crf"))
}

fn bitrate(bits: u64) -> Rate {
    Rate::Bitrate(bits.try_into().expect("a bitrate"))
}

fn h264(width: u32, height: u32, rate: Rate) -> VideoRendition {
    VideoRendition {
        codec: VideoCodec::H264,
        encoder: EncoderFamily::X264,
        width,
        height,
        bit_depth: 8,
        preset: Preset::Veryfast,
        rate,
        keyframe_interval: 50,
    }
}

fn h265(width: u32, height: u32, bit_depth: u8, rate: Rate) -> VideoRendition {
    let encoder = EncoderFamily::X265;
    let preset = Preset::Ultrafast;
    VideoRendition { codec: VideoCodec::H265, encoder, bit_depth, preset, ..h264(width, height, rate) }
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
    for rendition in [h264(160, 96, bitrate(200_000)), h265(160, 96, 8, bitrate(200_000))] {
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
    for (good, poor) in
        [(h264(320, 180, crf(20)), h264(320, 180, crf(36))), (h265(320, 180, 8, crf(20)), h265(320, 180, 8, crf(36)))]
    {
        let (good, poor) = (bytes(&good), bytes(&poor));
        assert!(good > poor * 2, "{good} and {poor} bytes");
    }
}

#[test]
fn constant_quality_takes_the_bits_that_it_needs() {
    // Noise: nothing of it can be predicted.
    let noise = "-f lavfi -i nullsrc=s=320x180:r=25:d=2,geq=random(1)*255:128:128 -c:v libx264 -preset ultrafast -qp 10 -pix_fmt yuv420p";
    let cut = Cut::new(noise, "noise.mp4", 60);
    for rendition in [h264(320, 180, crf(12)), h265(320, 180, 8, crf(12))] {
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

/// What the judge says of the first video stream.
fn described(path: &Path) -> String {
    let (_, log) = judge(&["-i", text(path), "-frames:v", "1", "-f", "null", "-"]);
    log.lines().find(|line| line.contains("Video:")).expect("a video stream").to_owned()
}

#[test]
fn colours_stay_what_they_are_at_any_size() {
    let bt709 = "-colorspace bt709 -color_primaries bt709 -color_trc bt709";
    let hd =
        format!("-f lavfi -i testsrc2=s=1280x720:r=25:d=1 -c:v libx264 -preset ultrafast -pix_fmt yuv420p {bt709}");
    let cut = Cut::new(&hd, "hd.mp4", 60);
    let small = cut.stream(&h264(320, 180, crf(20)));
    assert!(described(&small).contains("yuv420p(tv, bt709"), "{}", described(&small));
    let psnr = luma_psnr(&small, &cut.input, 320, 180);
    assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{psnr:?}");
    let full = "-f lavfi -i testsrc2=s=160x96:r=25:d=1 -c:v libx264 -pix_fmt yuvj420p -color_range pc";
    let cut = Cut::new(full, "full.mp4", 60);
    let full = cut.stream(&h264(160, 96, crf(20)));
    assert!(described(&full).contains("(pc"), "{}", described(&full));
}

#[test]
fn turned_and_anamorphic_sources_come_out_upright_with_square_pixels() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "plain.mp4", 60);
    for (angle, width, height) in [(90, 96, 160), (180, 160, 96), (270, 96, 160)] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = format!("-display_rotation {angle} -i {} -c copy -t 1", text(&cut.input));
        let input = make(directory.path(), "turned.mp4", &options);
        let turned = Cut::of(directory, input, 60);
        // The judge turns by itself.
        let psnr = luma_psnr(&turned.stream(&h264(width, height, crf(18))), &turned.input, width, height);
        assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{angle}: {psnr:?}");
    }
    let wide = Cut::new(&format!("{PICTURE} -t 1 -vf setsar=2/1 {H264}"), "wide.mp4", 60);
    let stream = wide.stream(&h264(320, 96, crf(18)));
    assert!(described(&stream).contains("320x96 [SAR 1:1"), "{}", described(&stream));
    let psnr = luma_psnr(&stream, &wide.input, 320, 96);
    assert!(psnr.iter().all(|psnr| *psnr > 30.0), "{psnr:?}");
}

#[test]
fn interlaced_sources_become_progressive_with_the_same_number_of_frames() {
    let fields = "-f lavfi -i testsrc2=s=160x96:r=50:d=4 -vf interlace -c:v libx264 -x264-params tff=1";
    let cut = Cut::new(fields, "fields.mp4", 60);
    let stream = cut.stream(&h264(160, 96, crf(23)));
    assert!(described(&stream).contains("progressive"), "{}", described(&stream));
    assert_eq!(judged(&stream).len(), 100);
}

#[test]
fn ten_bits_stay_ten_bits_where_the_rendition_says_so() {
    let deep = "-c:v libx265 -preset ultrafast -pix_fmt yuv420p10le -x265-params log-level=none -tag:v hvc1 -t 1";
    let cut = Cut::new(&format!("{PICTURE} {deep}"), "deep.mp4", 60);
    let stream = cut.stream(&h265(160, 96, 10, crf(23)));
    assert!(described(&stream).contains("yuv420p10le"), "{}", described(&stream));
    let stream = cut.stream(&h264(160, 96, crf(23)));
    assert!(described(&stream).contains("yuv420p("), "{}", described(&stream));
}

#[test]
fn a_window_that_the_source_does_not_fill_is_a_fault_that_names_the_numbers() {
    let cut = Cut::new(&format!("{PICTURE} {H264}"), "h264.mp4", 60);
    let mut spec = cut.spec(0, &[h264(160, 96, crf(30))]);
    spec.chunk.window.frames += 3;
    let failure = encode(&spec).expect_err("three frames are missing");
    assert_eq!(failure.class, FailureClass::Permanent);
    let (expected, found) = (spec.chunk.window.frames, spec.chunk.window.frames - 3);
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

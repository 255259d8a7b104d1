//! A second encoder family, OpenH264 in the place of a device, alone and in one stream with x264.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use actors::domain::failure::{DeviceFault, Failure, FailureClass};
use actors::domain::job::{Container, JobSpec, Rate};
use actors::domain::part::{MediaStats, VideoStats};
use actors::domain::plan::testing::identity;
use actors::domain::plan::testing::video_of;
use actors::domain::plan::{EncoderFamily, Families, Plan};
use actors::domain::track::TrackId;
use gstreamer_worker::media;
use gstreamer_worker::media::codec::h264;
use gstreamer_worker::media::codec::nal::NalKind as Kind;
use gstreamer_worker::media::codec::start_code::nal_units;
use gstreamer_worker::media::gdp::{GdpReader, presentation_ns};
use gstreamer_worker::protocol::{DeviceWork, EncodeSpec, Encoded, Joined, Order, PartSource, StageEvent};

use super::parts::{joins, recorded};
use super::sources::{PICTURE, make, split};
use crate::support::media::{film, frame_times, gstreamer_warnings_of_silent, judge, luma_psnr, text, warnings};

use EncoderFamily::{Openh264, X264};

/// A film that was cut, planned for one rendition without sound.
struct Planned {
    directory: tempfile::TempDir,
    input: PathBuf,
    plan: Plan,
}

impl Planned {
    fn new(options: &str, chunk_seconds: u32, video: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let input = make(directory.path(), "in.mp4", options);
        Self::of(directory, input, chunk_seconds, video)
    }

    fn of(directory: tempfile::TempDir, input: PathBuf, chunk_seconds: u32, video: &str) -> Self {
        let mut facts = split(&input, directory.path(), chunk_seconds).expect("a film");
        facts.audio = None;
        let job = format!(
            r#"{{"job_id": "families", "input": {{"uri": "file:///in"}}, "outputs": [
                {{"uri": "file:///out", "container": "mpegts", "video": {{"codec": "h264", "preset": "fast", {video}}}}}]}}"#
        );
        let job = JobSpec::parse(job.as_bytes()).expect("a job");
        let plan = Plan::build(job, identity(), facts, 4, &Families::default()).expect("a plan");
        Self { directory, input, plan }
    }

    fn spec(&self, index: usize, family: EncoderFamily) -> EncodeSpec {
        let mut renditions = self.plan.video_renditions().to_vec();
        renditions[0].encoder = family;
        let chunk = self.plan.chunks()[index].clone();
        EncodeSpec {
            source: self.directory.path().join(&chunk.source),
            facts: self.plan.video().expect("video").facts.clone(),
            chunk,
            renditions,
            targets: vec![self.directory.path().join(format!("part{index:05}-{}.gdp", family.as_str()))],
            device: DeviceWork::default(),
        }
    }

    fn encode(&self, index: usize, family: EncoderFamily) -> PartSource {
        let spec = self.spec(index, family);
        let path = spec.targets[0].clone();
        match media::run(&spec, &|_| {}) {
            Ok(Encoded::Files(mut files)) => {
                recorded(path, &format!("part{index:05}"), files.remove(0), TrackId::Video, Some(family))
            }
            other => panic!("chunk {index} is not encoded: {other:?}"),
        }
    }

    /// All chunks, by turns of these families.
    fn parts(&self, families: &[EncoderFamily]) -> Vec<PartSource> {
        (0..self.plan.chunks().len()).map(|index| self.encode(index, families[index % families.len()])).collect()
    }

    fn assemble(&self, video: &[PartSource], container: Container, name: &str) -> Result<PathBuf, Failure> {
        let target = self.directory.path().join(name);
        let spec = joins(&self.plan, container, video, None, target.clone());
        match media::run(&spec, &|_| {})? {
            Joined::Product(assembled) => {
                assert_eq!(assembled.checks.frames, self.plan.frames());
                Ok(target)
            }
            other => panic!("not assembled: {other:?}"),
        }
    }

    /// The pictures of a file as one lossless stream. OpenH264 of GStreamer (1.22 and 1.26) does not say which colours it has, and where
    /// that changes the judge begins its comparison anew.
    fn flat(&self, path: &Path) -> PathBuf {
        let flat = self.directory.path().join("flat.mkv");
        let lossless = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-an", "-fps_mode", "passthrough"];
        judge(&[&["-v", "error", "-y", "-i", text(path)][..], &lossless, &[text(&flat)]].concat());
        flat
    }

    /// Both judges play the file without a word, with every frame at its time and the pictures of the film.
    fn assert_plays(&self, path: &Path, least_db: f64) {
        assert_eq!(warnings(path), "", "{}", path.display());
        assert_eq!(gstreamer_warnings_of_silent(path), "", "{}", path.display());
        let (found, expected) = (frame_times(path), frame_times(&self.input));
        assert_eq!(found.len(), expected.len(), "{}", path.display());
        let shift = found[0] - expected[0];
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - shift - expected).abs() < 2e-5, "{}: {found} for {expected}", path.display());
        }
        let rendition = &self.plan.video_renditions()[0];
        let psnr = luma_psnr(&self.flat(path), &self.input, rendition.width, rendition.height);
        assert_eq!(psnr.len(), expected.len());
        let worst = psnr.iter().copied().fold(f64::INFINITY, f64::min);
        assert!(worst > least_db, "{}: {worst} dB", path.display());
    }
}

struct Unit {
    pts: i64,
    dts: i64,
    key: bool,
    kinds: Vec<Kind>,
    bytes: usize,
}

fn units(part: &PartSource) -> Vec<Unit> {
    let mut reader = GdpReader::open(&part.path).expect("a part");
    let mut units = Vec::new();
    while let Some(sample) = reader.next().expect("a whole part") {
        let buffer = sample.buffer().expect("a buffer");
        let bytes = buffer.map_readable().expect("bytes");
        units.push(Unit {
            pts: presentation_ns(buffer.pts().expect("a time")),
            dts: presentation_ns(buffer.dts().expect("a time")),
            key: !buffer.flags().contains(gstreamer::BufferFlags::DELTA_UNIT),
            kinds: nal_units(&bytes).map(h264::kind).collect(),
            bytes: bytes.len(),
        });
    }
    units
}

const H264: &str = "-c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 3 -g 40";

#[test]
fn a_chunk_of_the_second_family_begins_with_an_idr_and_each_idr_has_its_sets_once() {
    let planned = Planned::new(&format!("{PICTURE} {H264}"), 4, r#""crf": 28"#);
    for (index, chunk) in planned.plan.chunks().iter().enumerate() {
        let part = planned.encode(index, Openh264);
        let units = units(&part);
        assert_eq!(units.len() as u32, chunk.window.frames);
        assert!(units[0].key);
        for unit in &units {
            assert_eq!(unit.key, unit.kinds.contains(&Kind::KeySlice), "{:?}", unit.kinds);
            let sets = unit.kinds.iter().filter(|kind| **kind == Kind::Parameters).count();
            assert!(sets == if unit.key { 2 } else { 0 }, "{:?}", unit.kinds);
            assert_eq!(unit.dts, unit.pts);
        }
        assert!(units.is_sorted_by(|a, b| a.pts < b.pts));
        let keys: Vec<usize> = (0..units.len()).filter(|index| units[*index].key).collect();
        assert!(keys.windows(2).all(|pair| pair[1] - pair[0] <= 50), "{keys:?}");
        let recorded = MediaStats::Video(VideoStats {
            access_units: chunk.window.frames,
            key_units: keys.len() as u32,
            damaged: 0,
        });
        assert_eq!(part.part.media, recorded);
    }
}

#[test]
fn the_second_family_gives_the_same_bytes_each_time() {
    for video in [r#""crf": 25"#, r#""bitrate": 300000"#, r#""height": 48, "bitrate": 100000"#] {
        let planned = Planned::new(&format!("{PICTURE} {H264}"), 4, video);
        for index in 0..planned.plan.chunks().len() {
            let once = planned.encode(index, Openh264).part;
            assert_eq!(once, planned.encode(index, Openh264).part, "{video}");
        }
    }
}

#[test]
fn the_second_family_keeps_to_the_rate_and_to_the_quality() {
    let source = "-f lavfi -i testsrc2=s=320x180:r=25:d=8 -c:v libx264 -preset ultrafast -pix_fmt yuv420p";
    let mut planned = Planned::new(source, 60, r#""bitrate": 400000"#);
    let bytes = |planned: &Planned| -> usize {
        let parts = planned.parts(&[Openh264]);
        parts.iter().flat_map(units).map(|unit| unit.bytes).sum()
    };
    // Eight seconds.
    let bits = bytes(&planned) * 8 / 8;
    assert!((300_000..500_000).contains(&bits), "{bits} bit/s");
    let mut at = |crf: u64| {
        let rate = Rate::Crf(crf.try_into().expect("a crf"));
        video_of(&mut planned.plan).chunks.iter_mut().for_each(|chunk| chunk.rates = vec![rate]);
        bytes(&planned)
    };
    let (good, poor) = (at(20), at(36));
    assert!(good > poor * 2, "{good} and {poor} bytes");
}

#[test]
fn a_transport_stream_of_two_families_plays_everywhere_with_every_frame() {
    let small = Planned::new(&format!("{PICTURE} {H264}"), 1, r#""crf": 18"#);
    let real =
        Planned::of(tempfile::tempdir().expect("a directory"), film(), 5, r#""height": 360, "bitrate": 1500000"#);
    for (planned, families, least_db) in [
        (&small, &[X264, Openh264][..], 30.0),
        (&small, &[Openh264, X264, X264], 30.0),
        (&real, &[Openh264, X264], 24.0),
    ] {
        assert!(planned.plan.chunks().len() >= 3, "several seams");
        let path = planned.assemble(&planned.parts(families), Container::Mpegts, "mixed.ts").expect("it is joined");
        planned.assert_plays(&path, least_db);
    }
}

#[test]
fn both_containers_hold_what_the_second_family_made_alone() {
    let planned = Planned::new(&format!("{PICTURE} {H264}"), 2, r#""crf": 18"#);
    let parts = planned.parts(&[Openh264]);
    for (container, name) in [(Container::Mpegts, "alone.ts"), (Container::Mp4, "alone.mp4")] {
        let path = planned.assemble(&parts, container, name).expect("it is joined");
        planned.assert_plays(&path, 30.0);
    }
    let mp4 = std::fs::read(planned.directory.path().join("alone.mp4")).expect("the file");
    assert!(mp4.windows(4).any(|name| name == b"avc1"), "its parameter sets are the same for the whole film");
}

#[test]
fn an_mp4_file_of_two_families_is_refused_with_the_names_of_both() {
    let planned = Planned::new(&format!("{PICTURE} {H264}"), 2, r#""crf": 28"#);
    let parts = planned.parts(&[X264, Openh264]);
    let failure = planned.assemble(&parts, Container::Mp4, "mixed.mp4").expect_err("one family only");
    assert_eq!(failure.class, FailureClass::Permanent);
    assert!(failure.message.contains("x264") && failure.message.contains("openh264"), "{failure}");
    assert!(!planned.directory.path().join("mixed.mp4").exists());
}

/// What the product's own stage process tells at its end, with this environment.
fn told(spec: &EncodeSpec, fails: &str) -> StageEvent<Encoded<VideoStats>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_gstreamer-worker"))
        .arg("stage")
        .env("TEST_DEVICE_FAILS", fails)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a stage process");
    let mut stdin = child.stdin.take().expect("standard input");
    let line = serde_json::to_string(&Order::of(spec)).expect("json");
    writeln!(stdin, "{line}").expect("written");
    let lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
    let last = lines.map_while(Result::ok).last().expect("an event");
    drop(stdin);
    child.wait().expect("it ends");
    serde_json::from_str(&last).unwrap_or_else(|error| panic!("{last}: {error}"))
}

#[test]
fn the_stand_in_fails_in_the_middle_of_the_chunks_that_the_test_names() {
    let planned = Planned::new(&format!("{PICTURE} {H264}"), 2, r#""crf": 28"#);
    let first = told(&planned.spec(0, Openh264), "1:session_limit");
    assert!(matches!(first, StageEvent::Done(Encoded::Files(_))), "{first:?}");
    for (fails, fault) in [("1:session_limit", DeviceFault::SessionLimit), ("0:bad_output", DeviceFault::BadOutput)] {
        let StageEvent::Failed(failure) = told(&planned.spec(1, Openh264), fails) else { panic!("it is to fail") };
        assert_eq!((failure.class, failure.fault()), (FailureClass::Device, Some(fault)), "{failure}");
        assert!(failure.message.starts_with("chunk 1 ("), "{failure}");
    }
    let on_cpu = told(&planned.spec(1, X264), "0:session_limit");
    assert!(matches!(on_cpu, StageEvent::Done(_)), "the CPU does not fail: {on_cpu:?}");
}

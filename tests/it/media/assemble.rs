//! The assemble stage: what a player and an outside judge find in what was joined.

use std::path::{Path, PathBuf};

use actors::domain::failure::{Failure, FailureClass};
use actors::domain::job::{Container, VideoCodec};
use actors::domain::part::{MediaStats, VideoStats};
use actors::domain::plan::testing::video_of;
use actors::domain::plan::{AudioPlan, AudioRendition, Plan, Track};
use actors::domain::track::{RenditionId, TrackId};
use gstreamer_worker::media;
use gstreamer_worker::media::package;
use gstreamer_worker::media::stage::assemble::scan;
use gstreamer_worker::protocol::{AssembleSpec, Joined, PartSource, Product};

use super::parts::{Film, X264, X265, at, audio_source, encode_audio, joins};
use crate::support::media::{audio_samples, av_offset, frame_times, judge, text, warnings};

/// A film with its parts, ready to be joined.
struct Ready {
    directory: tempfile::TempDir,
    plan: Plan,
    video: Vec<PartSource>,
    audio: Option<PartSource>,
}

impl Ready {
    fn new(film: &Film, codec: VideoCodec) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let video = film.parts(directory.path());
        Self { plan: film.plan(codec), video, audio: None, directory }
    }

    fn with_audio(mut self, description: &str, start_ns: i64) -> Self {
        let (source, facts) = audio_source(self.directory.path(), description, start_ns);
        let rendition = AudioRendition {
            codec: actors::domain::job::AudioCodec::Aac,
            bitrate: 96_000u64.try_into().expect("a bitrate"),
            sample_rate: facts.sample_rate,
            channels: facts.channels,
        };
        let audio = AudioPlan { facts, renditions: vec![rendition] };
        self.audio = encode_audio(self.directory.path(), &source, &audio).expect("audio").pop();
        self.plan.tracks.push(Track::Audio(audio));
        self.plan.outputs[0].members.push(RenditionId::new(TrackId::Audio(0), 0));
        self
    }

    fn spec(&self, container: Container, name: &str) -> AssembleSpec {
        joins(&self.plan, container, &self.video, self.audio.as_ref(), self.directory.path().join(name))
    }

    fn run(&self, container: Container, name: &str) -> Result<Joined, Failure> {
        media::run(&self.spec(container, name), &|_| {})
    }

    fn assemble(&self, container: Container, name: &str) -> (PathBuf, Product) {
        match self.run(container, name) {
            Ok(Joined::Product(assembled)) => (self.directory.path().join(name), assembled),
            other => panic!("not assembled: {other:?}"),
        }
    }
}

/// Time of the first heard sample less that of the first frame by the clock of a transport stream, in seconds.
/// It cannot hide the priming of the audio: 1024 samples come before the sound.
fn clock_offset(path: &Path) -> f64 {
    let (out, _) =
        judge(&["-copyts", "-i", text(path), "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "framecrc", "-"]);
    let log = String::from_utf8(out).expect("text");
    let first = |stream: &str| {
        let times = log
            .lines()
            .filter(|line| line.starts_with(stream))
            .map(|line| line.split(',').nth(2).and_then(|time| time.trim().parse::<i64>().ok()).expect("a time"));
        times.min().expect("a packet") as f64 / 90_000.0
    };
    first("1,") + 1024.0 / 48_000.0 - first("0,")
}

fn assert_times(path: &Path, expected: &[f64], tick: f64) {
    let found = frame_times(path);
    assert_eq!(found.len(), expected.len(), "frames of {}", path.display());
    let shift = found[0] - expected[0];
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - shift - expected).abs() <= tick, "{found} where {expected} is right ({shift})");
    }
}

const SECONDS_5: &str =
    "audiotestsrc wave=ticks num-buffers=50 samplesperbuffer=4800 ! audio/x-raw,format=S16LE,rate=48000,channels=2";

#[test]
fn both_containers_hold_every_frame_and_sample_at_its_time() {
    for (codec, encoder) in [(VideoCodec::H264, X264), (VideoCodec::H265, X265)] {
        let film = Film::new(encoder);
        let ready = Ready::new(&film, codec).with_audio(SECONDS_5, 0);
        for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
            let (path, assembled) = ready.assemble(container, name);
            assert_eq!(warnings(&path), "", "{codec:?} {name}");
            assert_times(&path, &film.times(), 2e-5);
            assert_eq!(assembled.checks.frames, 120);
            assert_eq!(assembled.checks.key_frames, 6);
            assert_eq!(assembled.checks.audio_samples, 240_000);
            assert_eq!(assembled.checks.av_offset_ns, 0);
            assert_eq!(assembled.duration_ns, 5_000_000_000);
            if container == Container::Mp4 {
                assert_eq!(audio_samples(&path), 240_000);
                assert!(av_offset(&path).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn the_offset_between_picture_and_sound_is_kept_whichever_is_first() {
    let late_picture = Film { time: |frame| 83_333_333 + at(frame, (24, 1)), ..Film::new(X264) };
    for (film, audio_ns, offset) in [(Film::new(X264), 1_234_567_890i64, 1.234_567_89), (late_picture, 0, -1.0 / 12.0)]
    {
        let ready = Ready::new(&film, VideoCodec::H264).with_audio(SECONDS_5, audio_ns);
        for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
            let (path, assembled) = ready.assemble(container, name);
            assert_eq!(warnings(&path), "", "{name}");
            assert!((assembled.checks.av_offset_ns as f64 / 1e9 - offset).abs() < 1e-4, "{name}");
            let found = if container == Container::Mp4 { av_offset(&path) } else { clock_offset(&path) };
            assert!((found - offset).abs() < 2e-4, "{name}: {found} where {offset} is right");
        }
        // The judge does not cut the end of a track that begins late, not even in files of its own.
        let heard = audio_samples(&ready.assemble(Container::Mp4, "again.mp4").0);
        assert!((240_000..240_000 + 1024).contains(&heard), "{heard}");
    }
}

#[test]
fn frames_at_odd_times_stay_where_they_are() {
    // Every third frame comes 13 ms late, and a gap of two seconds stands in the middle.
    let time =
        |frame: u32| at(frame, (24, 1)) + u64::from(frame % 3 / 2) * 13_000_000 + u64::from(frame / 60) * 2_000_000_000;
    let film = Film { time, ..Film::new(X264) };
    let mut ready = Ready::new(&film, VideoCodec::H264);
    video_of(&mut ready.plan).facts.frame_rate = (0, 1);
    for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
        let (path, _) = ready.assemble(container, name);
        assert_eq!(warnings(&path), "", "{name}");
        assert_times(&path, &film.times(), 2e-5);
    }
}

#[test]
fn parts_with_other_parameter_sets_can_be_played_on() {
    const OTHER: &str = "x264enc threads=1 key-int-max=20 bframes=0 quantizer=30 pass=quant speed-preset=medium ! \
                         video/x-h264,profile=high,stream-format=byte-stream,alignment=au";
    let film = Film { encoders: vec![X264, OTHER, X264], ..Film::new(X264) };
    let ready = Ready::new(&film, VideoCodec::H264);
    for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
        let (path, _) = ready.assemble(container, name);
        assert_eq!(warnings(&path), "", "{name}");
        assert_times(&path, &film.times(), 2e-5);
    }
    assert!(contains(&ready.directory.path().join("out.mp4"), b"avc3"));
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    let ready = Ready::new(&Film::new(X264), VideoCodec::H264).with_audio(SECONDS_5, 0);
    for container in [Container::Mp4, Container::Mpegts] {
        let (one, said) = ready.assemble(container, "one");
        let (two, again) = ready.assemble(container, "two");
        let (one, two) = (std::fs::read(one).expect("one"), std::fs::read(two).expect("two"));
        assert!(one == two, "{container:?}");
        assert_eq!(said.files[0].sha256, again.files[0].sha256);
        assert_eq!(said.files[0].bytes, one.len() as u64);
    }
}

#[test]
fn an_mp4_file_begins_with_its_index_and_has_the_time_of_the_plan() {
    let ready = Ready::new(&Film::new(X264), VideoCodec::H264);
    let (path, _) = ready.assemble(Container::Mp4, "out.mp4");
    let bytes = std::fs::read(&path).expect("the file");
    assert_eq!(&bytes[4..8], b"ftyp");
    let second = u32::from_be_bytes(bytes[..4].try_into().expect("four")) as usize;
    assert_eq!(&bytes[second + 4..second + 8], b"moov");
    let created = (ready.plan.created_unix + 2_082_844_800) as u32;
    assert_eq!(bytes[second + 20..second + 24], created.to_be_bytes());
    assert!(contains(&path, b"avc1") && !contains(&path, b"avc3"));
}

#[test]
fn parts_that_are_missing_or_damaged_are_named_and_nothing_is_written() {
    let ready = Ready::new(&Film::new(X264), VideoCodec::H264).with_audio(SECONDS_5, 0);
    std::fs::remove_file(&ready.video[0].path).expect("removed");
    let mut bytes = std::fs::read(&ready.video[2].path).expect("a part");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&ready.video[2].path, bytes).expect("written");
    let audio = std::fs::File::options().append(true).open(&ready.audio.as_ref().expect("audio").path).expect("a part");
    audio.set_len(1000).expect("cut");
    let Ok(Joined::PartsLost(names)) = ready.run(Container::Mp4, "out.mp4") else { panic!("parts are lost") };
    assert_eq!(names, ["v00000.gdp", "v00002.gdp", "a0.gdp"]);
    assert!(!ready.directory.path().join("out.mp4").exists());
}

#[test]
fn parts_that_do_not_fit_the_plan_are_a_failure_that_can_be_tried_again() {
    let mut ready = Ready::new(&Film::new(X264), VideoCodec::H264);
    ready.video.swap(0, 1);
    let failure = ready.run(Container::Mpegts, "out.ts").expect_err("chunks in the wrong order");
    assert_eq!(failure.class, FailureClass::Retryable);
    assert!(failure.message.contains("not its own"), "{failure}");
    ready.video.swap(0, 1);
    let MediaStats::Video(VideoStats { access_units, .. }) = &mut ready.video[1].part.media else { panic!("pictures") };
    *access_units -= 1;
    let failure = ready.run(Container::Mpegts, "out.ts").expect_err("a wrong record");
    assert!(failure.message.contains("v00001.gdp has 40 frames"), "{failure}");
    ready.video.pop();
    let failure = ready.run(Container::Mpegts, "out.ts").expect_err("too few parts");
    assert!(failure.message.contains("2 video parts for 3 chunks"), "{failure}");
    assert!(!ready.directory.path().join("out.ts").exists());
}

/// Joins, changes the file with `damage` and says what the verification finds.
fn found_after(ready: &Ready, container: Container, damage: impl Fn(&mut Vec<u8>)) -> String {
    let spec = ready.spec(container, "damaged");
    let (path, _) = ready.assemble(container, "damaged");
    let source = scan(&spec).expect("the parts are fine");
    package::of(container).verify(&source).expect("the file is fine");
    let mut bytes = std::fs::read(&path).expect("the file");
    damage(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
    let failure = package::of(container).verify(&source).expect_err("a difference");
    assert_eq!(failure.class, FailureClass::Retryable, "{failure}");
    failure.message
}

#[test]
fn verification_finds_whatever_is_wrong_with_a_file() {
    let ready = Ready::new(&Film::new(X264), VideoCodec::H264).with_audio(SECONDS_5, 0);
    let of = |bytes: &[u8], name: &[u8]| position(bytes, name).expect("a box");
    let packet = |number: usize| number * 188;
    // One bit in the middle of the media, in a slice.
    found_after(&ready, Container::Mp4, |bytes| {
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
    });
    // A frame less at the end of a transport stream.
    found_after(&ready, Container::Mpegts, |bytes| bytes.truncate(packet(bytes.len() / 188 - 40)));
    // A packet lost on the way.
    found_after(&ready, Container::Mpegts, |bytes| drop(bytes.drain(packet(100)..packet(101))));
    // Another frame said to be a random access point.
    let message = found_after(&ready, Container::Mp4, |bytes| {
        let at = of(bytes, b"stss") + 4 + 4 + 4 + 7;
        bytes[at] += 1;
    });
    assert!(message.contains("random access point"), "{message}");
    // Another duration of frames.
    found_after(&ready, Container::Mp4, |bytes| {
        let at = of(bytes, b"stts") + 4 + 4 + 4 + 7;
        bytes[at] ^= 0x80;
    });
    // The sound begins elsewhere: the second edit list is that of the audio.
    found_after(&ready, Container::Mp4, |bytes| {
        let first = of(bytes, b"elst") + 4;
        let at = first + of(&bytes[first..], b"elst") + 4 + 4 + 4 + 4 + 2;
        bytes[at] ^= 2;
    });
    // Nothing at all.
    found_after(&ready, Container::Mp4, Vec::clear);
    found_after(&ready, Container::Mpegts, Vec::clear);
}

#[test]
fn twenty_megabytes_are_joined_and_verified_in_no_time() {
    const NOISE: &str = "x264enc threads=1 key-int-max=48 pass=quant quantizer=2 speed-preset=ultrafast bframes=2 ! \
                         video/x-h264,stream-format=byte-stream,alignment=au";
    let film = Film { encoders: vec![NOISE; 3], frames: 80, pattern: "snow", ..Film::new(NOISE) };
    let ready = Ready::new(&film, VideoCodec::H264).with_audio(SECONDS_5, 0);
    for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
        let started = std::time::Instant::now();
        let (_, assembled) = ready.assemble(container, name);
        println!("{name}: {} bytes in {:?}", assembled.files[0].bytes, started.elapsed());
        assert!(assembled.files[0].bytes > 20_000_000, "{}", assembled.files[0].bytes);
        // A debug build on a busy machine; a release build needs a tenth of it.
        assert!(started.elapsed().as_secs() < 20);
    }
}

#[test]
fn a_track_that_is_short_beside_the_other_is_there_for_every_reader() {
    const SECOND: &str =
        "audiotestsrc num-buffers=5 samplesperbuffer=4800 ! audio/x-raw,format=S16LE,rate=44100,channels=1";
    const MINUTE: &str =
        "audiotestsrc num-buffers=600 samplesperbuffer=4800 ! audio/x-raw,format=S16LE,rate=48000,channels=1";
    let long = Film { frames: 100, ..Film::new(X264) };
    for (film, sound, samples) in [(&long, SECOND, 24_000), (&Film::new(X264), MINUTE, 2_880_000)] {
        let ready = Ready::new(film, VideoCodec::H264).with_audio(sound, 0);
        for (container, name) in [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")] {
            let (path, assembled) = ready.assemble(container, name);
            assert_times(&path, &film.times(), 2e-5);
            assert_eq!(assembled.checks.audio_samples, samples);
            if container == Container::Mp4 {
                // The last packet of a short track is lengthened, so that the judge plays it to its end.
                assert!((samples..samples + 1024).contains(&audio_samples(&path)));
            }
        }
    }
}

fn position(bytes: &[u8], name: &[u8]) -> Option<usize> {
    bytes.windows(name.len()).position(|window| window == name)
}

fn contains(path: &Path, name: &[u8]) -> bool {
    position(&std::fs::read(path).expect("the file"), name).is_some()
}

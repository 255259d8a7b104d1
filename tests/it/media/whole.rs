//! All stages one after another, as a job runs them: what was made shows every frame at its time, and is heard when
//! it is seen.

use std::path::{Path, PathBuf};

use actors::domain::job::{Container, JobSpec};
use actors::domain::plan::testing::identity;
use actors::domain::plan::{Families, Plan, SourceFacts};
use actors::domain::track::TrackId;
use gstreamer_worker::media;
use gstreamer_worker::protocol::{DeviceWork, EncodeSpec, Encoded, Joined, PartSource, Product, SplitSpec};

use super::parts::{encode_audio, joins, recorded};
use crate::support::clip::{self, Clip};
use crate::support::media::{film, judge, text, warnings};

/// Runs all stages of a job with one rendition and gives an MP4 file and a transport stream of it.
fn transcode(input: &Path, directory: &Path, codec: &str, height: u32) -> (Plan, [(PathBuf, Product); 2]) {
    let made = [(Container::Mp4, "out.mp4"), (Container::Mpegts, "out.ts")];
    carry_out(input, directory, job(codec, height), made)
}

/// Runs all stages of a job with one output and gives it in containers, each under a name in `directory`.
pub fn carry_out<const N: usize>(
    input: &Path,
    directory: &Path,
    job: JobSpec,
    made: [(Container, &str); N],
) -> (Plan, [(PathBuf, Product); N]) {
    let sources = directory.join("sources");
    std::fs::create_dir_all(&sources).expect("a directory");
    let plan = Plan::build(job, identity(), split(input, &sources), 4, &Families::default()).expect("a plan");
    let video: Vec<_> = (0..plan.chunks().len()).map(|index| encode(&plan, index, &sources)).collect();
    let audio = plan
        .audio(0)
        .map(|audio| encode_audio(&sources, &sources.join(&audio.facts.source), audio).expect("audio").remove(0));
    let made = made.map(|(container, name)| {
        let target = directory.join(name);
        let spec = joins(&plan, container, &video, audio.as_ref(), target.clone());
        match media::run(&spec, &|_| {}) {
            Ok(Joined::Product(assembled)) => (target, assembled),
            other => panic!("{} is not assembled: {other:?}", text(&target)),
        }
    });
    (plan, made)
}

fn job(codec: &str, height: u32) -> JobSpec {
    let json = format!(
        r#"{{"job_id": "whole", "input": {{"uri": "file:///in"}}, "outputs": [{{"uri": "file:///out", "container": "mp4",
            "video": {{"codec": "{codec}", "height": {height}, "preset": "ultrafast", "upscale": true}}, "audio": {{}}}}]}}"#
    );
    JobSpec::parse(json.as_bytes()).expect("a job")
}

fn split(input: &Path, sources: &Path) -> SourceFacts {
    let spec = SplitSpec {
        input: input.to_owned(),
        directory: sources.to_owned(),
        chunk_seconds: 4,
        audio: true,
        max_damage: 0.02,
        from_start: false,
    };
    media::run(&spec, &|_| {}).expect("it is split")
}

fn encode(plan: &Plan, index: usize, sources: &Path) -> PartSource {
    let chunk = &plan.chunks()[index];
    let path = sources.join(format!("part{index:05}.gdp"));
    let spec = EncodeSpec {
        source: sources.join(&chunk.source),
        facts: plan.video().expect("video").facts.clone(),
        chunk: chunk.clone(),
        renditions: plan.video_renditions().to_vec(),
        targets: vec![path.clone()],
        device: DeviceWork::default(),
    };
    match media::run(&spec, &|_| {}) {
        Ok(Encoded::Files(mut files)) => {
            recorded(path, &format!("part{index:05}"), files.remove(0), TrackId::Video, None)
        }
        other => panic!("chunk {index} is not encoded: {other:?}"),
    }
}

/// Beeps begin with the flashes of a clip at a constant rate, which flashes and beeps in each second.
fn assert_sync(clip: &Clip, path: &Path) {
    // The judge lets each track of a transport stream begin at 0, the audio with the packet that nobody hears.
    let unheard = if path.extension().is_some_and(|end| end == "ts") { 1024.0 / 48_000.0 } else { 0.0 };
    let seen = clip::read(path);
    let flashes = seen.windows(2).filter(|pair| !pair[0].flash && pair[1].flash).map(|pair| pair[1].at);
    let beeps = clip::beeps(path);
    for flash in flashes {
        let off = beeps.iter().map(|beep| beep - unheard - flash).min_by(|a, b| a.abs().total_cmp(&b.abs()));
        // A flash comes with the first frame of its second; codecs smear the beginning of a beep.
        let frame = f64::from(clip.fps.1) / f64::from(clip.fps.0);
        assert!(off.is_some_and(|off| (-frame - 0.01..0.01).contains(&off)), "{}: {flash} {off:?}", path.display());
    }
}

/// The clip comes out with every frame, and its beeps with its flashes.
fn comes_out_whole(clip: &Clip, codec: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let input = clip.write(directory.path());
    let (_, made) = transcode(&input, directory.path(), codec, 180);
    for (path, assembled) in made {
        let name = format!("{} as {}", clip.name, path.display());
        let frames = clip::read(&path);
        let numbers: Vec<_> = frames.iter().map(|seen| seen.number).collect();
        assert_eq!(numbers, (0..clip.frames).collect::<Vec<_>>(), "{name}");
        assert_eq!(assembled.checks.frames, u64::from(clip.frames), "{name}");
        assert_eq!(warnings(&path), "", "{name}");
        if !clip.variable {
            assert_sync(clip, &path);
        }
        let first = frames[0].at;
        for seen in &frames {
            let (found, right) = (seen.at - first, clip.time(seen.number) as f64 / 1e9);
            assert!((found - right).abs() < 0.0012, "{name}: frame {} is at {found}, not {right}", seen.number);
        }
    }
}

#[test]
fn a_clip_in_matroska_comes_out_whole() {
    let clip = Clip::new(
        "clip.mkv",
        "x264enc key-int-max=50 speed-preset=veryfast ! h264parse",
        "flacenc ! flacparse",
        "matroskamux",
    );
    comes_out_whole(&clip, "h264");
}

#[test]
fn a_clip_in_a_transport_stream_comes_out_whole_as_hevc() {
    let clip = Clip {
        fps: (30_000, 1001),
        ..Clip::new(
            "clip.ts",
            "x264enc key-int-max=60 speed-preset=veryfast ! h264parse",
            "audioconvert ! avenc_ac3 ! ac3parse",
            "mpegtsmux",
        )
    };
    comes_out_whole(&clip, "h265");
}

#[test]
fn a_clip_with_odd_times_and_gaps_comes_out_whole() {
    let clip = Clip {
        variable: true,
        ..Clip::new(
            "clip.mkv",
            "x264enc key-int-max=50 speed-preset=veryfast ! h264parse",
            "opusenc ! opusparse",
            "matroskamux",
        )
    };
    comes_out_whole(&clip, "h264");
}

#[test]
fn a_real_film_comes_out_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let (plan, made) = transcode(&film(), directory.path(), "h264", 180);
    for (path, assembled) in made {
        assert_eq!(warnings(&path), "", "{}", path.display());
        assert_eq!(assembled.checks.frames, 720);
        assert_eq!(assembled.duration_ns / 10_000_000, plan.duration_ns() / 10_000_000);
        assert_eq!(assembled.checks.audio_samples, 1_440_000);
        assert!(judge(&["-i", text(&path), "-t", "1", "-f", "null", "-"]).1.contains("48000 Hz, 5.1"));
    }
}

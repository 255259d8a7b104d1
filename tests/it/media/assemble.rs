//! The assemble stage: what a player and an outside judge find in what was joined.

use std::path::{Path, PathBuf};

use actors::failure::Failure;
use actors::job::{Container, VideoCodec};
use actors::plan::{AudioPlan, AudioRendition, Plan};
use gstreamer_worker::media;
use gstreamer_worker::stage::protocol::{AssembleSpec, Assembled, PartSource, StageResult, StageSpec};

use super::parts::{Film, X264, X265, at, audio_source, encode_audio};
use crate::support::media::{audio_samples, av_offset, frame_times, warnings};

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
            codec: actors::job::AudioCodec::Aac,
            bitrate: 96_000u64.try_into().expect("a bitrate"),
            sample_rate: facts.sample_rate,
            channels: facts.channels,
        };
        let audio = AudioPlan { facts, renditions: vec![rendition] };
        self.audio = encode_audio(self.directory.path(), &source, &audio).expect("audio").pop();
        self.plan.audio = Some(audio);
        self.plan.outputs[0].audio = Some(0);
        self
    }

    fn spec(&self, container: Container, name: &str) -> AssembleSpec {
        AssembleSpec {
            plan: self.plan.clone(),
            output: 0,
            container,
            video: self.video.clone(),
            audio: self.audio.clone(),
            target: self.directory.path().join(name),
        }
    }

    fn run(&self, container: Container, name: &str) -> Result<StageResult, Failure> {
        media::run(StageSpec::Assemble(Box::new(self.spec(container, name))), &|_| {})
    }

    fn assemble(&self, container: Container, name: &str) -> (PathBuf, Assembled) {
        match self.run(container, name) {
            Ok(StageResult::Assemble(assembled)) => (self.directory.path().join(name), assembled),
            other => panic!("not assembled: {other:?}"),
        }
    }
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
            assert_eq!(assembled.verification.frames, 120);
            assert_eq!(assembled.verification.key_frames, 6);
            assert_eq!(assembled.verification.audio_samples, 240_000);
            assert_eq!(assembled.verification.av_offset_ns, 0);
            assert_eq!(assembled.duration_ns, 5_000_000_000);
            if container == Container::Mp4 {
                assert_eq!(audio_samples(&path), 240_000);
                assert!(av_offset(&path).abs() < 1e-5);
            }
        }
    }
}

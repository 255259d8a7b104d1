//! The jobs that are disturbed, and what they give when nothing disturbs them.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::clip::Clip;
use crate::support::fleet::Fleet;
use crate::support::media::{small_film, text};
use crate::support::transcode::{Bench, uri};

/// A film, and what is made of it.
#[derive(Clone, Copy, Debug)]
pub enum Film {
    /// The real film, one small rendition.
    Small,
    /// The real film, a ladder in both containers.
    Ladder,
    /// A clip to H.265.
    Hevc,
    /// A clip without sound.
    Silent,
}

static CLIPS: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a directory");
    clip("hevc.mp4").write(directory.path());
    clip("silent.mp4").write(directory.path());
    directory
});

fn clip(name: &'static str) -> Clip {
    let audio = if name == "silent.mp4" { "" } else { "audioconvert ! avenc_aac ! aacparse" };
    Clip::new(name, "x264enc speed-preset=veryfast key-int-max=25 ! h264parse", audio, "mp4mux")
}

impl Film {
    pub const ALL: [Self; 4] = [Self::Small, Self::Ladder, Self::Hevc, Self::Silent];

    fn input(self) -> PathBuf {
        match self {
            Self::Small | Self::Ladder => small_film(),
            Self::Hevc => CLIPS.path().join("hevc.mp4"),
            Self::Silent => CLIPS.path().join("silent.mp4"),
        }
    }

    /// Codec, heights and containers.
    const fn asked(self) -> (&'static str, &'static [u32], &'static [&'static str]) {
        match self {
            Self::Small => ("h264", &[180], &["ts"]),
            Self::Ladder => ("h264", &[360, 180], &["ts", "mp4"]),
            Self::Hevc => ("h265", &[180], &["mp4"]),
            Self::Silent => ("h264", &[270], &["mp4"]),
        }
    }

    /// Names of the outputs of a job.
    fn outputs(self, job: &str) -> Vec<String> {
        let (_, heights, kinds) = self.asked();
        heights.iter().flat_map(|height| kinds.iter().map(move |kind| format!("{job}-{height}.{kind}"))).collect()
    }

    /// The job, with its outputs in `directory`.
    pub fn job(self, job: &str, directory: &Path) -> Value {
        let (codec, heights, kinds) = self.asked();
        let mut outputs = Vec::new();
        for height in heights {
            for kind in kinds {
                let mut output = json!({
                    "uri": uri(&directory.join(format!("{job}-{height}.{kind}"))),
                    "container": if *kind == "ts" { "mpegts" } else { "mp4" },
                    "video": {"codec": codec, "height": height, "bitrate": 600_000, "preset": "ultrafast"},
                });
                if !matches!(self, Self::Silent) {
                    output["audio"] = json!({"codec": "aac"});
                }
                outputs.push(output);
            }
        }
        json!({"job_id": job, "input": {"uri": uri(&self.input())}, "outputs": outputs})
    }

    /// Digests of what one worker alone makes of it, undisturbed; made once for all tests.
    fn undisturbed(self) -> &'static [String] {
        static MADE: [LazyLock<Vec<String>>; 4] = [
            LazyLock::new(|| Film::Small.transcoded()),
            LazyLock::new(|| Film::Ladder.transcoded()),
            LazyLock::new(|| Film::Hevc.transcoded()),
            LazyLock::new(|| Film::Silent.transcoded()),
        ];
        &MADE[self as usize]
    }

    fn transcoded(self) -> Vec<String> {
        let bench = Bench::new();
        let job = bench.job(&self.job("alone", bench.root()));
        bench.transcode(&["--job", text(&job), "--chunk-seconds", "2"]);
        self.outputs("alone").iter().map(|name| digest(&bench.path(name))).collect()
    }

    /// Compares the outputs of a job in `directory` with those of an undisturbed run.
    pub fn assert_same_in(self, directory: &Path, job: &str) {
        for (name, expected) in self.outputs(job).iter().zip(self.undisturbed()) {
            assert_eq!(&digest(&directory.join(name)), expected, "{name} has other bytes than undisturbed");
        }
    }

    /// [`Self::assert_same_in`] for a job of a fleet.
    pub fn assert_same(self, fleet: &Fleet, job: &str) {
        self.assert_same_in(fleet.bench.root(), job);
    }
}

/// SHA-256 of a file, in hex.
pub fn digest(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

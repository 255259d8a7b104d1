//! The real film, through ladders, both codecs and both containers.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::clip::Clip;
use crate::support::media::{
    Picture, audio_samples, av_offset, film, film_head, frame_times, gstreamer_warnings, luma_psnr, pictures,
    sound_shift, text,
};
use crate::support::transcode::{Bench, uri};

/// What the judge sees and hears of a source.
pub struct Source {
    pub path: PathBuf,
    frames: usize,
    samples: u64,
}

impl Source {
    pub fn of(path: PathBuf) -> Self {
        Self { frames: frame_times(&path).len(), samples: audio_samples(&path), path }
    }

    /// The whole film, of which the sizes are known.
    fn film() -> Self {
        Self { path: film(), frames: 720, samples: 1_440_000 }
    }
}

/// A frame of AAC at 48 kHz.
const AUDIO_FRAME: f64 = 1024.0 / 48_000.0;
/// Two steps of a sound's search, and less than anybody hears.
const IN_SYNC: f64 = 0.000_25;

/// Width, height, bits per second.
const LADDER: [(u32, u32, u64); 3] = [(1280, 720, 5_000_000), (854, 480, 2_500_000), (640, 360, 1_200_000)];

/// One output in each container for each rung.
fn job(bench: &Bench, input: &Path, codec: &str, preset: &str, ladder: &[(u32, u32, u64)]) -> Value {
    let mut outputs = Vec::new();
    for (_, height, bitrate) in ladder {
        for (container, extension) in [("mpegts", "ts"), ("mp4", "mp4")] {
            outputs.push(json!({
                "uri": uri(&bench.path(&format!("{height}.{extension}"))),
                "container": container,
                "video": {"codec": codec, "height": height, "bitrate": bitrate, "preset": preset},
                "audio": {"codec": "aac", "bitrate": 192_000},
            }));
        }
    }
    json!({"job_id": format!("film-{codec}-{}", ladder.len()), "input": {"uri": uri(input)}, "outputs": outputs})
}

/// Checks all but what the pictures show, and gives their checksums.
pub fn check(path: &Path, source: &Source) -> Vec<String> {
    let name = path.display();
    let (pictures, warnings) = pictures(path);
    assert_eq!(warnings, "", "{name}");
    assert_eq!(gstreamer_warnings(path), "", "{name}");
    assert_eq!(pictures.len(), source.frames, "{name}");
    let first = pictures[0].time;
    for (n, Picture { time, .. }) in pictures.iter().enumerate() {
        assert!((time - first - n as f64 / 24.0).abs() < 0.0005, "frame {n} of {name} comes at {time}");
    }
    let shift = sound_shift(path, &source.path);
    assert!(shift.abs() <= IN_SYNC, "the sound of {name} is off by {shift} s");
    let samples = audio_samples(path);
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("mp4") => {
            assert_eq!(samples, source.samples, "{name}");
            let drift = av_offset(path) - av_offset(&source.path);
            assert!(drift.abs() <= AUDIO_FRAME, "audio of {name} begins {drift} s late");
        }
        // A transport stream cannot say how much of the first and the last packet is heard.
        _ => assert!(samples.abs_diff(source.samples) <= 2 * 1024, "{name}: {samples}"),
    }
    pictures.into_iter().map(|picture| picture.checksum).collect()
}

/// Compares each picture with the judge's own.
pub fn check_pictures(path: &Path, source: &Source, width: u32, height: u32) {
    let name = path.display();
    let psnr = luma_psnr(path, &source.path, width, height);
    assert_eq!(psnr.len(), source.frames, "{name}");
    let (worst, value) = psnr.iter().copied().enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).expect("frames");
    assert!(value >= 30.0, "frame {worst} of {name} has {value} dB");
}

fn comes_out(source: &Source, codec: &str, preset: &str, ladder: &[(u32, u32, u64)]) {
    let bench = Bench::new();
    let job = bench.job(&job(&bench, &source.path, codec, preset, ladder));
    bench.transcode(&["--job", text(&job)]);
    for (width, height, _) in ladder {
        let [ts, mp4] = ["ts", "mp4"].map(|extension| bench.path(&format!("{height}.{extension}")));
        assert!(check(&ts, source) == check(&mp4, source), "the containers of {height} show different pictures");
        check_pictures(&mp4, source, *width, *height);
    }
}

#[test]
fn the_head_of_the_film_as_h264_has_every_frame_once_and_in_order() {
    comes_out(&Source::of(film_head()), "h264", "fast", &LADDER[..1]);
}

#[test]
fn the_film_as_a_ladder_of_h264_has_every_frame_once_and_in_order() {
    comes_out(&Source::film(), "h264", "veryfast", &LADDER);
}

#[test]
fn the_head_of_the_film_as_hevc_has_every_frame_once_and_in_order() {
    comes_out(&Source::of(film_head()), "h265", "superfast", &LADDER[..1]);
}

#[test]
fn the_head_of_the_film_as_a_ladder_of_hevc_has_every_frame_once_and_in_order() {
    comes_out(&Source::of(film_head()), "h265", "ultrafast", &LADDER);
}

#[test]
fn the_same_job_gives_the_same_bytes_with_any_pool_size() {
    let made = ["1", "3"].map(|pool| {
        let bench = Bench::new();
        let job = bench.job(&job(&bench, &film_head(), "h264", "veryfast", &[(640, 360, 1_000_000)]));
        bench.transcode(&["--job", text(&job), "--pool-size", pool]);
        ["360.ts", "360.mp4"].map(|name| std::fs::read(bench.path(name)).expect("an output"))
    });
    assert!(made[0] == made[1], "pool sizes 1 and 3 give different bytes");
}

#[test]
fn the_same_ladder_gives_the_same_bytes_in_both_codecs_with_any_pool_size_and_a_second_time() {
    let clip = Clip::new(
        "clip.mp4",
        "x264enc speed-preset=veryfast key-int-max=25 ! h264parse",
        "audioconvert ! avenc_aac ! aacparse",
        "mp4mux",
    );
    let directory = Bench::new();
    let source = clip.write(directory.root());
    for codec in ["h264", "h265"] {
        let made = ["1", "3", "3"].map(|pool| {
            let bench = Bench::new();
            let ladder = [(640, 360, 1_000_000), (480, 270, 500_000), (320, 180, 250_000)];
            let job = bench.job(&job(&bench, &source, codec, "superfast", &ladder));
            bench.transcode(&["--job", text(&job), "--pool-size", pool, "--chunk-seconds", "3"]);
            let names =
                ["360", "270", "180"].iter().flat_map(|height| ["ts", "mp4"].map(|kind| format!("{height}.{kind}")));
            names.map(|name| std::fs::read(bench.path(&name)).expect("an output")).collect::<Vec<_>>()
        });
        assert!(made[0] == made[1], "{codec}: pool sizes 1 and 3 give different bytes");
        assert!(made[1] == made[2], "{codec}: the same job gives other bytes the second time");
    }
}

//! Films and the outside judge (ffmpeg), which looks at what was produced. The product never uses it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file that `make test-deps` brings.
fn prepared(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-media").join(name);
    assert!(path.exists(), "{} is missing: run `make test-deps`", path.display());
    path
}

/// Big Buck Bunny: 30 s, 720 frames of 1080p H.264 at 24 fps, 5.1 AAC.
pub fn film() -> PathBuf {
    prepared("film.mp4")
}

/// [`film`] in 640x360 with a key frame every two seconds, where its size proves nothing: 720 frames at 24 fps, 5.1 AAC.
pub fn small_film() -> PathBuf {
    prepared("small.mp4")
}

/// The first ten seconds of [`film`] as they are, where its length proves nothing.
pub fn film_head() -> PathBuf {
    prepared("head.mp4")
}

/// Runs the judge; returns what it wrote to standard output and to standard error.
pub fn judge(args: &[&str]) -> (Vec<u8>, String) {
    let output = Command::new(prepared("ffmpeg")).arg("-hide_banner").args(args).output().expect("the judge runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the judge failed on {args:?}: {log}");
    (output.stdout, log)
}

/// What the judge complains about when it reads the whole file.
pub fn warnings(path: &Path) -> String {
    whole(path).1
}

/// A frame as the judge shows it.
#[derive(Debug)]
pub struct Picture {
    /// Seconds since the file begins.
    pub time: f64,
    /// Of its pixels.
    pub checksum: String,
}

/// The frames of a file, and what the judge complains about when it reads the whole of it.
pub fn pictures(path: &Path) -> (Vec<Picture>, String) {
    let (list, warnings) = whole(path);
    let value = |name: &str| {
        let rest = list.lines().find_map(|line| line.strip_prefix(name));
        rest.unwrap_or_else(|| panic!("the judge gives no {name} of {}: {list}", path.display())).trim()
    };
    assert_eq!(value("#media_type 0:"), "video", "{}", path.display());
    let (ticks, seconds) = value("#tb 0:").split_once('/').expect("a time base");
    let tick = number(ticks) / number(seconds);
    let frames = list.lines().filter_map(|line| line.strip_prefix("0,")).map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [_, time, _, _, checksum] = fields[..] else { panic!("`{line}` is not a frame") };
        Picture { time: number(time) * tick, checksum: checksum.into() }
    });
    (frames.collect(), warnings)
}

/// All frames and samples of a file as a list with checksums, and what the judge complains about.
fn whole(path: &Path) -> (String, String) {
    let frames = ["-fps_mode", "passthrough", "-enc_time_base:v", "demux", "-f", "framecrc", "-"];
    let (list, warnings) = judge(&[&["-v", "warning", "-i", text(path), "-map", "0"][..], &frames].concat());
    (String::from_utf8(list).expect("text"), warnings)
}

/// Luma PSNR in dB of each frame of `made` against the judge's own decode and scale of `source`.
/// Identical frames count as 100 dB.
pub fn luma_psnr(made: &Path, source: &Path, width: u32, height: u32) -> Vec<f64> {
    let graph = format!(
        "[0:v]settb=1/25,setpts=N[made];[1:v]scale={width}:{height}:flags=bicubic,format=yuv420p,settb=1/25,setpts=N[asked];\
         [made][asked]psnr=stats_file=-:shortest=0:repeatlast=0"
    );
    let (out, _) = judge(&[
        "-v",
        "error",
        "-i",
        text(made),
        "-i",
        text(source),
        "-lavfi",
        &graph,
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]);
    let text = String::from_utf8(out).expect("text");
    let value = |line: &str| {
        let psnr = line.split_whitespace().find_map(|word| word.strip_prefix("psnr_y:")).expect("a luma value");
        if psnr == "inf" { 100.0 } else { psnr.parse().expect("a number") }
    };
    text.lines().map(value).collect()
}

/// Presentation times of the frames in seconds, as the judge shows them.
pub fn frame_times(path: &Path) -> Vec<f64> {
    let (_, log) = judge(&[
        "-copyts",
        "-i",
        text(path),
        "-map",
        "0:v",
        "-vf",
        "showinfo",
        "-fps_mode",
        "passthrough",
        "-f",
        "null",
        "-",
    ]);
    log.lines().filter_map(|line| line.split_once(" pts_time:")).map(|(_, rest)| number(rest)).collect()
}

/// A number at the beginning of `text`.
pub fn number(text: &str) -> f64 {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.parse().unwrap_or_else(|_| panic!("`{word}` is not a number"))
}

/// Time of the first frame in seconds.
fn first_frame(path: &Path) -> f64 {
    first(path, &["-map", "0:v:0", "-frames:v", "1", "-vf", "showinfo"])
}

/// Time of the first frame or sample, as the filter shows it that `options` choose.
fn first(path: &Path, options: &[&str]) -> f64 {
    let input = ["-copyts", "-i", text(path)];
    let (_, log) = judge(&[&input[..], options, &["-fps_mode", "passthrough", "-f", "null", "-"]].concat());
    let mut times =
        log.lines().filter(|line| line.contains("showinfo")).filter_map(|line| line.split_once("pts_time:"));
    times.next().map_or_else(|| panic!("{} has nothing for {options:?}", path.display()), |(_, rest)| number(rest))
}

/// Time of the first sample of audio less that of the first frame, in seconds, as a player hears and sees it.
pub fn av_offset(path: &Path) -> f64 {
    first(path, &["-map", "0:a:0", "-frames:a", "1", "-af", "ashowinfo"]) - first_frame(path)
}

/// Samples per second at which sounds are compared.
const SOUND_RATE: usize = 8000;
/// The part of a sound that is looked for, and how far it may be away.
const SOUND: std::ops::Range<usize> = 5 * SOUND_RATE..8 * SOUND_RATE;
const FARTHEST: usize = SOUND_RATE / 10;

/// How much later the sound of `made` comes than that of `source`, in seconds, both counted from the first frame that is
/// seen. The sound itself is compared: where a track begins says little in a container that keeps the delay of encoders.
pub fn sound_shift(made: &Path, source: &Path) -> f64 {
    let ((made_at, made), (source_at, source)) = (sound(made), sound(source));
    let wanted = &source[SOUND];
    let lag = (0..=2 * FARTHEST)
        .max_by(|a, b| {
            likeness(wanted, &made[SOUND.start + a - FARTHEST..])
                .total_cmp(&likeness(wanted, &made[SOUND.start + b - FARTHEST..]))
        })
        .expect("a lag");
    let likeness = likeness(wanted, &made[SOUND.start + lag - FARTHEST..]);
    assert!(likeness > 0.9, "the sound of the source is not there: {likeness}");
    made_at - source_at + (lag as f64 - FARTHEST as f64) / SOUND_RATE as f64
}

/// Time of the first sample less that of the first frame in seconds, and all samples of the first track.
fn sound(path: &Path) -> (f64, Vec<f64>) {
    // Without its highest tones a sound is alike also where the best lag lies between two samples.
    let filter = format!("ashowinfo,lowpass=f=1000,aresample={SOUND_RATE}");
    let (pcm, log) =
        judge(&["-copyts", "-i", text(path), "-map", "0:a:0", "-af", &filter, "-ac", "1", "-f", "s16le", "-"]);
    let begin = log.lines().find_map(|line| line.split_once("pts_time:")).map(|(_, rest)| number(rest));
    let begin = begin.unwrap_or_else(|| panic!("{} has no audio", path.display()));
    let samples = pcm.chunks_exact(2).map(|s| f64::from(i16::from_le_bytes([s[0], s[1]]))).collect();
    (begin - first_frame(path), samples)
}

/// 1 where two sounds are the same, 0 where they have nothing in common.
fn likeness(a: &[f64], b: &[f64]) -> f64 {
    let (mut both, mut in_a, mut in_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        both += a * b;
        in_a += a * a;
        in_b += b * b;
    }
    both / (in_a * in_b).sqrt().max(1.0)
}

/// What GStreamer complains about when it decodes the whole file, picture and sound.
pub fn gstreamer_warnings(path: &Path) -> String {
    complaints(path, &["d.", "!", "queue", "!", "fakesink", "d.", "!", "queue", "!", "fakesink"])
}

/// The same of a file that has no sound.
pub fn gstreamer_warnings_of_silent(path: &Path) -> String {
    complaints(path, &["d.", "!", "queue", "!", "fakesink"])
}

fn complaints(path: &Path, sinks: &[&str]) -> String {
    let output = Command::new("timeout")
        .args([
            "120",
            "gst-launch-1.0",
            "-q",
            "filesrc",
            &format!("location={}", text(path)),
            "!",
            "decodebin",
            "name=d",
        ])
        .args(sinks)
        .env("GST_DEBUG", "2")
        .env("GST_DEBUG_NO_COLOR", "1")
        .output()
        .expect("gst-launch-1.0: apt-get install gstreamer1.0-tools");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let mut complaints: Vec<&str> = said.lines().collect();
    if !output.status.success() {
        complaints.push("it did not end well");
    }
    complaints.join("\n")
}

/// Samples per channel that the judge decodes.
pub fn audio_samples(path: &Path) -> u64 {
    let (pcm, _) = judge(&["-v", "error", "-i", text(path), "-map", "0:a:0", "-ac", "1", "-f", "s16le", "-"]);
    (pcm.len() / 2) as u64
}

/// A path as text; the paths of the tests are plain.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

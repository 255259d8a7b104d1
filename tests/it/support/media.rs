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

/// Runs the judge; returns what it wrote to standard output and to standard error.
pub fn judge(args: &[&str]) -> (Vec<u8>, String) {
    let output = Command::new(prepared("ffmpeg")).arg("-hide_banner").args(args).output().expect("the judge runs");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the judge failed on {args:?}: {log}");
    (output.stdout, log)
}

/// What the judge complains about when it reads the whole file.
pub fn warnings(path: &Path) -> String {
    let frames = ["-fps_mode", "passthrough", "-enc_time_base:v", "demux", "-f", "framecrc", "-"];
    judge(&[&["-v", "warning", "-i", text(path), "-map", "0"][..], &frames].concat()).1
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

/// Time of the first sample of audio less that of the first frame, in seconds, as a player hears and sees it.
pub fn av_offset(path: &Path) -> f64 {
    let first = |map: &str, filter: &str, option: &str| {
        let (_, log) = judge(&[
            "-copyts",
            "-i",
            text(path),
            "-map",
            map,
            option,
            filter,
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ]);
        let times =
            log.lines().filter(|line| line.contains("showinfo")).filter_map(|line| line.split_once("pts_time:"));
        times.map(|(_, rest)| number(rest)).next().unwrap_or_else(|| panic!("{} has no {map}", path.display()))
    };
    first("0:a:0", "ashowinfo", "-af") - first("0:v:0", "showinfo", "-vf")
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

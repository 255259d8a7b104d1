//! Films as AV1, which MP4 alone holds: whole jobs through the program, looked at by the judge.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::film::{Source, check, check_pictures};
use crate::media::sources::{PICTURE, TONE, make};
use crate::support::clip::{self, Clip};
use crate::support::media::{film_head, judge, text, warnings};
use crate::support::transcode::{Bench, uri};

/// Makes an MP4 file of `input`.
fn made(bench: &Bench, input: &Path, video: &serde_json::Value, options: &[&str]) -> PathBuf {
    let output = bench.path("out.mp4");
    let job = json!({"job_id": "av1", "input": {"uri": uri(input)}, "outputs": [
        {"uri": uri(&output), "container": "mp4", "video": video, "audio": {"codec": "aac"}}]});
    bench.transcode(&[&["--job", text(&bench.job(&job))][..], options].concat());
    output
}

/// What the judge says of the video.
fn described(path: &Path) -> String {
    judge(&["-i", text(path), "-frames:v", "1", "-f", "null", "-"]).1
}

/// The content of the first box of this name.
fn content<'a>(file: &'a [u8], name: &[u8; 4]) -> &'a [u8] {
    let at = file.windows(4).position(|window| window == name).expect("a box");
    let size = u32::from_be_bytes(file[at - 4..at].try_into().expect("four")) as usize;
    &file[at + 4..at - 4 + size]
}

#[test]
fn the_head_of_the_film_as_av1_has_every_frame_once_and_in_order() {
    let (bench, source) = (Bench::new(), Source::of(film_head()));
    let output = made(&bench, &source.path, &json!({"codec": "av1", "height": 360, "preset": "fast"}), &[]);
    check(&output, &source);
    check_pictures(&output, &source, 640, 360);
}

#[test]
fn the_index_says_what_the_stream_is() {
    let directory = Bench::new();
    for (pixels, depth, codec) in [("yuv420p", 8, "libx264"), ("yuv420p10le", 10, "libx265")] {
        let options = format!("{PICTURE} {TONE} -c:v {codec} -preset ultrafast -pix_fmt {pixels} -c:a aac -t 2");
        let input = make(directory.root(), &format!("{depth}.mp4"), &options);
        let bench = Bench::new();
        let output = made(&bench, &input, &json!({"codec": "av1", "preset": "ultrafast"}), &[]);
        assert_eq!(warnings(&output), "");
        assert!(
            described(&output).contains(&format!("(Main) (av01 / 0x31307661), {pixels}(")),
            "{}",
            described(&output)
        );
        let file = std::fs::read(&output).expect("the output");
        let record = content(&file, b"av1C");
        let high = if depth == 10 { 0x40 } else { 0 };
        // Version 1, main profile; 4:2:0. The header of the sequence follows, and stands in each key frame.
        assert_eq!(
            (record[0], record[1] >> 5, record[2] & 0xfc, record[4]),
            (0x81, 0, high | 0x0c, 0x0a),
            "{record:x?}"
        );
        let header = &record[4..];
        let media = content(&file, b"mdat");
        assert_eq!(media.windows(header.len()).filter(|window| *window == header).count(), key_frames(&output));
        assert_eq!(&media[..header.len()], header, "a sample begins without a delimiter");
    }
}

fn key_frames(path: &Path) -> usize {
    let key = ["-skip_frame", "nokey", "-i", text(path), "-map", "0:v", "-fps_mode", "passthrough"];
    let (out, _) = judge(&[&key[..], &["-f", "framecrc", "-"]].concat());
    String::from_utf8(out).expect("text").lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn frames_at_odd_times_are_where_they_were() {
    let directory = Bench::new();
    let encoder = "x264enc key-int-max=50 speed-preset=veryfast ! h264parse";
    let clip = Clip { variable: true, ..Clip::new("clip.mkv", encoder, "opusenc ! opusparse", "matroskamux") };
    let input = clip.write(directory.root());
    let bench = Bench::new();
    let video = json!({"codec": "av1", "height": 180, "crf": 15, "preset": "veryfast", "upscale": true});
    let output = made(&bench, &input, &video, &["--chunk-seconds", "2"]);
    assert_eq!(warnings(&output), "");
    let seen = clip::read(&output);
    assert_eq!(seen.iter().map(|frame| frame.number).collect::<Vec<_>>(), (0..clip.frames).collect::<Vec<_>>());
    for frame in &seen {
        let (found, right) = (frame.at - seen[0].at, clip.time(frame.number) as f64 / 1e9);
        assert!((found - right).abs() < 0.0012, "frame {} is at {found}, not {right}", frame.number);
    }
}

#[test]
fn the_same_job_gives_the_same_bytes_with_any_pool_size_and_a_second_time() {
    let bytes = ["1", "3", "3"].map(|pool| {
        let bench = Bench::new();
        let video = json!({"codec": "av1", "height": 270, "preset": "veryfast"});
        let options = ["--pool-size", pool, "--chunk-seconds", "3"];
        std::fs::read(made(&bench, &film_head(), &video, &options)).expect("an output")
    });
    assert!(bytes[0] == bytes[1], "pool sizes 1 and 3 give different bytes");
    assert!(bytes[1] == bytes[2], "the same job gives other bytes the second time");
}

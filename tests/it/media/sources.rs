//! Inputs for the tests of split and encode, made by the judge, and what is decoded from chunk sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::plan::{ChunkFacts, SourceFacts};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoFrameRef, VideoInfo};
use gstreamer_worker::media;
use gstreamer_worker::media::gdp::presentation_ns;
use gstreamer_worker::protocol::SplitSpec;

use crate::support::media::{judge, text};

/// A picture that differs from frame to frame, 8 s at 25 fps.
pub const PICTURE: &str = "-f lavfi -i testsrc2=s=160x96:r=25:d=8";
/// A tone of the same length.
pub const TONE: &str = "-f lavfi -i sine=440:r=48000:d=8";

/// Makes `name` in `directory` with the judge's options, separated by blanks.
pub fn make(directory: &Path, name: &str, options: &str) -> PathBuf {
    let path = directory.join(name);
    let options: Vec<&str> = options.split_whitespace().collect();
    judge(&[&["-v", "error", "-y"][..], &options, &[text(&path)]].concat());
    path
}

/// Makes `name` from another file without encoding again.
pub fn remux(directory: &Path, name: &str, from: &Path, options: &str) -> PathBuf {
    make(directory, name, &format!("-i {} -c copy {options}", text(from)))
}

/// Cuts `input` into `directory`.
pub fn split(input: &Path, directory: &Path, chunk_seconds: u32) -> Result<SourceFacts, Failure> {
    std::fs::create_dir_all(directory).expect("a directory");
    let spec = SplitSpec {
        input: input.to_owned(),
        directory: directory.to_owned(),
        chunk_seconds,
        audio: true,
        max_damage: 0.02,
        from_start: false,
    };
    media::run(&spec, &|_| {})
}

/// Time in nanoseconds and checksum of the picture of a frame.
pub type Frame = (i64, String);

/// Decodes a chunk source, or a part, from its beginning to its end.
pub fn decode(source: &Path) -> Vec<Frame> {
    let frames = frames(&format!("filesrc location={} ! gdpdepay ! decodebin", text(source)));
    let shown = |(time, sum): (gst::ClockTime, String)| (presentation_ns(time), sum);
    frames.into_iter().map(shown).collect()
}

/// What these elements decode from a file in one go. For codecs where the judge's decoder is of another make.
pub fn straight(input: &Path, elements: &str) -> Vec<Frame> {
    let frames = frames(&format!("filesrc location={} ! {elements}", text(input)));
    frames.into_iter().map(|(time, sum)| (time.nseconds() as i64, sum)).collect()
}

/// Running times and checksums of all frames that `source` gives.
fn frames(source: &str) -> Vec<(gst::ClockTime, String)> {
    media::init().expect("GStreamer");
    let description = format!("{source} ! appsink name=out sync=false max-buffers=4");
    let pipeline = gst::parse::launch(&description).unwrap_or_else(|error| panic!("{description}: {error}"));
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    pipeline.connect_deep_element_added(|_, _, element| {
        // In threads `avdec_h265` of libavcodec 61 loses a frame behind an open random access point, now and then.
        if element.has_property("max-threads") {
            element.set_property("max-threads", 1i32);
        }
    });
    let sink = pipeline.by_name("out").and_then(|sink| sink.downcast::<AppSink>().ok()).expect("the sink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let mut frames = Vec::new();
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(60)) {
        let buffer = sample.buffer().expect("a buffer");
        let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>()).expect("a segment");
        let time = segment.to_running_time(buffer.pts()).expect("a time");
        let info = VideoInfo::from_caps(sample.caps().expect("caps")).expect("raw video");
        frames.push((time, checksum(buffer, &info)));
    }
    assert!(sink.is_eos(), "{source} did not decode to its end");
    pipeline.set_state(gst::State::Null).expect("it stops");
    frames
}

/// MD5 of the picture without what lies between its lines.
fn checksum(buffer: &gst::BufferRef, info: &VideoInfo) -> String {
    let frame = VideoFrameRef::from_buffer_ref_readable(buffer, info).expect("a frame");
    let mut sum = gst::glib::Checksum::new(gst::glib::ChecksumType::Md5).expect("md5");
    for plane in 0..frame.n_planes() {
        let component = plane.min(frame.n_components() - 1);
        let width = frame.comp_width(component) as usize * frame.comp_pstride(component) as usize;
        let stride = frame.plane_stride()[plane as usize] as usize;
        let data = frame.plane_data(plane).expect("a plane");
        for line in data.chunks(stride).take(frame.comp_height(component) as usize) {
            sum.update(&line[..width]);
        }
    }
    sum.string().expect("a sum")
}

/// The frames that the windows of `chunks` keep, in order.
pub fn chunked(directory: &Path, chunks: &[ChunkFacts]) -> Vec<Frame> {
    let mut decoded: BTreeMap<&str, Vec<Frame>> = BTreeMap::new();
    let mut kept = Vec::new();
    for chunk in chunks {
        let frames = decoded.entry(&chunk.source).or_insert_with(|| decode(&directory.join(&chunk.source)));
        let window = chunk.window.start_ns as i64..chunk.window.end_ns as i64;
        kept.extend(frames.iter().filter(|(at, _)| window.contains(at)).cloned());
    }
    kept
}

/// What the judge decodes from the first video track of a file.
pub fn judged(input: &Path) -> Vec<Frame> {
    let args = ["-v", "error", "-noautorotate", "-i", text(input), "-map", "0:v:0", "-fps_mode", "passthrough"];
    let args = [&args[..], &["-enc_time_base", "1:1000000000", "-f", "framemd5", "-"]].concat();
    let (out, _) = judge(&args);
    let out = String::from_utf8(out).expect("text");
    let base = out.lines().find_map(|line| line.strip_prefix("#tb 0: ")).expect("a time base");
    let (num, den) = base.split_once('/').expect("a fraction");
    let (num, den): (i128, i128) = (num.parse().expect("a number"), den.parse().expect("a number"));
    let frames = out.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let pts: i128 = fields[2].parse().expect("a time");
        ((pts * num * 1_000_000_000 / den) as i64, fields[5].to_owned())
    });
    frames.collect()
}

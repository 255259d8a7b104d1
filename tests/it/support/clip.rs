//! Clips that say what they show: the frame number stands in every picture as sixteen bars, once a second the
//! picture flashes and a beep sounds. Made by GStreamer, read back by the judge.

use std::path::{Path, PathBuf};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use super::media::{judge, number, text};

/// Bits of the frame number, most significant first.
const BITS: u32 = 16;
/// Where the picture is read.
const READ: (usize, usize) = (320, 180);

/// What to make.
#[derive(Clone)]
pub struct Clip {
    /// File name; its end says nothing, `mux` decides.
    pub name: &'static str,
    /// From raw video to the muxer.
    pub video: &'static str,
    /// From raw audio to the muxer; empty for none.
    pub audio: &'static str,
    /// The muxer.
    pub mux: &'static str,
    /// Frames.
    pub frames: u32,
    /// Frames per second.
    pub fps: (i32, i32),
    /// Pixels.
    pub size: (u32, u32),
    /// Distances of the frames differ.
    pub variable: bool,
    /// Channels of the audio.
    pub channels: u32,
}

impl Clip {
    /// 640x360 at 25 fps, stereo.
    pub const fn new(name: &'static str, video: &'static str, audio: &'static str, mux: &'static str) -> Self {
        Self { name, video, audio, mux, frames: 300, fps: (25, 1), size: (640, 360), variable: false, channels: 2 }
    }

    /// Time of a frame in nanoseconds.
    pub fn time(&self, frame: u32) -> u64 {
        let regular = u64::from(frame) * 1_000_000_000 * self.fps.1 as u64 / self.fps.0 as u64;
        // Every third frame comes 13 ms late, and each hundredth leaves a gap of two seconds in front of it.
        let late = if self.variable && frame % 3 == 1 { 13_000_000 } else { 0 };
        let gap = if self.variable { u64::from(frame / 100) * 2_000_000_000 } else { 0 };
        regular + late + gap
    }

    /// Makes the clip in `directory`.
    pub fn write(&self, directory: &Path) -> PathBuf {
        gst::init().expect("GStreamer");
        let path = directory.join(self.name);
        let audio = match self.audio {
            "" => String::new(),
            chain => format!(
                "appsrc name=audio format=time max-bytes=4000000 block=true ! {chain} ! queue max-size-time=0 max-size-buffers=0 ! mux."
            ),
        };
        let description = format!(
            "appsrc name=video format=time max-bytes=20000000 block=true ! {} ! queue max-size-time=0 max-size-buffers=0 max-size-bytes=0 ! mux. {audio} \
             {} name=mux ! filesink location={}",
            self.video,
            self.mux,
            text(&path)
        );
        let pipeline = gst::parse::launch(&description).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
        let feeders = self.feeders(&pipeline);
        pipeline.set_state(gst::State::Playing).expect("it plays");
        let bus = pipeline.bus().expect("a bus");
        let message = bus
            .timed_pop_filtered(gst::ClockTime::from_seconds(120), &[gst::MessageType::Eos, gst::MessageType::Error]);
        pipeline.set_state(gst::State::Null).expect("it stops");
        let ended = message.as_ref().map(|message| message.view());
        assert!(matches!(ended, Some(gst::MessageView::Eos(_))), "making {}: {ended:?}", self.name);
        feeders.into_iter().for_each(|feeder| feeder.join().expect("the feeder ends"));
        path
    }

    fn feeders(&self, pipeline: &gst::Pipeline) -> Vec<std::thread::JoinHandle<()>> {
        let source = |name: &str| pipeline.by_name(name).and_then(|element| element.downcast::<AppSrc>().ok());
        let video = source("video").expect("a video source");
        let rate = if self.variable { gst::Fraction::new(0, 1) } else { gst::Fraction::new(self.fps.0, self.fps.1) };
        video.set_caps(Some(
            &gst::Caps::builder("video/x-raw")
                .field("format", "I420")
                .field("width", self.size.0 as i32)
                .field("height", self.size.1 as i32)
                .field("pixel-aspect-ratio", gst::Fraction::new(1, 1))
                .field("framerate", rate)
                .build(),
        ));
        let clip = self.clone();
        let mut feeders = vec![std::thread::spawn(move || clip.feed_video(&video))];
        if let Some(audio) = source("audio") {
            let mask: u64 = if self.channels == 6 { 0x3f } else { (1 << self.channels) - 1 };
            audio.set_caps(Some(
                &gst::Caps::builder("audio/x-raw")
                    .field("format", "S16LE")
                    .field("layout", "interleaved")
                    .field("rate", 48_000)
                    .field("channels", self.channels as i32)
                    .field("channel-mask", gst::Bitmask::new(if self.channels == 1 { 0 } else { mask }))
                    .build(),
            ));
            let clip = self.clone();
            feeders.push(std::thread::spawn(move || clip.feed_audio(&audio)));
        }
        feeders
    }

    fn feed_video(&self, source: &AppSrc) {
        for frame in 0..self.frames {
            let mut buffer = gst::Buffer::from_mut_slice(self.picture(frame));
            let at = self.time(frame);
            let buffer_mut = buffer.get_mut().expect("the only owner");
            buffer_mut.set_pts(gst::ClockTime::from_nseconds(at));
            buffer_mut.set_duration(gst::ClockTime::from_nseconds(self.time(frame + 1) - at));
            if source.push_buffer(buffer).is_err() {
                return;
            }
        }
        let _ = source.end_of_stream();
    }

    /// 1 kHz for 100 ms from the beginning of each second.
    fn feed_audio(&self, source: &AppSrc) {
        let total = self.time(self.frames) * 48 / 1_000_000;
        let mut at = 0;
        while at < total {
            let count = 4800.min(total - at);
            let mut samples = Vec::with_capacity((count * u64::from(self.channels) * 2) as usize);
            for n in at..at + count {
                let loud = n % 48_000 < 4800;
                let value = if loud { ((n as f64 * std::f64::consts::TAU / 48.0).sin() * 16_000.0) as i16 } else { 0 };
                (0..self.channels).for_each(|_| samples.extend(value.to_le_bytes()));
            }
            let mut buffer = gst::Buffer::from_mut_slice(samples);
            let buffer_mut = buffer.get_mut().expect("the only owner");
            buffer_mut.set_pts(gst::ClockTime::from_nseconds(at * 1_000_000 / 48));
            buffer_mut.set_duration(gst::ClockTime::from_nseconds(count * 1_000_000 / 48));
            if source.push_buffer(buffer).is_err() {
                return;
            }
            at += count;
        }
        let _ = source.end_of_stream();
    }

    /// I420: bars in the lower half, a flash at the top left, texture that moves elsewhere.
    fn picture(&self, frame: u32) -> Vec<u8> {
        let (width, height) = self.size;
        let flash = self.flashes(frame);
        let mut picture = Vec::with_capacity((width * height * 3 / 2) as usize);
        for y in 0..height {
            for x in 0..width {
                let bit = frame >> (BITS - 1 - x * BITS / width) & 1;
                picture.push(match (y >= height / 2, x < width / 4 && y < height / 4) {
                    (true, _) => 40 + 160 * bit as u8,
                    (false, true) => {
                        if flash {
                            230
                        } else {
                            20
                        }
                    }
                    (false, false) => 64 + ((x * 3 + y * 2 + frame * 5) % 128) as u8,
                });
            }
        }
        picture.resize((width * height * 3 / 2) as usize, 128);
        picture
    }

    /// Whether a frame lies in the first 100 ms of a second.
    fn flashes(&self, frame: u32) -> bool {
        self.time(frame) % 1_000_000_000 < 100_000_000
    }
}

/// A frame as the judge saw it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// The number that its bars show.
    pub number: u32,
    /// Its time in seconds.
    pub at: f64,
    /// Whether it flashes.
    pub flash: bool,
}

/// Reads all frames of a clip, or of what was made of one.
pub fn read(path: &Path) -> Vec<Seen> {
    let (width, height) = READ;
    let filter = format!("showinfo,scale={width}:{height},format=gray");
    let args = [
        "-copyts",
        "-i",
        text(path),
        "-map",
        "0:v:0",
        "-vf",
        &filter,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-",
    ];
    let (pictures, log) = judge(&args);
    let times = log
        .lines()
        .filter_map(|line| line.split_once(" pts_time:"))
        .map(|(_, rest)| rest.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a time"));
    let pictures = pictures.chunks_exact(width * height);
    assert_eq!(pictures.len(), times.clone().count(), "a time for each frame of {}", path.display());
    pictures
        .zip(times)
        .map(|(picture, at)| Seen { number: bars(picture), at, flash: picture[width * (height / 8) + width / 8] > 128 })
        .collect()
}

fn bars(picture: &[u8]) -> u32 {
    let (width, height) = READ;
    let row = &picture[width * (height * 3 / 4)..][..width];
    (0..BITS as usize).fold(0, |number, bit| {
        let middle = (2 * bit + 1) * width / (2 * BITS as usize);
        number << 1 | u32::from(row[middle] > 120)
    })
}

/// The numbers of the frames, in order.
pub fn numbers(path: &Path) -> Vec<u32> {
    read(path).into_iter().map(|seen| seen.number).collect()
}

/// Times at which beeps begin, in seconds on the time line of the frames.
pub fn beeps(path: &Path) -> Vec<f64> {
    const RATE: usize = 48_000;
    let filter = "ashowinfo,aresample=48000:async=1";
    let (pcm, log) =
        judge(&["-copyts", "-i", text(path), "-map", "0:a:0", "-af", filter, "-ac", "1", "-f", "s16le", "-"]);
    let begin = log.lines().filter_map(|line| line.split_once("pts_time:")).map(|(_, rest)| number(rest)).next();
    let begin = begin.unwrap_or_else(|| panic!("{} has no audio", path.display()));
    let loud: Vec<bool> = pcm.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]).unsigned_abs() > 3000).collect();
    let mut quiet = RATE;
    let mut begins = Vec::new();
    for (position, loud) in loud.into_iter().enumerate() {
        if loud && quiet > RATE / 4 {
            begins.push(begin + position as f64 / RATE as f64);
        }
        quiet = if loud { 0 } else { quiet + 1 };
    }
    begins
}

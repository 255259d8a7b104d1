//! Parts and plans for the tests of single stages, made by GStreamer's test sources.

use std::path::{Path, PathBuf};

use actors::domain::failure::Failure;
use actors::domain::job::{Container, VideoCodec};
use actors::domain::part::{AudioStats, FileRef, MediaStats, Part, VideoStats};
use actors::domain::plan::testing::{facts_of, identity, job, video_of};
use actors::domain::plan::{AudioFacts, AudioPlan, EncoderFamily, Families, Plan, Window};
use actors::domain::track::{RenditionId, TrackId};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_worker::media;
use gstreamer_worker::media::gdp::{GdpWriter, Written, to_file_time};
use gstreamer_worker::protocol::{AssembleSpec, EncodeAudioSpec, Encoded, EncodedFile, Member, PartSource};

/// H.264 with B-frames, as byte stream.
pub const X264: &str = "x264enc threads=1 key-int-max=20 bframes=3 b-adapt=false speed-preset=ultrafast ! \
                        video/x-h264,profile=main,stream-format=byte-stream,alignment=au";
/// HEVC, as byte stream.
pub const X265: &str = "x265enc key-int-max=20 speed-preset=ultrafast option-string=pools=1:bframes=3 ! \
                        video/x-h265,profile=main,stream-format=byte-stream,alignment=au";

/// A film that is made in parts.
pub struct Film {
    /// From raw video to a byte stream, one for each chunk.
    pub encoders: Vec<&'static str>,
    /// Frames of each chunk.
    pub frames: u32,
    /// Frames per second.
    pub fps: (u32, u32),
    /// When each frame is shown, in nanoseconds.
    pub time: fn(u32) -> u64,
    /// Pattern of `videotestsrc`.
    pub pattern: &'static str,
}

/// Time of a frame at a constant rate.
pub fn at(frame: u32, fps: (u32, u32)) -> u64 {
    u64::from(frame) * 1_000_000_000 * u64::from(fps.1) / u64::from(fps.0)
}

impl Film {
    /// Three chunks of 40 frames at 24 fps.
    pub fn new(encoder: &'static str) -> Self {
        Self { encoders: vec![encoder; 3], frames: 40, fps: (24, 1), time: |frame| at(frame, (24, 1)), pattern: "ball" }
    }

    /// All frames.
    pub fn total(&self) -> u32 {
        self.frames * self.encoders.len() as u32
    }

    /// When each frame is shown, in seconds.
    pub fn times(&self) -> Vec<f64> {
        (0..self.total()).map(|frame| (self.time)(frame) as f64 / 1e9).collect()
    }

    /// The plan of one output.
    pub fn plan(&self, codec: VideoCodec) -> Plan {
        let mut facts = facts_of(self.encoders.len() as u32, false);
        facts.video.frame_rate = self.fps;
        facts.video.end_ns = (self.time)(self.total());
        for (index, chunk) in (0u32..).zip(&mut facts.video.chunks) {
            let begin = index * self.frames;
            let (start_ns, end_ns) = ((self.time)(begin), (self.time)(begin + self.frames));
            chunk.window = Window { start_ns: if index == 0 { 0 } else { start_ns }, end_ns, frames: self.frames };
        }
        let mut plan = Plan::build(job("movie-42"), identity(), facts, 4, &Families::default()).expect("a plan");
        video_of(&mut plan).renditions[0].codec = codec;
        plan
    }

    /// The parts in `directory`.
    pub fn parts(&self, directory: &Path) -> Vec<PartSource> {
        (0u32..).zip(&self.encoders).map(|(chunk, encoder)| self.part(directory, chunk, encoder)).collect()
    }

    fn part(&self, directory: &Path, chunk: u32, encoder: &str) -> PartSource {
        let path = directory.join(format!("v{chunk:05}.gdp"));
        let (frames, (num, den), pattern) = (self.frames, self.fps, self.pattern);
        let samples = run_to_end(&format!(
            "videotestsrc num-buffers={frames} pattern={pattern} animation-mode=frames ! \
             video/x-raw,format=I420,width=320,height=180,framerate={num}/{den},colorimetry=bt709 ! \
             {encoder} ! appsink name=out sync=false"
        ));
        let mut writer = GdpWriter::part(&path, &samples[0].caps_owned().expect("caps")).expect("a part");
        let mut keys = 0;
        for sample in &samples {
            let mut buffer = sample.buffer_owned().expect("a buffer");
            let segment = sample.segment().and_then(|s| s.downcast_ref::<gst::ClockTime>()).expect("a segment");
            let running = segment.to_running_time(buffer.pts()).expect("a time").nseconds();
            let frame = (running as f64 * f64::from(num) / f64::from(den) / 1e9).round() as u32;
            let time = (self.time)(chunk * frames + frame);
            let fields = buffer.make_mut();
            fields.set_pts(to_file_time(time as i64));
            fields.set_dts(gst::ClockTime::NONE);
            keys += u32::from(!fields.flags().contains(gst::BufferFlags::DELTA_UNIT));
            writer.write(buffer).expect("it is written");
        }
        assert_eq!(samples.len(), frames as usize);
        source(path, writer.finish().expect("it ends"), samples.len() as u32, keys)
    }
}

fn source(path: PathBuf, written: Written, access_units: u32, key_units: u32) -> PartSource {
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let Written { bytes, sha256 } = written;
    let file = EncodedFile { bytes, sha256, media: VideoStats { access_units, key_units, damaged: 0 } };
    recorded(path, &name, file, TrackId::Video, None)
}

/// What a stage wrote at `path`, recorded as the part `name` of the first rendition of a track.
pub fn recorded<M: Into<MediaStats>>(
    path: PathBuf,
    name: &str,
    file: EncodedFile<M>,
    track: TrackId,
    encoder: Option<EncoderFamily>,
) -> PartSource {
    let EncodedFile { bytes, sha256, media } = file;
    let file = FileRef { name: name.into(), bytes, sha256 };
    PartSource { path, part: Part { rendition: RenditionId::new(track, 0), file, media: media.into(), encoder } }
}

/// What joins these parts to the first output of `plan`, in `package`.
pub fn joins(
    plan: &Plan,
    package: Container,
    video: &[PartSource],
    audio: Option<&PartSource>,
    target: PathBuf,
) -> AssembleSpec {
    let mut plan = plan.clone();
    plan.outputs[0].package = package;
    let of_track = |rendition: &RenditionId| match rendition.track {
        TrackId::Video => Member { rendition: *rendition, parts: video.to_vec() },
        TrackId::Audio(_) => Member { rendition: *rendition, parts: audio.cloned().into_iter().collect() },
    };
    let members = plan.outputs[0].members.iter().map(of_track).collect();
    AssembleSpec { plan, output: 0, members, target }
}

/// All samples that arrive at the appsink `out` of a pipeline.
pub fn run_to_end(description: &str) -> Vec<gst::Sample> {
    media::init().expect("GStreamer");
    let pipeline = gst::parse::launch(description).unwrap_or_else(|error| panic!("{description}: {error}"));
    let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = pipeline.by_name("out").and_then(|sink| sink.downcast::<AppSink>().ok()).expect("an appsink");
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let mut samples = Vec::new();
    while let Some(sample) = sink.try_pull_sample(gst::ClockTime::from_seconds(60)) {
        samples.push(sample);
    }
    assert!(sink.is_eos(), "{description} does not end");
    pipeline.set_state(gst::State::Null).expect("it stops");
    samples
}

/// An audio source: what comes out of `description`, the first buffer at `start_ns`.
pub fn audio_source(directory: &Path, description: &str, start_ns: i64) -> (PathBuf, AudioFacts) {
    let mut samples = run_to_end(&format!("{description} ! appsink name=out sync=false"));
    // Headers stand in the caps.
    samples.retain(|sample| sample.buffer().is_some_and(|buffer| !buffer.flags().contains(gst::BufferFlags::HEADER)));
    let caps = samples[0].caps_owned().expect("caps");
    let path = directory.join("audio.gdp");
    let mut writer = GdpWriter::source(&path, &caps).expect("a source");
    let first = samples[0].buffer().and_then(|buffer| buffer.pts()).expect("a time").nseconds() as i64;
    let mut end_ns = 0;
    for sample in &samples {
        let mut buffer = sample.buffer_owned().expect("a buffer");
        let fields = buffer.make_mut();
        let time = fields.pts().expect("a time").nseconds() as i64 - first + start_ns;
        end_ns = time + fields.duration().unwrap_or_default().nseconds() as i64;
        fields.set_pts(to_file_time(time));
        fields.set_dts(gst::ClockTime::NONE);
        writer.write(buffer).expect("it is written");
    }
    writer.finish().expect("it ends");
    let number = |name| caps.structure(0).and_then(|s| s.get::<i32>(name).ok()).expect("a number") as u32;
    let facts = AudioFacts {
        source: "audio.gdp".into(),
        caps: caps.to_string(),
        sample_rate: number("rate"),
        channels: number("channels"),
        start_ns: start_ns.max(0) as u64,
        end_ns: end_ns.max(0) as u64,
        account: None,
    };
    (path, facts)
}

/// Encodes the audio of `plan` with the stage itself; one part for each rendition.
pub fn encode_audio(directory: &Path, source: &Path, plan: &AudioPlan) -> Result<Vec<PartSource>, Failure> {
    let targets: Vec<_> = (0..plan.renditions.len()).map(|index| directory.join(format!("a{index}.gdp"))).collect();
    let spec = EncodeAudioSpec { source: source.to_owned(), plan: plan.clone(), targets: targets.clone() };
    let Encoded::Files(files) = media::run(&spec, &|_| {})? else { panic!("the source is there") };
    let named = |(file, path): (EncodedFile<AudioStats>, PathBuf)| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        recorded(path, &name, file, TrackId::Audio(0), None)
    };
    Ok(files.into_iter().zip(targets).map(named).collect())
}

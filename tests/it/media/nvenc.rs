//! NVIDIA's elements as they are in the plugin of this GStreamer, on a driver that only takes notes (`driver.c`): what our
//! settings become on their way to the hardware. What the hardware would make of them is not seen here.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use actors::domain::failure::{DeviceFault, Failure, FailureClass};
use actors::domain::job::{JobSpec, Preset};
use actors::domain::plan::testing::{identity, video_of};
use actors::domain::plan::{EncoderFamily, Families, Plan};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_video::{VideoCaptionMeta, VideoCaptionType};
use gstreamer_worker::media::codec::start_code::nal_units;
use gstreamer_worker::media::gdp::GdpReader;
use gstreamer_worker::protocol::{
    DeviceElements, DeviceWork, DevicesSpec, EncodeSpec, Encoded, Order, Scaling, Stage, StageEvent,
};

use super::sources::{PICTURE, make, split};
use crate::support::media::{judge, text};

const FILM: &str = "-c:v libx264 -preset ultrafast -pix_fmt yuv420p -frames:v 12";
/// A film with the metadata of HDR10.
const HDR: &str = "-frames:v 12 -pix_fmt yuv420p10le -c:v libx265 -preset ultrafast -color_primaries bt2020 \
    -color_trc smpte2084 -colorspace bt2020nc -x265-params \
    log-level=none:hdr10=1:repeat-headers=1:max-cll=1000,400:\
    master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)";
/// The SEI messages of it.
const MASTERING_DISPLAY: u8 = 137;
const LIGHT_LEVEL: u8 = 144;

/// A machine with an NVENC that takes notes.
struct Machine {
    directory: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { directory: tempfile::tempdir().expect("a directory") };
        machine.install(&["libcuda.so.1", "libnvidia-encode.so.1", "libnvcuvid.so.1", "libnvrtc.so"]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn install(&self, libraries: &[&str]) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/media/driver.c");
        let driver = self.path("driver.so");
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&driver).arg(source).status();
        assert!(compiled.is_ok_and(|status| status.success()), "{source} does not compile: run `make test-deps`");
        std::fs::create_dir(self.path("lib")).expect("a folder");
        for library in libraries {
            std::fs::copy(&driver, self.path("lib").join(library)).expect("a library");
        }
    }

    /// What a stage process of this machine tells at its end.
    fn told<S: Stage>(&self, spec: &S, variables: &[(&str, &str)]) -> StageEvent<S::Output> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_gstreamer-worker"))
            .arg("stage")
            .env("LD_LIBRARY_PATH", self.path("lib"))
            .env("GST_REGISTRY_1_0", self.path("registry"))
            .env("FAKE_NVENC_LOG", self.path("log"))
            .env("FAKE_NVENC_UNIT", self.path("unit"))
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a stage process");
        let mut stdin = child.stdin.take().expect("standard input");
        writeln!(stdin, "{}", serde_json::to_string(&Order::of(spec)).expect("json")).expect("written");
        let lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let last = lines.map_while(Result::ok).last().expect("an event");
        drop(stdin);
        child.wait().expect("it ends");
        serde_json::from_str(&last).unwrap_or_else(|error| panic!("{last}: {error}"))
    }

    /// Encodes `work`; gives what the driver was told of the encoder, and how many pictures it was given.
    fn encode(&self, work: &Work) -> (BTreeMap<String, String>, usize) {
        let event = self.told(&work.spec(&self.path("part.gdp")), &[]);
        assert!(matches!(event, StageEvent::Done(Encoded::Files(_))), "{event:?}");
        let log = std::fs::read_to_string(self.path("log")).expect("notes");
        std::fs::remove_file(self.path("log")).expect("no notes");
        let encoders: Vec<&str> = log.lines().filter_map(|line| line.strip_prefix("encoder ")).collect();
        assert_eq!(encoders.len(), 1, "{log}");
        let fields = encoders[0].split(' ').filter_map(|field| field.split_once('='));
        let told = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        (told, log.lines().filter(|line| line.starts_with("picture ")).count())
    }

    fn failure(&self, work: &Work, variables: &[(&str, &str)]) -> Failure {
        match self.told(&work.spec(&self.path("part.gdp")), variables) {
            StageEvent::Failed(failure) => failure,
            event => panic!("it is to fail: {event:?}"),
        }
    }

    /// The access unit that the driver makes of each picture: the first one of a film that the judge encodes so.
    fn makes(&self, options: &str) {
        let source = ["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=160x96:r=25:d=1", "-frames:v", "1"];
        let unit = self.path("unit");
        judge(&[&source[..], &options.split_whitespace().collect::<Vec<_>>(), &[text(&unit)]].concat());
    }
}

/// A film of 12 pictures, each with the caption that `x264enc` writes beside it.
fn captioned(path: &Path) {
    gstreamer_worker::media::init().expect("GStreamer");
    let line = format!(
        "videotestsrc num-buffers=12 ! video/x-raw,format=I420,width=160,height=96,framerate=25/1 ! identity name=captions \
         ! x264enc speed-preset=ultrafast ! h264parse ! mp4mux ! filesink location={}",
        path.display()
    );
    let pipeline = gst::parse::launch(&line).expect("a pipeline").downcast::<gst::Pipeline>().expect("a pipeline");
    let pad = pipeline.by_name("captions").and_then(|captions| captions.static_pad("src")).expect("a pad");
    pad.add_probe(gst::PadProbeType::BUFFER, |_, info| {
        let buffer = info.buffer_mut().expect("a picture").make_mut();
        // A code of field 1: erase what is shown.
        VideoCaptionMeta::add(buffer, VideoCaptionType::Cea708Raw, &[0xfc, 0x94, 0x2c]);
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).expect("it plays");
    let ends = [gst::MessageType::Eos, gst::MessageType::Error];
    let end = pipeline.bus().expect("a bus").timed_pop_filtered(gst::ClockTime::from_seconds(20), &ends);
    assert!(end.is_some_and(|message| message.type_() == gst::MessageType::Eos));
    pipeline.set_state(gst::State::Null).expect("it stops");
}

/// What is encoded.
struct Work {
    directory: tempfile::TempDir,
    plan: Plan,
    scaling: Scaling,
}

impl Work {
    fn new(film: &str, video: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let input = make(directory.path(), "in.mp4", &format!("{PICTURE} {film}"));
        Self::of(directory, &input, video)
    }

    fn of(directory: tempfile::TempDir, input: &Path, video: &str) -> Self {
        let mut facts = split(input, directory.path(), 60).expect("a film");
        facts.audio = None;
        let job = format!(
            r#"{{"job_id": "nvenc", "input": {{"uri": "file:///in"}}, "outputs": [
                {{"uri": "file:///out", "container": "mpegts", "video": {{{video}}}}}]}}"#
        );
        let job = JobSpec::parse(job.as_bytes()).expect("a job");
        let mut plan = Plan::build(job, identity(), facts, 4, &Families::default()).expect("a plan");
        video_of(&mut plan).renditions[0].encoder = EncoderFamily::Nvcodec;
        Self { directory, plan, scaling: Scaling::ForItsEncoder }
    }

    fn spec(&self, target: &Path) -> EncodeSpec {
        let video = self.plan.video().expect("video");
        EncodeSpec {
            source: self.directory.path().join(&video.chunks[0].source),
            facts: video.facts.clone(),
            chunk: video.chunks[0].clone(),
            renditions: video.renditions.clone(),
            targets: vec![target.to_owned()],
            device: DeviceWork { decoder: None, scaling: self.scaling },
        }
    }
}

/// How the judge makes what a driver could.
const HIGH: &str = "-pix_fmt yuv420p -c:v libx264 -profile:v high -f h264";
const MAIN: &str = "-pix_fmt yuv420p -c:v libx264 -profile:v main -f h264";
const HEVC: &str = "-pix_fmt yuv420p -c:v libx265 -x265-params log-level=none:info=0 -f hevc";
const HEVC_10: &str = "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none:info=0 -f hevc";

#[test]
fn a_rate_reaches_nvenc_with_its_peak_its_passes_and_the_grid_of_key_frames() {
    let machine = Machine::new();
    machine.makes(HIGH);
    let mut work = Work::new(FILM, r#""codec": "h264", "height": 48, "bitrate": 5000000"#);
    for (preset, native, passes, interval, profile) in [
        (Preset::Ultrafast, "p1", "0", "1", "auto"),
        (Preset::Superfast, "p2", "0", "1", "auto"),
        (Preset::Faster, "p3", "1", "3", "high"),
        (Preset::Medium, "p4", "1", "3", "high"),
        (Preset::Slow, "p5", "2", "3", "high"),
        (Preset::Slower, "p6", "2", "3", "high"),
        (Preset::Veryslow, "p7", "2", "3", "high"),
    ] {
        video_of(&mut work.plan).renditions[0].preset = preset;
        let (told, pictures) = machine.encode(&work);
        let gop = work.plan.video_renditions()[0].keyframe_interval.to_string();
        let expected = [
            ("codec", "h264"),
            ("size", "80x48"),
            ("fps", "25/1"),
            ("preset", native),
            // High quality.
            ("tune", "1"),
            ("profile", profile),
            // A variable rate.
            ("rc", "1"),
            ("average", "4999168"),
            ("max", "7499776"),
            ("vbv", "14999552"),
            ("passes", passes),
            ("aq", "1"),
            ("gop", &gop),
            ("idr", &gop),
            ("interval", interval),
            ("repeat", "1"),
            ("aud", "0"),
        ];
        for (name, value) in expected {
            assert_eq!(told[name], value, "{name} of {preset:?}: {told:?}");
        }
        assert_eq!(pictures, 12);
    }
}

#[test]
fn a_quality_reaches_nvenc_as_one_quantizer_in_every_codec_and_depth_from_every_memory() {
    let machine = Machine::new();
    for (video, film, unit, profile) in [
        (r#""codec": "h264", "crf": 21"#, FILM, HIGH, "high"),
        (r#""codec": "h265", "crf": 21"#, FILM, HEVC, "main"),
        (r#""codec": "h265", "crf": 21"#, HDR, HEVC_10, "main-10"),
    ] {
        machine.makes(unit);
        let mut work = Work::new(film, video);
        for scaling in [Scaling::ForItsEncoder, Scaling::Nothing] {
            work.scaling = scaling;
            let (told, pictures) = machine.encode(&work);
            let expected = [
                ("rc", "0"),
                ("qp", "21,21,21"),
                ("quality", "0"),
                ("repeat", "1"),
                ("aud", "0"),
                ("profile", profile),
            ];
            for (name, value) in expected {
                assert_eq!(told[name], value, "{name} with {scaling:?}: {told:?}");
            }
            assert_eq!(pictures, 12);
        }
    }
}

#[test]
fn a_driver_may_choose_the_main_profile_where_there_are_no_b_frames() {
    let machine = Machine::new();
    machine.makes(MAIN);
    let work = Work::new(FILM, r#""codec": "h264", "preset": "veryfast", "crf": 30"#);
    assert_eq!(machine.encode(&work).0["profile"], "auto");
}

#[test]
fn hdr10_metadata_of_the_source_is_in_every_key_frame_of_nvenc() {
    let machine = Machine::new();
    machine.makes(HEVC_10);
    let mut work = Work::new(HDR, r#""codec": "h265", "height": 48, "crf": 21"#);
    for scaling in [Scaling::ForItsEncoder, Scaling::Nothing] {
        work.scaling = scaling;
        machine.encode(&work);
        let mut reader = GdpReader::open(&machine.path("part.gdp")).expect("a part");
        let mut units = 0;
        while let Some(sample) = reader.next().expect("a whole part") {
            let bytes = sample.buffer().expect("a buffer").map_readable().expect("bytes");
            let messages = sei_types(&bytes);
            let has = |kind| messages.contains(&kind);
            assert!(has(MASTERING_DISPLAY) && has(LIGHT_LEVEL), "{scaling:?}: {messages:?}");
            units += 1;
        }
        assert_eq!(units, 12);
    }
}

#[test]
fn captions_beside_the_pictures_of_the_source_reach_nvenc() {
    let machine = Machine::new();
    machine.makes(HIGH);
    let directory = tempfile::tempdir().expect("a directory");
    let input = directory.path().join("in.mp4");
    captioned(&input);
    let mut work = Work::of(directory, &input, r#""codec": "h264", "height": 48, "crf": 21"#);
    for scaling in [Scaling::ForItsEncoder, Scaling::Nothing] {
        work.scaling = scaling;
        let event = machine.told(&work.spec(&machine.path("part.gdp")), &[]);
        assert!(matches!(event, StageEvent::Done(_)), "{event:?}");
        let log = std::fs::read_to_string(machine.path("log")).expect("notes");
        std::fs::remove_file(machine.path("log")).expect("no notes");
        assert_eq!(log.lines().filter(|line| line.ends_with(" sei=1")).count(), 12, "{scaling:?}: {log}");
    }
}

/// The types of the messages in the prefix SEI of an access unit of H.265.
fn sei_types(unit: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    for nal in nal_units(unit).filter(|nal| nal[0] >> 1 == 39) {
        let payload = without_emulation_prevention(&nal[2..]);
        let mut rest = &payload[..];
        while let [kind, size, after @ ..] = rest
            && let Some(after) = after.get(usize::from(*size)..)
        {
            types.push(*kind);
            rest = after;
        }
    }
    types
}

fn without_emulation_prevention(nal: &[u8]) -> Vec<u8> {
    let is_prevention = |at: usize| at >= 2 && nal[at] == 3 && nal[at - 2..at] == [0, 0];
    (0..nal.len()).filter(|at| !is_prevention(*at)).map(|at| nal[at]).collect()
}

#[test]
fn what_the_plugin_says_of_a_session_or_an_encoder_that_is_refused_is_understood() {
    const OUT_OF_MEMORY: &str = "10";
    const UNSUPPORTED_PARAM: &str = "12";
    let machine = Machine::new();
    machine.makes(HIGH);
    let work = Work::new(FILM, r#""codec": "h264", "crf": 30"#);
    for (variables, fault) in [
        (("FAKE_NVENC_OPEN", OUT_OF_MEMORY), DeviceFault::SessionLimit),
        (("FAKE_NVENC_OPEN", "1"), DeviceFault::DeviceLost),
        (("FAKE_NVENC_INIT", OUT_OF_MEMORY), DeviceFault::OutOfMemory),
        (("FAKE_NVENC_INIT", UNSUPPORTED_PARAM), DeviceFault::Other),
    ] {
        let failure = machine.failure(&work, &[variables]);
        assert_eq!((failure.class, failure.fault()), (FailureClass::Device, Some(fault)), "{variables:?}: {failure}");
    }
}

#[test]
fn the_scaler_is_there_as_soon_as_nvrtc_is() {
    let machine = Machine::new();
    let devices = || match machine.told(&DevicesSpec {}, &[]) {
        StageEvent::Done(DeviceElements { elements, missing_libraries, nvrtc }) => {
            assert_eq!(missing_libraries, <[String; 0]>::default());
            (elements.contains(&"cudaconvertscale".to_owned()), elements.contains(&"nvh265enc".to_owned()), nvrtc)
        }
        event => panic!("not the devices: {event:?}"),
    };
    let library = machine.path("lib").join("libnvrtc.so");
    let elsewhere = machine.path("libnvrtc.so");
    std::fs::rename(&library, &elsewhere).expect("NVRTC goes");
    assert_eq!(devices(), (false, true, None));
    // The registry knows no scaler, and is not made anew.
    std::fs::rename(&elsewhere, &library).expect("NVRTC comes back");
    assert_eq!(devices(), (true, true, Some(12)));
}

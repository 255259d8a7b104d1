use actors::domain::plan::testing::facts_of;
use actors::domain::plan::{Chunk, EncoderFamily, Window};

use super::*;
use crate::protocol::DeviceWork;

/// The elements of a layout in the order of the pictures, with `cuda:` in front of what works in GPU memory.
fn said(layout: &Layout) -> Vec<String> {
    let mark = |memory, what: &str| if memory == Memory::Cuda { format!("cuda:{what}") } else { what.to_owned() };
    let mut steps = vec![layout.decoder.unwrap_or("cpu").to_owned()];
    steps.extend(layout.lands().then(|| "download".to_owned()));
    steps.push(mark(layout.home, "tee"));
    steps.extend(layout.crosses().then(|| "cross".to_owned()));
    steps.extend(layout.branches.iter().map(|branch| {
        let scale = mark(branch.scaled_in, "scale");
        format!("{scale} {} {}", branch.format, mark(branch.encoded_from, branch.settings.element))
    }));
    steps
}

fn rendition(codec: VideoCodec, encoder: EncoderFamily, bit_depth: u8) -> VideoRendition {
    VideoRendition {
        codec,
        encoder,
        width: 640,
        height: 360,
        bit_depth,
        preset: actors::domain::job::Preset::Medium,
        rate: Rate::Crf(23u64.try_into().expect("a crf")),
        keyframe_interval: 48,
    }
}

fn spec(decoder: bool, scaling: Scaling, renditions: &[VideoRendition]) -> EncodeSpec {
    let rates = renditions.iter().map(|rendition| rendition.rate).collect();
    EncodeSpec {
        source: "source.gdp".into(),
        facts: facts_of(1, false).video,
        chunk: Chunk { index: 0, source: String::new(), window: Window { start_ns: 0, end_ns: 1, frames: 1 }, rates },
        renditions: renditions.to_vec(),
        targets: Vec::new(),
        device: DeviceWork { decoder: decoder.then_some(EncoderFamily::Nvcodec), scaling },
    }
}

fn layout(spec: &EncodeSpec) -> Vec<String> {
    said(&Layout::new(spec, Some(VideoCodec::H264)).expect("a layout"))
}

const NV: EncoderFamily = EncoderFamily::Nvcodec;

#[test]
fn a_ladder_on_a_whole_gpu_is_decoded_once_and_never_leaves_its_memory() {
    let ladder = [rendition(VideoCodec::H264, NV, 8), rendition(VideoCodec::H265, NV, 10)];
    assert_eq!(
        layout(&spec(true, Scaling::ForItsEncoder, &ladder)),
        ["nvh264dec", "cuda:tee", "cuda:scale NV12 cuda:nvh264enc", "cuda:scale P010_10LE cuda:nvh265enc"]
    );
}

#[test]
fn a_gpu_without_an_encoder_decodes_and_the_cpu_makes_the_bytes_that_it_always_makes() {
    let cpu = [rendition(VideoCodec::H264, EncoderFamily::X264, 8)];
    let made = layout(&spec(true, Scaling::ForItsEncoder, &cpu));
    assert_eq!(made, ["nvh264dec", "cuda:tee", "cross", "scale I420 x264enc"]);
    let measured = layout(&spec(true, Scaling::Everything, &cpu));
    assert_eq!(measured, ["nvh264dec", "cuda:tee", "cuda:scale I420 x264enc"]);
}

#[test]
fn what_the_cpu_decodes_crosses_once_for_all_encoders_of_the_gpu() {
    let ladder = [
        rendition(VideoCodec::H264, NV, 8),
        rendition(VideoCodec::H264, NV, 8),
        rendition(VideoCodec::H265, EncoderFamily::X265, 10),
    ];
    assert_eq!(
        layout(&spec(false, Scaling::ForItsEncoder, &ladder)),
        [
            "cpu",
            "tee",
            "cross",
            "cuda:scale NV12 cuda:nvh264enc",
            "cuda:scale NV12 cuda:nvh264enc",
            "scale I420_10LE x265enc"
        ]
    );
}

#[test]
fn without_a_scaler_on_the_gpu_its_encoder_takes_pictures_from_main_memory() {
    let ladder = [rendition(VideoCodec::H264, NV, 8)];
    assert_eq!(layout(&spec(false, Scaling::Nothing, &ladder)), ["cpu", "tee", "scale NV12 nvh264enc"]);
    assert_eq!(
        layout(&spec(true, Scaling::Nothing, &ladder)),
        ["nvh264dec", "cuda:tee", "cross", "scale NV12 nvh264enc"]
    );
}

#[test]
fn pictures_that_are_turned_or_deinterlaced_land_behind_the_decoder() {
    let mut spec = spec(true, Scaling::ForItsEncoder, &[rendition(VideoCodec::H264, NV, 8)]);
    spec.facts.interlaced = true;
    let landed = ["nvh264dec", "download", "tee", "cross", "cuda:scale NV12 cuda:nvh264enc"];
    assert_eq!(layout(&spec), landed);
    spec.facts.interlaced = false;
    spec.facts.orientation = Orientation::Rotate90;
    assert_eq!(layout(&spec), landed);
}

#[test]
fn codecs_that_the_gpu_does_not_decode_here_are_decoded_by_the_cpu() {
    let spec = spec(true, Scaling::ForItsEncoder, &[rendition(VideoCodec::H264, NV, 8)]);
    let made = said(&Layout::new(&spec, None).expect("a layout"));
    assert_eq!(made, ["cpu", "tee", "cross", "cuda:scale NV12 cuda:nvh264enc"]);
}

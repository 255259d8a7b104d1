use actors::job::Preset;

use super::*;

fn rendition(codec: VideoCodec, encoder: EncoderFamily) -> VideoRendition {
    VideoRendition {
        codec,
        encoder,
        width: 1280,
        height: 720,
        bit_depth: 8,
        preset: Preset::Fast,
        rate: bitrate(5_000_000),
        keyframe_interval: 48,
    }
}

fn bitrate(bits: u64) -> Rate {
    Rate::Bitrate(bits.try_into().expect("a bitrate"))
}

fn crf(value: u64) -> Rate {
    Rate::Crf(value.try_into().expect("a crf"))
}

/// The first choice of a property.
fn value(settings: &Settings, name: &str) -> Option<String> {
    settings.properties.iter().find(|property| property.name == name).map(|property| property.values[0].clone())
}

/// What the plan can ask for.
const FAMILIES: [(VideoCodec, EncoderFamily); 7] = [
    (VideoCodec::H264, EncoderFamily::X264),
    (VideoCodec::H265, EncoderFamily::X265),
    (VideoCodec::H264, EncoderFamily::Openh264),
    (VideoCodec::H264, EncoderFamily::Nvcodec),
    (VideoCodec::H265, EncoderFamily::Nvcodec),
    (VideoCodec::H264, EncoderFamily::Va),
    (VideoCodec::H265, EncoderFamily::Va),
];

#[test]
fn five_megabits_are_five_megabits_in_the_unit_of_each_element() {
    let unit = |family| match family {
        EncoderFamily::Openh264 => 1,
        EncoderFamily::Nvcodec => 1024,
        _ => 1000,
    };
    for (codec, family) in FAMILIES {
        let settings = settings(&rendition(codec, family), bitrate(5_000_000)).expect("settings");
        let said: u64 = value(&settings, "bitrate").expect("a rate").parse().expect("a number");
        let bits = said * unit(family);
        assert!((4_998_000..=5_000_000).contains(&bits), "{}: {bits}", settings.element);
    }
}

#[test]
fn every_family_is_told_the_distance_of_key_frames() {
    for (codec, family) in FAMILIES {
        let settings = settings(&rendition(codec, family), crf(23)).expect("settings");
        let distance = value(&settings, "key-int-max").or_else(|| value(&settings, "gop-size"));
        assert_eq!(distance.as_deref(), Some("48"), "{}", settings.element);
    }
}

#[test]
fn no_buffer_bounds_the_rate_of_x264() {
    for rate in [crf(12), bitrate(5_000_000)] {
        let settings = settings(&rendition(VideoCodec::H264, EncoderFamily::X264), rate).expect("settings");
        assert_eq!(value(&settings, "vbv-buf-capacity").as_deref(), Some("0"), "{rate:?}");
    }
}

#[test]
fn every_preset_has_a_name_in_every_family() {
    use Preset::{Fast, Faster, Medium, Slow, Slower, Superfast, Ultrafast, Veryfast, Veryslow};
    let presets = [Ultrafast, Superfast, Veryfast, Faster, Fast, Medium, Slow, Slower, Veryslow];
    let old = |name: &String| ["hp", "default", "hq"].contains(&name.as_str());
    for preset in presets {
        let with = |codec, family| {
            settings(&VideoRendition { preset, ..rendition(codec, family) }, crf(23)).expect("settings")
        };
        let nv = with(VideoCodec::H264, EncoderFamily::Nvcodec);
        let names = &nv.properties.iter().find(|property| property.name == "preset").expect("a preset").values;
        assert!(names[0].starts_with('p') && old(&names[1]), "{names:?}");
        let usage = value(&with(VideoCodec::H265, EncoderFamily::Va), "target-usage").expect("one");
        assert!((1..=7).contains(&usage.parse::<u32>().expect("a number")));
        assert!(value(&with(VideoCodec::H264, EncoderFamily::Openh264), "complexity").is_some());
        assert_eq!(
            value(&with(VideoCodec::H264, EncoderFamily::X264), "speed-preset").as_deref(),
            Some(preset.as_str())
        );
    }
}

#[test]
fn a_family_that_does_not_make_a_codec_is_a_mistake_of_the_plan() {
    for (codec, family, depth) in [
        (VideoCodec::H265, EncoderFamily::Openh264, 8),
        (VideoCodec::H265, EncoderFamily::X264, 8),
        (VideoCodec::H264, EncoderFamily::Nvcodec, 10),
    ] {
        let wrong = VideoRendition { bit_depth: depth, ..rendition(codec, family) };
        let failure = settings(&wrong, crf(23)).expect_err("no such encoder");
        assert!(failure.message.contains(family.as_str()), "{failure}");
    }
}

#[test]
fn pictures_are_in_the_format_that_the_encoder_takes_from_its_memory() {
    let format = |family, depth, memory| {
        raw_format(&VideoRendition { bit_depth: depth, ..rendition(VideoCodec::H265, family) }, memory)
    };
    assert_eq!(format(EncoderFamily::X265, 8, Memory::System), "I420");
    assert_eq!(format(EncoderFamily::X265, 10, Memory::System), "I420_10LE");
    assert_eq!(format(EncoderFamily::Nvcodec, 8, Memory::Cuda), "NV12");
    assert_eq!(format(EncoderFamily::Nvcodec, 8, Memory::System), "I420");
    assert_eq!(format(EncoderFamily::Nvcodec, 10, Memory::Cuda), "P010_10LE");
    assert_eq!(format(EncoderFamily::Va, 8, Memory::System), "NV12");
}

use std::ops::RangeInclusive;

use actors::domain::job::{Preset, VideoCodec};

use super::settings::{Property, Settings};
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

const PRESETS: [Preset; 9] = [
    Preset::Ultrafast,
    Preset::Superfast,
    Preset::Veryfast,
    Preset::Faster,
    Preset::Fast,
    Preset::Medium,
    Preset::Slow,
    Preset::Slower,
    Preset::Veryslow,
];

#[test]
fn every_preset_has_a_name_in_every_family() {
    let mut of_nvenc = Vec::new();
    for preset in PRESETS {
        let with = |codec, family| {
            settings(&VideoRendition { preset, ..rendition(codec, family) }, crf(23)).expect("settings")
        };
        of_nvenc.extend(value(&with(VideoCodec::H264, EncoderFamily::Nvcodec), "preset"));
        let usage = value(&with(VideoCodec::H265, EncoderFamily::Va), "target-usage").expect("one");
        assert!((1..=7).contains(&usage.parse::<u32>().expect("a number")));
        assert!(value(&with(VideoCodec::H264, EncoderFamily::Openh264), "complexity").is_some());
        assert_eq!(
            value(&with(VideoCodec::H264, EncoderFamily::X264), "speed-preset").as_deref(),
            Some(preset.as_str())
        );
    }
    assert_eq!(of_nvenc, ["p1", "p2", "p2", "p3", "p4", "p4", "p5", "p6", "p7"]);
}

#[test]
fn nvenc_is_asked_for_the_profile_that_it_can_be_told_and_otherwise_for_what_a_driver_may_choose() {
    let profiles = |codec, preset| {
        let rendition = VideoRendition { preset, ..rendition(codec, EncoderFamily::Nvcodec) };
        settings(&rendition, crf(23)).expect("settings").profiles
    };
    assert_eq!(profiles(VideoCodec::H264, Preset::Fast), ["high"]);
    assert_eq!(profiles(VideoCodec::H264, Preset::Veryfast), ["high", "main"]);
    assert!(profiles(VideoCodec::H265, Preset::Fast).is_empty(), "it follows from the depth");
}

#[test]
fn nvenc_gets_a_peak_a_buffer_and_a_second_pass_for_a_rate_and_one_quantizer_for_a_quality() {
    let of = |preset, rate| {
        let rendition = VideoRendition { preset, ..rendition(VideoCodec::H265, EncoderFamily::Nvcodec) };
        settings(&rendition, rate).expect("settings")
    };
    for (preset, passes) in
        [(Preset::Veryfast, "disabled"), (Preset::Fast, "two-pass-quarter"), (Preset::Slow, "two-pass")]
    {
        assert_eq!(value(&of(preset, bitrate(5_000_000)), "multi-pass").as_deref(), Some(passes));
    }
    let kibibits = |name| value(&of(Preset::Fast, bitrate(8_192_000)), name);
    assert_eq!(kibibits("bitrate").as_deref(), Some("8000"));
    assert_eq!(kibibits("max-bitrate").as_deref(), Some("12000"));
    assert_eq!(kibibits("vbv-buffer-size").as_deref(), Some("24000"), "two seconds of the peak");
    // A larger one would not fit into the number that the element multiplies it into.
    assert_eq!(value(&of(Preset::Fast, bitrate(1_000_000_000)), "vbv-buffer-size").as_deref(), Some("2048000"));
    let constant = of(Preset::Fast, crf(23));
    assert!(
        ["qp-const-i", "qp-const-p", "qp-const-b"].iter().all(|name| value(&constant, name).as_deref() == Some("23"))
    );
    assert_eq!(value(&constant, "bitrate"), None);
}

/// What a property takes.
enum Takes {
    Numbers(RangeInclusive<u32>),
    Words(&'static [&'static str]),
}

/// The properties of `vah264enc` and `vah265enc` that are set, as the sources of GStreamer 1.26.2 declare them. The elements register only where there is a device; those of NVIDIA are looked at in `tests/it`.
const VA: [(&str, Takes); 9] = [
    ("target-usage", Takes::Numbers(1..=7)),
    ("key-int-max", Takes::Numbers(0..=1024)),
    ("aud", Takes::Words(&["true", "false"])),
    ("b-frames", Takes::Numbers(0..=31)),
    ("rate-control", Takes::Words(&["cbr", "vbr", "vcm", "cqp", "icq", "qvbr"])),
    ("bitrate", Takes::Numbers(0..=2_048_000)),
    ("qpi", Takes::Numbers(0..=51)),
    ("qpp", Takes::Numbers(0..=51)),
    ("qpb", Takes::Numbers(0..=51)),
];

#[test]
fn the_elements_of_va_know_every_property_that_is_set_and_every_value() {
    let knows = |name: &str, value: &str| {
        VA.iter().find(|(known, _)| *known == name).is_some_and(|(_, values)| match values {
            Takes::Numbers(range) => value.parse::<u32>().is_ok_and(|number| range.contains(&number)),
            Takes::Words(words) => words.contains(&value),
        })
    };
    for preset in PRESETS {
        for (codec, bit_depth) in [(VideoCodec::H264, 8), (VideoCodec::H265, 8), (VideoCodec::H265, 10)] {
            for (rate, keyframe_interval) in [(bitrate(300_000), 12), (bitrate(1_000_000_000), 9000), (crf(51), 48)] {
                let rendition =
                    VideoRendition { preset, bit_depth, keyframe_interval, ..rendition(codec, EncoderFamily::Va) };
                for Property { name, values, .. } in settings(&rendition, rate).expect("settings").properties {
                    assert!(values.iter().all(|value| knows(name, value)), "{name}={values:?}");
                }
            }
        }
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
fn pictures_are_in_the_format_that_the_encoder_takes() {
    let format = |family, depth| of(family).format(depth);
    assert_eq!(format(EncoderFamily::X265, 8), "I420");
    assert_eq!(format(EncoderFamily::X265, 10), "I420_10LE");
    assert_eq!(format(EncoderFamily::Nvcodec, 8), "NV12", "it takes no other format of 8 bits, from either memory");
    assert_eq!(format(EncoderFamily::Nvcodec, 10), "P010_10LE");
    assert_eq!(format(EncoderFamily::Va, 8), "NV12");
}

use actors::domain::job::VideoCodec;

use super::*;
use crate::protocol::Scaling;

fn spec(codec: VideoCodec, encoder: EncoderFamily, bit_depth: u8) -> TrialSpec {
    let device = DeviceWork::default();
    TrialSpec { codec, bit_depth, encoder, device, size: (320, 180), halved: false, frames: 30 }
}

fn tried(spec: &TrialSpec) -> Tried {
    crate::media::pipeline::init().expect("GStreamer");
    run(spec, &|_| {}).expect("it works")
}

#[test]
fn the_cpu_is_like_itself_in_every_codec_and_depth() {
    for spec in [
        spec(VideoCodec::H264, EncoderFamily::X264, 8),
        spec(VideoCodec::H265, EncoderFamily::X265, 8),
        spec(VideoCodec::H265, EncoderFamily::X265, 10),
    ] {
        let tried = tried(&spec);
        assert!(tried.same_bytes && tried.fps > 0.0 && tried.bytes > 0, "{tried:?}");
        assert!((tried.worst_psnr_db - 100.0).abs() < f64::EPSILON, "{tried:?}");
    }
}

#[test]
fn another_encoder_gives_other_bytes_and_pictures_that_are_alike() {
    for halved in [false, true] {
        let tried = tried(&TrialSpec { halved, ..spec(VideoCodec::H264, EncoderFamily::Openh264, 8) });
        assert!(!tried.same_bytes, "{tried:?}");
        assert!((LEAST_PSNR_DB..99.0).contains(&tried.worst_psnr_db), "{tried:?}");
        assert!(tried.mean_psnr_db >= tried.worst_psnr_db, "{tried:?}");
    }
}

#[test]
fn a_gpu_that_is_not_there_is_a_failure_of_the_device() {
    crate::media::pipeline::init().expect("GStreamer");
    let decoder = DeviceWork { decoder: Some(EncoderFamily::Nvcodec), scaling: Scaling::Nothing };
    for spec in [
        spec(VideoCodec::H264, EncoderFamily::Nvcodec, 8),
        TrialSpec { device: decoder, ..spec(VideoCodec::H264, EncoderFamily::X264, 8) },
    ] {
        let failure = run(&spec, &|_| {}).expect_err("no GPU here");
        assert_eq!(failure.fault(), Some(DeviceFault::Other), "{failure}");
        assert!(failure.message.contains("GStreamer has no element"), "{failure}");
    }
}

#[test]
fn pictures_that_are_wrong_are_bad_output() {
    let spec = spec(VideoCodec::H264, EncoderFamily::Openh264, 8);
    let like = |frames, worst_db| {
        let mut like = Likeness::none();
        (like.frames, like.worst_db) = (frames, worst_db);
        like
    };
    assert!(judge(&spec, &like(30, 38.0), false).is_ok());
    for (wrong, what) in [(like(29, 38.0), "29 pictures of 30"), (like(30, 20.0), "20.0 dB")] {
        let failure = judge(&spec, &wrong, false).expect_err("wrong");
        assert!(failure.fault() == Some(DeviceFault::BadOutput) && failure.message.contains(what), "{failure}");
    }
    let decoder = DeviceWork { decoder: Some(EncoderFamily::Nvcodec), scaling: Scaling::Nothing };
    let decodes = TrialSpec { device: decoder, encoder: EncoderFamily::X264, ..spec };
    let failure = judge(&decodes, &like(30, 60.0), false).expect_err("not to the last bit");
    assert!(failure.message.contains("last bit"), "{failure}");
    assert!(judge(&decodes, &like(30, 100.0), true).is_ok());
}

use super::testing::{facts_of, identity, job, job_into, plan_of};
use super::*;
use crate::domain::job::{Container, VideoCodec};
use crate::domain::track::{RenditionId, TrackId};

#[test]
fn outputs_that_ask_for_the_same_share_one_rendition() {
    let mut job = job("twice");
    let mut second = job.outputs[0].clone();
    second.uri = "file:///media/twice.mp4".parse().expect("a uri");
    job.outputs.push(second);
    let plan = Plan::build(job, identity(), facts_of(2, true), 4, &Families::default()).expect("a plan");
    assert_eq!((plan.video_renditions().len(), plan.outputs.len()), (1, 2));
    assert_eq!(plan.outputs[0].members, plan.outputs[1].members);
}

#[test]
fn a_source_without_audio_gives_outputs_without_audio() {
    let plan = plan_of(2, 4, false);
    assert_eq!(plan.audio(0), None);
    assert_eq!(plan.outputs[0].members, [RenditionId::new(TrackId::Video, 0)]);
    assert_eq!(plan.num_units(), 2);
}

#[test]
fn sound_gets_a_rate_for_each_channel_where_the_job_asks_for_none() {
    let rate = |channels, asked: Option<u64>| {
        let (mut job, mut facts) = (job("sound"), facts_of(1, true));
        let audio = job.outputs[0].audio.as_mut().expect("sound");
        audio.bitrate = asked.map(|bits| bits.try_into().expect("a rate"));
        facts.audio.as_mut().expect("sound").channels = channels;
        let plan = Plan::build(job, identity(), facts, 4, &Families::default()).expect("a plan");
        plan.audio(0).expect("sound").renditions[0].bitrate.bits_per_second()
    };
    assert_eq!([1, 2, 6, 8].map(|channels| rate(channels, None)), [64_000, 128_000, 384_000, 384_000]);
    assert_eq!(rate(6, Some(96_000)), 96_000);
}

#[test]
fn an_input_without_a_frame_fails_as_permanent() {
    let mut facts = facts_of(1, false);
    facts.video.chunks[0].window.frames = 0;
    let failure = Plan::build(job("empty"), identity(), facts, 4, &Families::default()).expect_err("no frame");
    assert_eq!(failure.class, crate::domain::failure::FailureClass::Permanent);
}

#[test]
fn av1_keeps_ten_bits_and_a_film_that_is_too_narrow_for_it_fails_with_what_to_do() {
    let mut asked = job_into("deep", &[Container::Mp4]);
    (asked.outputs[0].video.codec, asked.outputs[0].video.bitrate) = (VideoCodec::Av1, None);
    let mut facts = facts_of(1, false);
    facts.video.bit_depth = 12;
    let plan = |facts| Plan::build(asked.clone(), identity(), facts, 4, &Families::default());
    let made = plan(facts.clone()).expect("a plan").video_renditions()[0].clone();
    assert_eq!((made.bit_depth, made.encoder), (10, EncoderFamily::SvtAv1));
    (facts.video.width, facts.video.height) = (80, 1080);
    let failure = plan(facts).expect_err("54 pixels of width are too few");
    assert!(failure.message.contains("64 at least") && failure.message.contains("upscale"), "{failure}");
}

#[test]
fn key_frames_are_two_seconds_apart_at_any_rate() {
    for (rate, frames) in [((24, 1), 48), ((30000, 1001), 60), ((0, 1), 60), ((1, 5), 1)] {
        let mut facts = facts_of(1, false);
        facts.video.frame_rate = rate;
        let plan = Plan::build(job("gop"), identity(), facts, 4, &Families::default()).expect("a plan");
        assert_eq!(plan.video_renditions()[0].keyframe_interval, frames, "{rate:?}");
    }
}

#[test]
fn a_plan_that_the_stored_form_cannot_say_is_not_stored() {
    let plan = Plan::clone(&plan_of(2, 4, true));
    let twice = Plan { tracks: [&plan.tracks[..], &plan.tracks[1..]].concat(), ..plan.clone() };
    assert!(serde_json::to_vec(&plan).is_ok() && serde_json::to_vec(&twice).is_err());
    let mut backwards = plan;
    backwards.outputs[0].members.reverse();
    assert!(serde_json::to_vec(&backwards).is_err());
    let broken = |change: fn(&mut OutputPlan)| {
        let mut plan = Plan::clone(&plan_of(2, 4, true));
        change(&mut plan.outputs[0]);
        serde_json::to_vec(&plan).expect_err("not as its job says").to_string()
    };
    assert!(broken(|output| output.package = Container::Mp4).contains("where its job has"));
    assert!(broken(|output| output.members[1].index = 9).contains("a9, which is not made"));
}

//! Finds out which encoders really work here: each of them encodes a few frames. That an element is registered says
//! little; a library can be missing, a licence or a device too.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actors::failure::Failure;
use actors::plan::EncoderFamily;
use gstreamer as gst;
use gstreamer::prelude::*;

use super::encode::encoder::factory;
use super::pipeline::Pipeline;
use crate::stage::protocol::StageResult;

/// Frames or blocks of samples that each encoder is given.
const BUFFERS: i32 = 5;
/// The encoder of AAC.
const AAC: &str = "avenc_aac";

/// Tries every encoder that a plan can ask for. Never fails: what does not work is part of the answer.
pub fn run() -> StageResult {
    let video = [EncoderFamily::X264, EncoderFamily::X265].map(factory);
    let picture = gst::Caps::builder("video/x-raw")
        .field("format", "I420")
        .field("width", 320)
        .field("height", 180)
        .field("framerate", gst::Fraction::new(25, 1));
    let picture = picture.build();
    let sound = gst::Caps::builder("audio/x-raw").field("rate", 48_000).field("channels", 2).build();
    let mut elements = BTreeMap::new();
    for name in video {
        elements.insert(name.to_owned(), reason(encodes(name, &["videotestsrc"], &picture)));
    }
    elements.insert(AAC.to_owned(), reason(encodes(AAC, &["audiotestsrc", "audioconvert"], &sound)));
    StageResult::Probe { elements }
}

fn reason(tried: Result<(), Failure>) -> Option<String> {
    tried.err().map(|failure| failure.message)
}

fn encodes(encoder: &str, source: &[&str], caps: &gst::Caps) -> Result<(), Failure> {
    let pipeline = Pipeline::new("probe");
    let mut chain = source.iter().map(|factory| pipeline.add(factory)).collect::<Result<Vec<_>, _>>()?;
    chain[0].set_property("num-buffers", BUFFERS);
    let form = pipeline.add("capsfilter")?;
    form.set_property("caps", caps);
    let sink = pipeline.add("fakesink")?;
    sink.set_property("sync", false);
    let encoder = pipeline.add(encoder)?;
    chain.extend([form, encoder, sink.clone()]);
    pipeline.link(&chain.iter().collect::<Vec<_>>())?;
    let arrived = count(&sink);
    pipeline.start()?;
    pipeline.wait(&|| arrived.load(Ordering::Relaxed), &mut || true, &mut |_| {})?;
    match arrived.load(Ordering::Relaxed) {
        0 => Err(Failure::permanent("it took frames and gave nothing")),
        _ => Ok(()),
    }
}

/// Counts what reaches a sink.
fn count(sink: &gst::Element) -> Arc<AtomicU64> {
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&arrived);
    if let Some(pad) = sink.static_pad("sink") {
        pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            gst::PadProbeReturn::Ok
        });
    }
    arrived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoder_that_a_plan_can_ask_for_works_here() {
        crate::media::init().expect("GStreamer");
        let StageResult::Probe { elements } = run() else { panic!("not the result of a probe") };
        assert_eq!(elements.keys().collect::<Vec<_>>(), ["avenc_aac", "x264enc", "x265enc"]);
        assert!(elements.values().all(Option::is_none), "{elements:?}");
    }

    #[test]
    fn an_encoder_that_is_not_there_is_named_in_the_reason() {
        crate::media::init().expect("GStreamer");
        let caps = gst::Caps::builder("video/x-raw").build();
        let failure = encodes("no264enc", &["videotestsrc"], &caps).expect_err("no such element");
        assert!(failure.message.contains("no264enc"), "{failure}");
        // An encoder that cannot take the frames is found out too.
        let caps = gst::Caps::builder("video/x-raw").field("format", "GRAY8").build();
        encodes("x264enc", &["videotestsrc"], &caps).expect_err("no such format");
    }
}
